//! The tables of what Flux v1, Flux v2 and the peers do, run whole.
//!
//! A row is run, or it is named in `left-out.json` with the reason and the number of its like. A row
//! whose result differs from the table's is named in `differences.json` with what we say and why; it
//! must really differ.

mod flux_v1;
mod flux_v2;
mod peers;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tagline_policy::{Candidate, Context, Exclusions, ListOrder, Policy, PolicySpec, TagRef};

/// What a row came to: our result and the table's, or nothing when it is of a sort that is left out.
type Outcome = Option<(Value, Value)>;

struct Table {
    name: &'static str,
    text: &'static str,
    /// Kinds that must have rows, or the table lost what it is for.
    kinds: &'static [&'static str],
    run: fn(&Value) -> Outcome,
}

fn parse(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row[key].as_str().unwrap_or_default()
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
        let rows = parse(self.text);
        let of_table = |text: &str| -> Vec<Value> {
            let mut rows = parse(text);
            rows.retain(|row| row["table"] == self.name);
            rows
        };
        let mut differences: BTreeMap<u64, Value> =
            of_table(include_str!("../../cases/differences.json"))
                .into_iter()
                .map(|row| (row["id"].as_u64().unwrap(), row))
                .collect();
        let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
        let mut failures = Vec::new();
        let mut kinds = BTreeSet::new();
        for row in &rows {
            let id = row["id"].as_u64().unwrap();
            let Some((ours, theirs)) = (self.run)(row) else {
                *left_out.entry(sort_of(row)).or_default() += 1;
                continue;
            };
            kinds.insert(text(row, "kind").to_owned());
            match differences.remove(&id) {
                None if ours == theirs => {}
                None => failures.push(format!("{id}: ours {ours}, theirs {theirs}, row {row}")),
                Some(difference) => {
                    assert!(
                        !text(&difference, "reason").is_empty(),
                        "{id} needs a reason"
                    );
                    if ours == theirs {
                        failures.push(format!("{id}: is no difference: {ours}"));
                    } else if ours != difference["ours"] {
                        failures.push(format!("{id}: ours {ours}, said {}", difference["ours"]));
                    }
                }
            }
        }
        assert!(
            failures.is_empty(),
            "{} of {} rows of {}:\n{}",
            failures.len(),
            rows.len(),
            self.name,
            failures.join("\n")
        );
        assert!(differences.is_empty(), "no such rows: {differences:?}");
        for kind in self.kinds {
            assert!(kinds.contains(*kind), "no row of kind {kind} was run");
        }
        let said: BTreeMap<String, u64> = of_table(include_str!("../../cases/left-out.json"))
            .iter()
            .map(|row| {
                assert!(!text(row, "reason").is_empty());
                (
                    text(row, "rows_of").to_owned(),
                    row["count"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(left_out, said, "what is left out of {}", self.name);
    }
}

/// A policy without Flux's default exclusions, which the tables' functions do not have.
fn bare(mut spec: PolicySpec) -> PolicySpec {
    spec.exclusions = Exclusions::none();
    spec
}

/// The context of the tables: the list as it is given, in an age without clocks.
fn context() -> Context {
    Context::at(jiff::Timestamp::UNIX_EPOCH).with_order(ListOrder::AsGiven)
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .map(|list| {
            list.iter()
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default()
}

/// The candidates of a list; what is no legal tag never reaches a policy.
fn candidates(tags: &[String]) -> Vec<Candidate<'_>> {
    tags.iter()
        .filter_map(|tag| TagRef::new(tag).ok().map(Candidate::new))
        .collect()
}

/// What is chosen, or the sentence that says why nothing is.
fn choose(policy: &Policy, tags: &[String], context: &Context) -> Value {
    match policy.select(candidates(tags), context).result {
        Ok(tag) => tag.as_str().into(),
        Err(reason) => reason.to_string().into(),
    }
}

/// All tags that the policy could choose, the best first.
fn ranking(policy: &Policy, mut list: Vec<Candidate<'_>>, context: &Context) -> Vec<String> {
    let mut ranked = Vec::new();
    while let Ok(tag) = policy.select(list.iter().copied(), context).result {
        let at = list.iter().position(|c| c.tag == tag.as_ref()).unwrap();
        list.remove(at);
        ranked.push(tag.to_string());
    }
    ranked
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
