//! What is proposed for tag lists as they are found.

use std::fmt::Write as _;
use tagline_policy::{Context, Policy, TagRef, suggest};

fn proposals(tags: &[&str]) -> String {
    suggest(tags.iter().map(|tag| TagRef::new(tag).unwrap()))
        .iter()
        .fold(String::new(), |shown, proposal| {
            Policy::compile(&proposal.spec).unwrap();
            let filter = proposal.filter().map_or(String::new(), |filter| {
                format!(" filter {} extract {}", filter.pattern, filter.extract)
            });
            shown
                + &format!(
                    "{:?}{filter}\n  -> {} of {}: {}\n",
                    proposal.spec.choice, proposal.chooses, proposal.matched, proposal.why
                )
        })
}

#[test]
fn versions_with_variants() {
    insta::assert_snapshot!(proposals(&[
        "1.25.3",
        "1.25.4",
        "1.26.0-rc.1",
        "1.25.3-alpine",
        "1.25.4-alpine",
        "latest",
        "alpine",
    ]));
}

#[test]
fn branch_commit_timestamp() {
    insta::assert_snapshot!(proposals(&[
        "main-2a3560ef-1694132169",
        "main-1a3560ef-1696801785",
        "develop-3a3560ef-1695801785",
        "latest",
    ]));
}

#[test]
fn build_numbers() {
    insta::assert_snapshot!(proposals(&["9-abc1234", "10-0ffee12", "11-deadbe3"]));
}

#[test]
fn dates() {
    insta::assert_snapshot!(proposals(&[
        "RELEASE.2023-01-02T09-40-09Z",
        "RELEASE.2022-12-12T19-27-27Z",
        "2024.1",
        "2024.10",
        "latest",
    ]));
}

#[test]
fn nothing_to_sort() {
    assert!(suggest([]).is_empty());
    assert_eq!(proposals(&["latest", "main", "abc1234", "stable"]), "");
    let signature = format!("sha256-{}.sig", "a".repeat(64));
    assert_eq!(proposals(&[&signature]), "");
}

/// Lists of well-known images, each with what is proposed for it, as a table.
#[test]
fn well_known_images() {
    let text = include_str!("../cases/tag-lists.txt");
    let mut table = String::new();
    for section in text.split("\n## ").skip(1) {
        let (title, tags) = section.split_once('\n').unwrap();
        let tags: Vec<&str> = tags.split_whitespace().collect();
        writeln!(table, "{title} ({} tags)", tags.len()).unwrap();
        let proposals = suggest(tags.iter().map(|tag| TagRef::new(tag).unwrap()));
        if proposals.is_empty() {
            table += "  -\n";
        }
        for proposal in proposals {
            let policy = Policy::compile(&proposal.spec).unwrap();
            let chosen = policy.select(super::support::candidates(&tags), &context());
            assert_eq!(chosen.result.as_ref(), Ok(&proposal.chooses), "{title}");
            let filter = proposal.filter().map_or(String::new(), |filter| {
                format!("  {}  {}", filter.pattern, filter.extract)
            });
            let choice = format!("{:?}", proposal.spec.choice);
            let (tag, matched) = (proposal.chooses.as_str(), proposal.matched);
            writeln!(table, "  {tag:<28} of {matched:<3} {choice}{filter}").unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

fn context() -> Context {
    Context::at(jiff::Timestamp::UNIX_EPOCH)
}
