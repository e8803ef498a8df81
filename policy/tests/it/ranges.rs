//! Ranges and versions against a second reading of Masterminds/semver: its regular expressions.

use proptest::prelude::*;
use regex::Regex;
use std::sync::LazyLock;
use tagline_policy::{Fit, Range, Version};

/// The library's grammar as it is documented: operators, versions with wildcards, lists of them.
struct Grammar {
    hyphen: Regex,
    list: Regex,
}

static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    let version = r"v?(?:[0-9|xX*]+)(?:\.[0-9|xX*]+)?(?:\.[0-9|xX*]+)?(?:-[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*)?(?:\+[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*)?";
    let space = r"[\t\n\x0C\r ]";
    let operator = r"(?:=|!=|>|<|>=|=>|<=|=<|~|~>|\^)?";
    let one = format!("{operator}{space}*{version}{space}*");
    Grammar {
        hyphen: Regex::new(&format!(
            "{space}*({version}){space}+-{space}+({version}){space}*"
        ))
        .unwrap(),
        list: Regex::new(&format!("^{space}*{one}(?:(?:{space}+|,{space}*){one})*$")).unwrap(),
    }
});

/// Whether the grammar takes a range, up to what its numbers may be.
fn is_well_formed(text: &str) -> bool {
    let mut rewritten = text.to_owned();
    for found in GRAMMAR.hyphen.captures_iter(text) {
        let new = format!(">= {}, <= {} ", &found[1], &found[2]);
        rewritten = rewritten.replacen(&found[0], &new, 1);
    }
    rewritten
        .split("||")
        .all(|group| GRAMMAR.list.is_match(group))
}

fn range_text() -> impl Strategy<Value = String> {
    let version =
        "v?([0-9]{1,2}|[xX*])(\\.([0-9]{1,2}|[xX*])){0,3}(-[a-z0-9.]{1,4})?(\\+[a-z]{1,2})?";
    let operator = "(=|!=|>|<|>=|=>|<=|=<|~|~>|\\^|)";
    let comparator = format!("{operator} {{0,2}}{version}");
    let group = format!("{comparator}(( |, | , | - |,){comparator}){{0,3}}");
    proptest::string::string_regex(&format!("{group}( ?\\|\\| ?{group}){{0,2}}")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_grammar_is_that_of_the_library(text in prop_oneof![range_text(), "[0-9x*v.<>=~^!|, +-]{0,16}"]) {
        match Range::parse(&text) {
            Ok(_) => prop_assert!(is_well_formed(&text), "{text:?} was taken"),
            // What has the form may still have numbers that are none (`1x`, `1.0.0-00`).
            Err(error) if error.problem() == "constraint parser error" => {}
            Err(error) => prop_assert!(!is_well_formed(&text), "{text:?}: {}", error.problem()),
        }
    }

    #[test]
    fn ranges_of_any_text_never_panic(text in "\\PC{0,60}") {
        if let Err(error) = Range::parse(&text) {
            let shown = error.to_string();
            prop_assert!(shown.contains('^'));
            prop_assert!(error.offset() <= text.len());
            prop_assert!(!error.message().contains('\n'));
        }
    }

    #[test]
    fn versions_of_any_text_never_panic(text in "\\PC{0,60}") {
        let _ = Version::parse(&text);
        let _ = Version::parse_tag(&text);
    }

    #[test]
    fn strict_versions_are_read_and_ordered_as_semver_org_has_it(
        a in "(0|[1-9][0-9]{0,3})\\.(0|[1-9][0-9]{0,3})\\.(0|[1-9][0-9]?)(-(0|[1-9][0-9]{0,2}|[a-z][a-z0-9]{0,3})(\\.(0|[1-9][0-9]?|[a-z]{1,2}))?)?",
        b in "(0|[1-9])\\.(0|[1-9])\\.(0|[1-9])(-(0|[1-9]|rc)(\\.(0|[1-9]))?)?",
        c in "(0|[1-9])\\.(0|[1-9])\\.(0|[1-9])(-(0|[1-9]|rc)(\\.(0|[1-9]))?)?",
    ) {
        for (x, y) in [(&a, &b), (&b, &c), (&c, &a)] {
            let ours = Version::parse(x).unwrap().cmp(&Version::parse(y).unwrap());
            let strict = |text: &str| semver::Version::parse(text).unwrap();
            prop_assert_eq!(ours, strict(x).cmp_precedence(&strict(y)));
        }
        prop_assert_eq!(Version::parse(&a).unwrap().to_string(), a.clone());
    }

    #[test]
    fn what_fits_is_inside_or_a_prerelease(
        range in range_text(),
        version in "[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,2}(-[a-z]{1,2}(\\.[0-9])?)?",
    ) {
        if let (Ok(range), Ok(version)) = (Range::parse(&range), Version::parse(&version)) {
            prop_assert_eq!(range.contains(&version), range.fit(&version) == Fit::Inside);
            if range.fit(&version) == Fit::Prerelease {
                prop_assert!(version.is_prerelease());
            }
        }
    }
}

#[test]
fn oddities_of_the_library_are_kept() {
    let fits = |range: &str, version: &str| {
        Range::parse(range)
            .unwrap()
            .contains(&Version::parse(version).unwrap())
    };
    assert!(fits("^*", "0.0.0") && !fits("^*", "0.0.1"));
    assert!(fits(">*", "0.0.1") && !fits(">*", "0.0.0"));
    assert!(fits("<=*", "0.0.9") && !fits("<=*", "0.1.0"));
    assert!(!fits("!=*", "0.0.0") && fits("!=*", "0.0.1"));
    assert!(fits("~0.0.0", "9.9.9"));
    assert!(fits("1.2", "1.2.9") && !fits("1.2", "1.3.0"));
    assert!(fits("1.0.0-0 - 2", "1.5.0-rc.1"));
    assert!(!fits(">=1.0.0-0 || 2", "2.0.0-rc.1") || fits(">=1.0.0-0", "2.0.0-rc.1"));
    assert!(fits(
        ">=2.0.0-beta.99999999999999999999",
        "2.0.0-beta.99999999999999999999"
    ));
    assert!(Range::parse("1.0 ||2 - 3").is_err());
}

#[test]
fn two_dots_make_a_tag_a_candidate() {
    for (text, shown) in [
        ("v2025.07.03", Some("2025.7.3")),
        ("1.2-beta.5", Some("1.2.0-beta.5")),
        ("1-a.b.c", Some("1.0.0-a.b.c")),
        ("18446744073709551615.0.0", Some("18446744073709551615.0.0")),
        ("18446744073709551616.0.0", None),
        ("1.2", None),
        ("v3", None),
        ("V1.2.3", None),
        ("1.2.3.4", None),
        ("1.2.3-01", None),
        ("1.2.3-", None),
        ("1.2.3_4", None),
    ] {
        let parsed = Version::parse_tag(text).map(|v| v.to_string());
        assert_eq!(parsed.as_deref().ok(), shown, "{text}");
    }
}
