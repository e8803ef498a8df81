//! For any document and any set of marked scalars: the marked values change, every other byte stays.

use granit_parser::{Event, Parser};
use proptest::prelude::*;
use std::fmt::Write;
use tagline_policy::{ImageReference, Tag};
use tagline_updater::edit::{EditOptions, Formats, edit, scan_markers};
use tagline_updater::message::template::{Limits, Template, Value};
use tagline_updater::{Choices, PolicyName};

/// Policies by name: the marker's text, the plain text of the value, whether it must be quoted.
const MARKERS: [(&str, &str, bool); 5] = [
    ("ns:app", "ghcr.io/org/app:1.1.0", false),
    ("ns:app:tag", "1.1.0", false),
    ("ns:app:name", "ghcr.io/org/app", false),
    ("ns:float:tag", "1.20", true),
    ("ns:date:tag", "2024-01-02", true),
];

fn choices() -> Choices {
    Choices::from_iter(
        [
            ("app", "ghcr.io/org/app", "1.1.0"),
            ("float", "f", "1.20"),
            ("date", "d", "2024-01-02"),
        ]
        .map(|(policy, name, tag)| {
            let image = ImageReference {
                name: name.to_owned(),
                tag: Tag::new(tag).unwrap(),
                digest: None,
            };
            (PolicyName::new("ns", policy), image)
        }),
    )
}

#[derive(Debug, Clone, Copy)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
    Anchored,
    Empty,
    Number,
}

#[derive(Debug, Clone)]
enum Node {
    /// A value nobody marked, as it is written.
    Other(String),
    Marked(Style, usize),
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    /// `{k: v, # marker`, entries on lines of their own.
    Flow(Vec<(String, Node)>),
}

fn leaf() -> impl Strategy<Value = Node> {
    let style = prop_oneof![
        Just(Style::Plain),
        Just(Style::Single),
        Just(Style::Double),
        Just(Style::Literal),
        Just(Style::Folded),
        Just(Style::Anchored),
        Just(Style::Empty),
        Just(Style::Number),
    ];
    prop_oneof![
        prop_oneof![
            Just("x".to_owned()),
            Just("'it''s # no comment'".to_owned()),
            Just("\"a\\n\\u00e9: [\" # c".to_owned()),
            Just("1.10   # {\"other\": \"json\"}".to_owned()),
            Just("äöü 😀".to_owned()),
            Just("{a: [b,  c], d: }".to_owned()),
            Just("!!binary aGk=".to_owned()),
            "[a-z]{1,8}(: ?|#)?[a-z]{1,8}".prop_map(|text| format!("'{text}'")),
        ]
        .prop_map(Node::Other),
        (style, 0..MARKERS.len()).prop_map(|(style, marker)| Node::Marked(style, marker)),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,6}", "'[a-z #]{1,6}'", "\"[a-z:]{1,6}\""]
}

fn node() -> impl Strategy<Value = Node> {
    leaf().prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec((key(), inner.clone()), 1..5).prop_map(Node::Map),
            prop::collection::vec(inner, 1..5).prop_map(Node::List),
            prop::collection::vec((key(), leaf()), 1..4).prop_map(Node::Flow),
        ]
    })
}

/// Writes a document twice: as it is, and as it has to be afterwards.
struct Writer {
    old: String,
    new: String,
    eol: &'static str,
    step: usize,
    /// Random spaces, blank lines and comments, used up in turn.
    noise: Vec<u8>,
    next: usize,
    marked: usize,
    anchors: usize,
}

impl Writer {
    fn noise(&mut self) -> u8 {
        self.next += 1;
        self.noise[self.next % self.noise.len()]
    }

    fn both(&mut self, text: &str) {
        self.old.push_str(text);
        self.new.push_str(text);
    }

    fn line_end(&mut self) {
        let eol = self.eol;
        self.both(eol);
        match self.noise() % 8 {
            0 => self.both(eol),
            1 => self.both(&format!("   # a comment: {{[\"'{eol}")),
            _ => {}
        }
    }

    fn indent(&mut self, depth: usize) {
        let spaces = " ".repeat(depth * self.step);
        self.both(&spaces);
    }

    fn marker(&mut self, marker: usize) {
        let spaces = " ".repeat(1 + usize::from(self.noise() % 4));
        self.both(&format!(
            "{spaces}# {{\"$imagepolicy\": \"{}\"}}",
            MARKERS[marker].0
        ));
    }

    /// A value behind `key:` or `-`, with the marker, without the line's end.
    fn value(&mut self, style: Style, marker: usize, depth: usize, in_flow: bool) {
        let (_, wanted, quote) = MARKERS[marker];
        self.marked += 1;
        let plain = if quote {
            format!("\"{wanted}\"")
        } else {
            wanted.to_owned()
        };
        let gap = " ".repeat(1 + usize::from(self.noise() % 3));
        let style = match style {
            Style::Literal | Style::Folded if in_flow => Style::Plain,
            style => style,
        };
        match style {
            Style::Plain => {
                self.both(&gap);
                self.old.push_str("old:1.0.0");
                self.new.push_str(&plain);
            }
            Style::Number => {
                self.both(&gap);
                self.old.push_str("1.5");
                self.new.push_str(&plain);
            }
            Style::Single => {
                self.both(&gap);
                self.old.push_str("'it''s old'");
                let _ = write!(self.new, "'{wanted}'");
            }
            Style::Double => {
                self.both(&gap);
                self.old.push_str("\"\\u00e9 # \\\"old\"");
                let _ = write!(self.new, "\"{wanted}\"");
            }
            Style::Anchored => {
                self.anchors += 1;
                self.both(&format!("{gap}&a{} ", self.anchors));
                self.old.push_str("old");
                self.new.push_str(&plain);
            }
            Style::Empty => {
                let _ = write!(self.new, " {plain}");
            }
            Style::Literal | Style::Folded => {
                let header = if matches!(style, Style::Literal) {
                    "|"
                } else {
                    ">-"
                };
                self.both(&format!("{gap}{header}"));
                self.marker(marker);
                let eol = self.eol;
                self.both(eol);
                self.indent(depth + 1);
                self.old.push_str("old:1.0.0");
                self.new.push_str(wanted);
                return;
            }
        }
        if in_flow {
            self.both(",");
        }
        self.marker(marker);
    }

    /// A node behind `key:` or `-`; nested collections begin on the next line.
    fn behind(&mut self, node: &Node, depth: usize) {
        match node {
            Node::Other(text) => {
                self.both(&format!(" {text}"));
                self.line_end();
            }
            Node::Marked(style, marker) => {
                self.value(*style, *marker, depth, false);
                if matches!(style, Style::Literal | Style::Folded) {
                    // A comment would be text of the block.
                    let eol = self.eol;
                    self.both(eol);
                } else {
                    self.line_end();
                }
            }
            Node::Map(entries) => {
                let eol = self.eol;
                self.both(eol);
                self.map(entries, depth + 1);
            }
            Node::List(items) => {
                let eol = self.eol;
                self.both(eol);
                self.list(items, depth + 1);
            }
            Node::Flow(entries) => {
                let eol = self.eol;
                self.both(&format!(" {{{eol}"));
                for (key, node) in entries {
                    self.indent(depth + 1);
                    self.both(&format!("{key}:"));
                    match node {
                        Node::Marked(style, marker) => self.value(*style, *marker, depth, true),
                        _ => self.both(" other,"),
                    }
                    self.both(eol);
                }
                self.indent(depth + 1);
                self.both("}");
                self.line_end();
            }
        }
    }

    fn map(&mut self, entries: &[(String, Node)], depth: usize) {
        for (key, node) in entries {
            self.indent(depth);
            self.both(&format!("{key}:"));
            self.behind(node, depth);
        }
    }

    fn list(&mut self, items: &[Node], depth: usize) {
        for node in items {
            self.indent(depth);
            self.both("-");
            self.behind(node, depth);
        }
    }

    fn document(&mut self, node: &Node) {
        match node {
            Node::List(items) => self.list(items, 0),
            Node::Map(entries) => self.map(entries, 0),
            other => self.map(&[("only".to_owned(), other.clone())], 0),
        }
    }
}

fn scalars(text: &str) -> Vec<String> {
    Parser::new_from_str(text)
        .filter_map(|event| match event.unwrap().0 {
            Event::Scalar(value, ..) => Some(value.trim_end_matches('\n').to_owned()),
            _ => None,
        })
        .collect()
}

proptest! {
    #[test]
    fn only_the_marked_values_change(
        documents in prop::collection::vec(node(), 1..4),
        noise in prop::collection::vec(any::<u8>(), 1..40),
        step in 1_usize..5,
        crlf: bool,
        bom: bool,
    ) {
        let mut writer = Writer {
            old: String::new(),
            new: String::new(),
            eol: if crlf { "\r\n" } else { "\n" },
            step,
            noise,
            next: 0,
            marked: 0,
            anchors: 0,
        };
        if bom {
            writer.both("\u{feff}");
        }
        for (index, document) in documents.iter().enumerate() {
            if index > 0 || crlf {
                let eol = writer.eol;
                writer.both(&format!("---{eol}"));
            }
            writer.document(document);
        }
        let options = EditOptions::default();
        let done = edit("a.yaml", writer.old.as_bytes(), &choices(), &options).unwrap();
        prop_assert_eq!(&done.skipped, &vec![], "{}", writer.old);
        let new = String::from_utf8(done.text.unwrap_or_else(|| writer.old.clone().into_bytes())).unwrap();
        prop_assert_eq!(&new, &writer.new, "{}", writer.old);
        prop_assert_eq!(done.changes.len(), writer.marked);
        // What a parser reads differs in as many scalars as were changed.
        let (before, after) = (scalars(&writer.old), scalars(&new));
        prop_assert_eq!(before.len(), after.len());
        let differing = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        prop_assert_eq!(differing, writer.marked);
        // And there is nothing left to do.
        let index = scan_markers("a.yaml", new.as_bytes(), &options).unwrap();
        prop_assert_eq!(index.markers.len(), writer.marked);
        prop_assert!(!index.may_change(&choices(), &options));
        prop_assert_eq!(edit("a.yaml", new.as_bytes(), &choices(), &options).unwrap().text, None);
    }

    #[test]
    fn any_bytes_are_edited_or_refused(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        let options = EditOptions { formats: Formats::all(), ..EditOptions::default() };
        for path in ["a.yaml", "a.json", "a.tf", "Dockerfile", ".env", "a.tpl"] {
            if let Ok(done) = edit(path, &text, &choices(), &options) {
                prop_assert_eq!(done.text.is_some(), !done.changes.is_empty());
                if let Some(new) = done.text {
                    let again = edit(path, &new, &choices(), &options).unwrap();
                    prop_assert_eq!(again.text, None);
                }
            }
        }
    }

    #[test]
    fn any_template_is_run_or_refused(pieces in prop::collection::vec(template_piece(), 0..30)) {
        let source = pieces.concat();
        if let Ok(template) = Template::parse("t", &source) {
            let data = Value::string_map([("a", "b"), ("c", "d")]);
            let limits = Limits { text: 10_000, work: 100_000, ..Limits::default() };
            if let Ok(text) = template.render_within(&data, limits) {
                prop_assert!(text.len() <= 10_000);
            }
        }
    }
}

/// What YAML with markers is made of, and what breaks it.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "a: ", "b:\n", "- ", "  ", "\n", "\r\n", "x", "'", "\"", "|", ">-", "|2", "{", "}", "[", "]", ",", ": ",
            "---\n", "...\n", "&a ", "*a", "!!str ", "!t ", "# c\n", "#", "~", "é", "\u{feff}", "\t", "? ", "%YAML 1.2\n",
            "{{ .x }}", "1.0", "\\", "# {\"$imagepolicy\": \"ns:app\"}\n", "# {\"$imagepolicy\": \"ns:app:tag\"}",
            " # {\"$imagepolicy\": \"ns:float:tag\"}\n", "a: b # {\"$imagepolicy\": \"ns:app:name\"}\n", "\"a\": \"b\"", "\"$imagepolicy\": \"ns:app\"", "{\"$imagepolicy\": {\"a\": \"ns:app:tag\"}, ", "// ",
            "/* ", " */", "FROM a:1\n", "ARG A=", "A=1", "= \"v\" ", "{{/* ", "\u{2028}", "\u{85}",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

fn template_piece() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "{{", "}}", "{{-", "-}}", " ", "|", "(", ")", ".", ".a", "$x", ":=", "=", "\"s\"", "`r`", "'c'", "1", "-1", "1.5",
            "range ", "if ", "else ", "end", "with ", "define \"t\"", "template \"t\" ", "block \"t\" ", "break", "continue",
            "{{ range $i, $e := . }}", "{{ end }}", "{{ if true }}", "{{ else }}", "printf \"%5d%v\" ", "list ", "dict \"a\" ", "repeat 99 ",
            "index ", "nil", "true", "{{/* c */}}", "{{ $x := list 1 2 }}", "{{ $x = append $x $x }}", "splitList \"\" ", "regexSplit \"\" ",
            "trunc -1 ", "substr 1 2 ", "toJson ", "fromJson ", "é", ",", "\\", "\"", "{{ template \"t\" . }}", "until 100 ", "indent 5 ",
            "{{ define \"t\" }}", "merge ", "set ", "snakecase ", "wrap 3 ", "abbrev 5 ", "seq 3 ", "semver ", "urlParse ", "b32dec ", "\n",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ]
}
