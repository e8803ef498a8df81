//! What the tables say about the inside of ranges, and what a mistake looks like.

use super::comparator::{Comparator, Operator, Precision};
use super::parse::rewrite_hyphens;
use super::{MAX_RANGE_LENGTH, Range};
use serde_json::Value;

fn rows(text: &str, kind: &str) -> Vec<Value> {
    let mut rows: Vec<Value> = serde_json::from_str(text).unwrap();
    rows.retain(|row| row["kind"] == kind);
    assert!(!rows.is_empty(), "no rows of {kind}");
    rows
}

const FLUX_V1: &str = include_str!("../../tests/cases/flux-v1.json");
const FLUX_V2: &str = include_str!("../../tests/cases/flux-v2.json");

#[test]
fn hyphen_ranges_are_rewritten_as_in_the_tables() {
    for row in rows(FLUX_V2, "semver_rewrite_range") {
        let range = row["policy"]["semver"]["range"].as_str().unwrap();
        assert_eq!(rewrite_hyphens(range).text, row["expected"]);
    }
    for row in rows(FLUX_V1, "semver_lib.hyphen_range_rewrite") {
        // v3.1.1 left out the blank behind, which changes nothing.
        let rewritten = rewrite_hyphens(row["input"].as_str().unwrap()).text;
        assert_eq!(rewritten.replace(" ,", ",").trim_end(), row["expected"]);
    }
}

#[test]
fn single_comparators_are_those_of_the_tables() {
    for row in rows(FLUX_V2, "semver_constraint_parse_single") {
        let range = Range::parse(row["policy"]["semver"]["range"].as_str().unwrap()).unwrap();
        let [group] = &range.groups[..] else {
            panic!("one group: {row}");
        };
        let [comparator] = &group.comparators[..] else {
            panic!("one comparator: {row}");
        };
        let function = match comparator.operator {
            Operator::Equal => "constraintTildeOrEqual",
            Operator::NotEqual => "constraintNotEqual",
            Operator::Greater => "constraintGreaterThan",
            Operator::Less => "constraintLessThan",
            Operator::GreaterOrEqual => "constraintGreaterThanEqual",
            Operator::LessOrEqual => "constraintLessThanEqual",
            Operator::Tilde => "constraintTilde",
            Operator::Caret => "constraintCaret",
        };
        assert_eq!(function, row["expected"]["func"]);
        let Comparator {
            major,
            minor,
            patch,
            ..
        } = comparator;
        assert_eq!(
            format!("{major}.{minor}.{patch}"),
            row["expected"]["version"].as_str().unwrap()
        );
    }
}

#[test]
fn wildcards_say_how_much_was_written() {
    for (range, precision) in [
        ("*", Precision::Any),
        ("x.1", Precision::Any),
        ("1.X", Precision::Major),
        ("1.*.3", Precision::Major),
        ("1.2", Precision::Minor),
        ("v1.2.x-rc", Precision::Minor),
        ("1.2.3+build", Precision::Full),
    ] {
        let range = Range::parse(range).unwrap();
        assert_eq!(range.groups[0].comparators[0].precision, precision);
    }
}

#[test]
fn limits_are_those_of_the_library() {
    let groups = |n: usize| vec!["1.0.0"; n].join("||");
    assert!(Range::parse(&groups(32)).is_ok());
    assert_eq!(
        Range::parse(&groups(33)).unwrap_err().problem(),
        "too many constraint groups (max 32)"
    );
    let long = format!("1.0.0{}", " ".repeat(MAX_RANGE_LENGTH - 5));
    assert!(Range::parse(&long).is_ok());
    assert_eq!(
        Range::parse(&format!("{long} ")).unwrap_err().problem(),
        "constraint string is too long (max 512 bytes)"
    );
    assert_eq!(
        Range::parse(&format!("1.0.0-{}", "a".repeat(260)))
            .unwrap_err()
            .problem(),
        "constraint parser error"
    );
}

#[test]
fn mistakes_are_shown_at_their_place() {
    for (range, offset, problem) in [
        (">= bar", 3, "improper constraint: \">= bar\""),
        (
            ">=1.0 <2.0 foo",
            11,
            "improper constraint: \">=1.0 <2.0 foo\"",
        ),
        ("1.0 || ", 7, "improper constraint: \" \""),
        ("1.2.3.4", 5, "improper constraint: \"1.2.3.4\""),
        (">=1.0, 1x", 7, "constraint parser error"),
        ("1 - 2 foo", 6, "improper constraint: \">= 1, <= 2 foo\""),
        ("1.0 ||2 - 3", 3, "improper constraint: \"1.0>= \""),
        ("1\u{7}\"", 1, r#"improper constraint: "1\a\"""#),
        ("1.2.3-beta.01", 0, "constraint parser error"),
        ("99999999999999999999", 0, "constraint parser error"),
    ] {
        let error = Range::parse(range).unwrap_err();
        assert_eq!(
            (error.offset(), error.problem()),
            (offset, problem),
            "{range}"
        );
        assert_eq!(error.text(), range);
    }
}
