//! Go's regular expressions and templates, as a filter sees them.
//!
//! Which patterns Go takes and refuses, and with which words, follows `regexp/syntax`; so does what a
//! template makes of a match.

use super::support::{policy_of, tag};
use proptest::prelude::*;
use tagline_policy::{Choice, InvalidPolicy, Order, Policy, PolicySpec};

fn compile(pattern: &str, extract: &str) -> Result<Policy, InvalidPolicy> {
    let choice = Choice::Alphabetical {
        order: Order::Ascending,
    };
    policy_of(PolicySpec::new(choice).with_filter(pattern, extract))
}

fn matches(pattern: &str, text: &str) -> bool {
    compile(pattern, "")
        .unwrap_or_else(|error| panic!("{pattern}: {error}"))
        .compared_text(tag(text))
        .is_some()
}

fn expanded(pattern: &str, template: &str, text: &str) -> Option<String> {
    compile(pattern, template).unwrap().compared_text(tag(text))
}

#[test]
fn what_rust_reads_differently_is_read_as_in_go() {
    for (pattern, matching, other) in [
        (r"^\Qa.b\E$", "a.b", "axb"),
        (r"^\Qa.b", "a.b", "axb"),
        (r"^a\x2eb\056c$", "a.b.c", "axbxc"),
        (r"^[[a]$", "a", "b"),
        (r"^[a&&b]+$", "ab", "c"),
        (r"^[+--b]+$", "b-", "a"),
        (r"^[a~~b]+$", "ab", "c"),
        (r"^[]a]$", "a", "b"),
        (r"^[^]a]$", "b", "a"),
        (r"^\d+$", "12", "a"),
        (r"^\w+$", "a_1", "a-1"),
        (r"^[[:alnum:]]+$", "a1", "a_1"),
        (r"^[[:word:]]+$", "a_1", "a-1"),
        (r"^[[:^digit:]]+$", "ab", "a1"),
        (r"^\pL\p{Nd}\PL$", "a1_", "11_"),
        (r"^\p{^L}$", "1", "a"),
        (r"^\p{Greek}*a$", "a", "b"),
        (r"^(?i)RC\d$", "rc1", "rd1"),
        (r"^(?i:a)B$", "AB", "Ab"),
        (r"^(?i)\x{17f}$", "S", "T"),
        (r"^(?i)[\x{212a}]$", "k", "l"),
        (r"^[^é]$", "e", "ee"),
        (r"(?U)^a+?$", "aa", "b"),
        (r"\bmain\b", "x-main-y", "xmain"),
        (r"\Bain", "main", "ain"),
        (r"^(?P<1a>x)$", "x", "y"),
        (r"^(?<n>x)(?P<n>y)$", "xy", "x"),
        (r"^a{2}$", "aa", "a"),
        (r"^a{2,}$", "aaa", "a"),
        (r"^(a|b|ab){0}c$", "c", "ac"),
        (r"^x*$", "xx", "y"),
        (r"\A1\z", "1", "11"),
        (r"(?m)^a$", "a", "b"),
        (r"(?s)^.$", "a", "ab"),
        (r"(|a)+b$", "ab", "a"),
    ] {
        assert!(matches(pattern, matching), "{pattern} on {matching}");
        assert!(!matches(pattern, other), "{pattern} on {other}");
    }
}

#[test]
fn braces_and_escapes_that_go_takes_literally_are_taken() {
    // None of these can match a tag, but none is a mistake either.
    for pattern in [
        "{",
        "a{",
        "a{,2}",
        "a{1",
        "a{1,",
        "a{x}",
        "a{01}",
        r"\<a\>",
        r"\_",
        r"\-",
        "]",
        "}",
        "a]",
        r"[\]]",
        r"[\]-a]",
        r"\0",
        r"\07",
        r"\x{10FFFF}",
        "é",
        "[é-ü]",
        "(?i)é",
        "()",
        "(?:)",
        "(?i)",
        "(?)",
        "(|)",
        "^*",
        "$+",
        r"\b*",
        "(?:^)*",
        r"\Q\E",
        r"\Qa\E*",
        "x{0}",
        "x{1000}",
        "(?:x{10}){100}",
    ] {
        assert!(compile(pattern, "").is_ok(), "{pattern}");
    }
}

#[test]
fn what_go_refuses_is_refused_in_its_words() {
    for (pattern, code, part, offset) in [
        ("[=", "missing closing ]", "[=", 0),
        ("ab[a", "missing closing ]", "[a", 2),
        ("[]", "missing closing ]", "[]", 0),
        ("(a", "missing closing )", "(a", 0),
        ("a(b(c)", "missing closing )", "a(b(c)", 1),
        ("a)b", "unexpected )", "a)b", 1),
        ("*a", "missing argument to repetition operator", "*", 0),
        ("a|*", "missing argument to repetition operator", "*", 2),
        ("(?i)+?", "missing argument to repetition operator", "+?", 4),
        ("a**", "invalid nested repetition operator", "**", 1),
        ("a*{2}", "invalid nested repetition operator", "*{2}", 1),
        ("a{2}{3}", "invalid nested repetition operator", "{2}{3}", 1),
        ("a{1001}", "invalid repeat count", "{1001}", 1),
        ("a{2,1}", "invalid repeat count", "{2,1}", 1),
        (
            "a{1,99999999999}",
            "invalid repeat count",
            "{1,99999999999}",
            1,
        ),
        ("(?:a{100}){11}", "invalid repeat count", "{11}", 10),
        ("[z-a]", "invalid character class range", "z-a", 1),
        ("[a--b]", "invalid character class range", "a--", 1),
        (r"\p{Foo}", "invalid character class range", r"\p{Foo}", 0),
        (
            r"\p{Alphabetic}",
            "invalid character class range",
            r"\p{Alphabetic}",
            0,
        ),
        (r"[\pX]", "invalid character class range", r"\pX", 1),
        ("[[:foo:]]", "invalid character class range", "[:foo:]", 1),
        (r"a\", "trailing backslash at end of expression", "", 1),
        (r"\8", "invalid escape sequence", r"\8", 0),
        (r"(a)\1", "invalid escape sequence", r"\1", 3),
        (r"\C", "invalid escape sequence", r"\C", 0),
        (r"\Z", "invalid escape sequence", r"\Z", 0),
        (r"\h", "invalid escape sequence", r"\h", 0),
        (r"\x{}", "invalid escape sequence", r"\x{}", 0),
        (r"\x{110000}", "invalid escape sequence", r"\x{110000", 0),
        (r"\x4", "invalid escape sequence", r"\x4", 0),
        (r"\é", "invalid escape sequence", r"\é", 0),
        ("(?=a)", "invalid or unsupported Perl syntax", "(?=", 0),
        ("(?<!a)b", "invalid named capture", "(?<!a)b", 0),
        ("(?x)a", "invalid or unsupported Perl syntax", "(?x", 0),
        ("(?i-)", "invalid or unsupported Perl syntax", "(?i-)", 0),
        ("(?#c)", "invalid or unsupported Perl syntax", "(?#", 0),
        ("(?P=n)", "invalid or unsupported Perl syntax", "(?P", 0),
        ("(?P<n", "invalid named capture", "(?P<n", 0),
        ("(?P<a b>c)", "invalid named capture", "(?P<a b>", 0),
        ("(?P<>c)", "invalid named capture", "(?P<>", 0),
    ] {
        let error = compile(pattern, "").unwrap_err();
        assert_eq!(
            error.problem(),
            format!("error parsing regexp: {code}: `{part}`"),
            "{pattern}"
        );
        assert_eq!(error.offset(), offset, "{pattern}");
        assert_eq!(
            error.message(),
            format!(
                "failed to filter tags: invalid regular expression pattern '{pattern}': {}",
                error.problem()
            )
        );
    }
}

#[test]
fn greedy_patterns_are_limited() {
    let deep = format!("{}a{}", "(".repeat(1200), ")".repeat(1200));
    let error = compile(&deep, "").unwrap_err();
    assert!(error.problem().contains("expression nests too deeply"));
    let long = "a".repeat(70_000);
    let error = compile(&long, "").unwrap_err();
    assert!(error.problem().contains("expression too large"));
    let wide = r"(?:[a-z]{500}|[0-9]{500})?".repeat(100);
    let error = compile(&wide, "").unwrap_err();
    assert!(error.problem().contains("expression too large"));
    // Some thousand optional characters would take milliseconds for each tag.
    assert!(compile(&"[a-z]?".repeat(2_700), "").is_err());
    assert!(compile(&"[a-z]?".repeat(500), "").is_ok());
    // What would take exponential time elsewhere is linear here.
    assert!(!matches("^(a+)+$", &format!("{}b", "a".repeat(120))));
}

#[test]
fn templates_expand_as_in_go() {
    let pattern = r"^(?P<name>[a-z]+)-(\d+)(x)?$";
    for (template, expected) in [
        ("$name", "main"),
        ("${name}", "main"),
        ("$1", "main"),
        ("$2-$1", "12-main"),
        ("$0", "main-12"),
        ("$$", "$"),
        ("$$1", "$1"),
        ("$3", ""),
        ("a$3b", "a"),
        ("a${3}b", "ab"),
        ("$9", ""),
        ("$1x", ""),
        ("${1}x", "mainx"),
        ("$01", ""),
        ("$nameless", ""),
        ("$", "$"),
        ("a$", "a$"),
        ("$-", "$-"),
        ("${", "${"),
        ("${}", "${}"),
        ("${name", "${name"),
        ("${a b}", "${a b}"),
        ("$é", ""),
        ("$½", "$½"),
        ("$name.$2", "main.12"),
        ("plain", "plain"),
    ] {
        assert_eq!(
            expanded(pattern, template, "main-12").as_deref(),
            Some(expected),
            "{template}"
        );
    }
    assert_eq!(expanded(pattern, "", "main-12").as_deref(), Some("main-12"));
    assert_eq!(expanded(pattern, "$1", "main"), None);
    // Of two groups with one name, the first that matched counts.
    assert_eq!(
        expanded("^(?:a(?P<n>1)|b(?P<n>2))$", "<$n>", "b2").as_deref(),
        Some("<2>")
    );
}

/// Patterns in the syntax that Go and Rust read alike.
fn shared_pattern() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        4 => "[a-c1-]",
        1 => Just(".".to_owned()),
        1 => prop_oneof![Just("[ab]"), Just("[^a]"), Just("[a-c1]"), Just(r"\d"), Just(r"\w"), Just(r"\W"), Just("[[:alpha:]]")].prop_map(str::to_owned),
        1 => prop_oneof![Just("^"), Just("$"), Just(r"\b"), Just(r"\B")].prop_map(str::to_owned),
    ];
    atom.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            3 => proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => proptest::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            2 => inner.clone().prop_map(|part| format!("({part})")),
            1 => inner.clone().prop_map(|part| format!("(?i:{part})")),
            3 => (inner, prop_oneof![Just("*"), Just("+"), Just("?"), Just("*?"), Just("+?"), Just("??"), Just("{1,2}"), Just("{0,2}?"), Just("{2}")])
                .prop_map(|(part, repeat)| format!("(?:{part}){repeat}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Leftmost-first matching, groups and all, is the same.
    #[test]
    fn matches_as_the_regex_crate_does_where_syntax_is_shared(
        pattern in shared_pattern(),
        texts in proptest::collection::vec("[abcABC1_][abcABC1_.-]{0,7}", 1..6),
    ) {
        let theirs = regex::bytes::RegexBuilder::new(&pattern).unicode(false).build().unwrap();
        let groups = 0..theirs.captures_len();
        let template: Vec<String> = groups.map(|n| format!("<${{{n}}}>")).collect();
        let ours = compile(&pattern, &template.concat()).unwrap();
        for text in texts {
            let expected = theirs.captures(text.as_bytes()).map(|captures| {
                let groups = captures.iter().map(|group| {
                    let bytes = group.map_or(&b""[..], |m| m.as_bytes());
                    format!("<{}>", std::str::from_utf8(bytes).unwrap())
                });
                groups.collect::<Vec<_>>().concat()
            });
            prop_assert_eq!(ours.compared_text(tag(&text)), expected, "{} on {}", pattern, text);
        }
    }
}
