//! The tables of what Flux v1, Flux v2 and the peers choose, through `tagline select`.
//!
//! Every row about a choice is asked twice: as an `ImagePolicy` among all the others of its table, in one run of
//! `select -f`, and a part of them as flags. What a row cannot say in either way is named, with the
//! reason, in `tests/cases/select-left-out.json`; what differs from a table's answer, with the reason, in the policy room's
//! `differences.json`.

mod asked;
mod flux_v1;
mod flux_v2;
mod peers;

use crate::command_line::program::Workplace;
use asked::{Answer, Asked, ask_all, ask_one, rank};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Of rows that are asked as policies of a file, one in so many is asked as flags, too.
const AS_FLAGS: usize = 6;

/// What a row asks, and how the answer is compared with the table's.
enum Row {
    /// A policy, and what becomes of its answer.
    One(Asked, fn(&Value, &Answer) -> Value),
    /// The order of all tags that a policy could choose.
    Order(Asked),
    /// Which of two tags comes first: -1 for the second, 1 for the first, 0 when the list decides.
    Compare(Asked, fn(&Value, i8) -> Value),
    /// The newest of several images.
    Several(
        Vec<(String, Asked)>,
        fn(&Value, &[(String, Answer)]) -> Value,
    ),
    /// Nothing that `select` could be asked.
    LeftOut,
}

struct Table {
    name: &'static str,
    row: fn(&Value) -> Row,
    /// The table's answer, in the form of ours.
    expected: fn(&Value) -> Value,
    /// Rows of which at least so many are asked.
    least: usize,
}

fn cases(path: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path: PathBuf = root.join(path);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row[key].as_str().unwrap_or_default()
}

fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// Groups of rows are left out by kind and, where the table has one, by strategy.
fn sort_of(row: &Value) -> String {
    match row["strategy"].as_str() {
        Some(strategy) => format!("{} {}: {strategy}", text(row, "peer"), text(row, "kind")),
        None => text(row, "kind").to_owned(),
    }
}

impl Table {
    fn check(&self) {
        let place = Workplace::new();
        let rows = cases(&format!("../policy/tests/cases/{}.json", self.name));
        let differences: BTreeMap<u64, Value> = cases("../policy/tests/cases/differences.json")
            .into_iter()
            .filter(|row| row["table"] == self.name)
            .map(|row| (row["id"].as_u64().unwrap(), row["ours"].clone()))
            .collect();
        let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
        let mut ones = Vec::new();
        let mut outcomes = Vec::new();
        for row in &rows {
            match (self.row)(row) {
                Row::One(asked, _) | Row::Order(asked) | Row::Compare(asked, _)
                    if !asked.tags_are_legal() =>
                {
                    *left_out
                        .entry(format!("{} (no legal tags)", sort_of(row)))
                        .or_default() += 1;
                }
                Row::One(asked, read) => ones.push((row, asked, read)),
                Row::Order(asked) => outcomes.push((row, json!(rank(&place, &asked)))),
                Row::Compare(asked, read) => {
                    outcomes.push((row, read(row, compare(&place, &asked))));
                }
                Row::Several(several, read) => {
                    let answers: Vec<(String, Answer)> = several
                        .iter()
                        .map(|(name, asked)| (name.clone(), ask_one(&place, asked)))
                        .collect();
                    outcomes.push((row, read(row, &answers)));
                }
                Row::LeftOut => *left_out.entry(sort_of(row)).or_default() += 1,
            }
        }
        let all: Vec<&Asked> = ones.iter().map(|(_, asked, _)| asked).collect();
        let answers = ask_all(&place, &all);
        for (index, ((row, asked, read), answer)) in ones.iter().zip(&answers).enumerate() {
            // What a manifest cannot say, flags can: Flux's orders in capitals, policies that are none.
            let answer = answer.clone().unwrap_or_else(|| ask_one(&place, asked));
            if index % AS_FLAGS == 0 {
                assert_eq!(ask_one(&place, asked), answer, "as flags: {row}");
            }
            outcomes.push((row, read(row, &answer)));
        }
        let failures: Vec<String> = outcomes
            .iter()
            .filter_map(|(row, ours)| {
                let difference = differences.get(&row["id"].as_u64().unwrap());
                let wanted = difference.cloned().unwrap_or_else(|| (self.expected)(row));
                (*ours != wanted).then(|| format!("ours {ours}, wanted {wanted}, row {row}"))
            })
            .collect();
        assert!(
            failures.is_empty(),
            "{} of {} rows of {}:\n{}",
            failures.len(),
            rows.len(),
            self.name,
            failures.join("\n")
        );
        assert!(outcomes.len() >= self.least, "only {} rows", outcomes.len());
        let said: BTreeMap<String, u64> = cases("tests/cases/select-left-out.json")
            .iter()
            .filter(|row| row["table"] == self.name)
            .map(|row| {
                assert!(!text(row, "reason").is_empty(), "{row}");
                (
                    text(row, "rows_of").to_owned(),
                    row["count"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(left_out, said, "what is left out of {}", self.name);
    }
}

/// Asks for the first of two tags in both orders of the list.
fn compare(place: &Workplace, asked: &Asked) -> i8 {
    if asked.tags[0] == asked.tags[1] {
        return 0;
    }
    let turned = Asked {
        tags: asked.tags.iter().rev().cloned().collect(),
        ..asked.clone()
    };
    let [first, second] = [asked, &turned].map(|asked| ask_one(place, asked).tag);
    let is_first = |tag: &Option<String>| tag.as_deref() == asked.tags[0].as_str();
    match (is_first(&first), is_first(&second)) {
        (true, true) => 1,
        (false, false) => -1,
        _ => 0,
    }
}

/// As tables have it: -1, 0 or 1.
fn sign(_: &Value, order: i8) -> Value {
    json!(order)
}

/// The chosen tag, or nothing.
fn chosen(_: &Value, answer: &Answer) -> Value {
    json!(answer.tag)
}

/// Whether there is a chosen tag.
fn is_chosen(_: &Value, answer: &Answer) -> Value {
    json!(answer.tag.is_some())
}

/// The tags that could be chosen.
fn eligible(_: &Value, answer: &Answer) -> Value {
    json!(answer.tags_with(&["chosen", "older"]))
}

#[test]
fn flux_v2() {
    flux_v2::TABLE.check();
}

#[test]
fn flux_v1() {
    flux_v1::TABLE.check();
}

#[test]
fn peers() {
    peers::TABLE.check();
}
