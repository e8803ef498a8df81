//! One page of `{"name": …, "tags": ["…", …]}` (or of the catalog), read while it arrives.
//!
//! A list of a million tags is never in memory as text: each name goes to its taker as soon as it is complete, and
//! everything else in the page (some registries add a map of all manifests) is checked and passed over. That is why
//! `oci_spec::distribution::TagList` is not used here: it needs the whole page, and each name as a string of its own.

/// How deep arrays and objects may lie in each other.
const MAX_DEPTH: usize = 64;
/// How much of a string is kept: longer ones are neither a legal tag nor a key that matters.
const KEPT: usize = 512;
/// The longest number or literal.
const MAX_LITERAL: usize = 1024;

/// Why a page is refused: what was wrong, at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MalformedPage {
    pub(crate) what: &'static str,
    pub(crate) offset: u64,
}

/// Reads one page.
#[derive(Debug)]
pub(crate) struct ListPage {
    /// The key of the list: `tags` or `repositories`.
    key: &'static str,
    lexeme: Lexeme,
    expect: Expect,
    containers: Vec<Container>,
    /// The string or literal being read.
    text: Vec<u8>,
    /// Characters of the string that were not kept.
    overlong: bool,
    list: List,
    offset: u64,
}

/// Where the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    NotYet,
    /// The next value.
    Next,
    Inside,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lexeme {
    None,
    String,
    Escape,
    /// `\u` with so many digits read, and their value.
    Unicode(u8, u32),
    Literal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    Nothing,
}

impl ListPage {
    /// A page whose list has the given key.
    pub(crate) const fn new(key: &'static str) -> Self {
        Self {
            key,
            lexeme: Lexeme::None,
            expect: Expect::Value,
            containers: Vec::new(),
            text: Vec::new(),
            overlong: false,
            list: List::NotYet,
            offset: 0,
        }
    }

    /// Takes the next bytes; `take` gets each name of the list, as bytes that may be anything. A name that is too
    /// long to be one is given cut to 512 bytes, which no check lets pass.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), MalformedPage> {
        let mut rest = bytes;
        loop {
            if self.list == List::Inside && self.lexeme == Lexeme::None {
                rest = self.names(rest, &mut take);
            }
            let Some((&byte, behind)) = rest.split_first() else {
                return Ok(());
            };
            match self.lexeme {
                Lexeme::String => {
                    // Most bytes of a page are inside strings: take runs of them at once.
                    let run = rest
                        .iter()
                        .position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f))
                        .unwrap_or(rest.len());
                    let (plain, after) = rest.split_at(run);
                    self.keep(plain);
                    self.offset += run as u64;
                    rest = after;
                    if let Some((&byte, behind)) = after.split_first() {
                        match byte {
                            b'"' => self.end_string(&mut take)?,
                            b'\\' => self.lexeme = Lexeme::Escape,
                            _ => return Err(self.malformed("a control character in a string")),
                        }
                        self.offset += 1;
                        rest = behind;
                    }
                    continue;
                }
                Lexeme::Literal if is_literal(byte) => {
                    if self.text.len() == MAX_LITERAL {
                        return Err(self.malformed("a number that is too long"));
                    }
                    self.text.push(byte);
                }
                Lexeme::Literal => {
                    self.end_literal()?;
                    continue;
                }
                Lexeme::Escape => self.escape(byte)?,
                Lexeme::Unicode(digits, value) => self.unicode(byte, digits, value)?,
                Lexeme::None => self.structure(byte)?,
            }
            self.offset += 1;
            rest = behind;
        }
    }

    /// Takes whole plain names, one after the other, as far as nothing else comes in between: nearly all of a page is
    /// `"…","…"`. Gives what is left for the careful way.
    fn names<'b>(&mut self, mut bytes: &'b [u8], take: &mut impl FnMut(&[u8])) -> &'b [u8] {
        loop {
            match (self.expect, bytes) {
                (Expect::Value | Expect::ValueOrEnd, [b'"', name @ ..]) => {
                    let Some(end) = name.iter().take(KEPT).position(|b| !is_plain(*b)) else {
                        return bytes;
                    };
                    let (name, behind) = name.split_at(end);
                    let [b'"', behind @ ..] = behind else {
                        return bytes;
                    };
                    take(name);
                    self.offset += end as u64 + 2;
                    self.expect = Expect::CommaOrEnd;
                    bytes = behind;
                }
                (Expect::CommaOrEnd, [b',', behind @ ..]) => {
                    self.offset += 1;
                    self.expect = Expect::Value;
                    bytes = behind;
                }
                _ => return bytes,
            }
        }
    }

    /// The page has ended; `false` when it held no list.
    pub(crate) fn finish(&mut self) -> Result<bool, MalformedPage> {
        if self.lexeme == Lexeme::Literal {
            self.end_literal()?;
        }
        if self.expect == Expect::Nothing && self.lexeme == Lexeme::None {
            Ok(self.list == List::Done)
        } else {
            Err(self.malformed("it ends in the middle"))
        }
    }

    fn structure(&mut self, byte: u8) -> Result<(), MalformedPage> {
        match (byte, self.expect) {
            (b' ' | b'\t' | b'\n' | b'\r', _) => {}
            (b'"', Expect::Value | Expect::ValueOrEnd | Expect::KeyOrEnd | Expect::Key) => {
                if self.containers.is_empty() {
                    return Err(self.malformed("it is not a JSON object"));
                }
                self.lexeme = Lexeme::String;
                self.text.clear();
                self.overlong = false;
            }
            (b'{' | b'[', Expect::Value | Expect::ValueOrEnd) => self.open(byte)?,
            (b'}', Expect::KeyOrEnd | Expect::CommaOrEnd)
                if self.containers.last() == Some(&Container::Object) =>
            {
                self.close();
            }
            (b']', Expect::ValueOrEnd | Expect::CommaOrEnd)
                if self.containers.last() == Some(&Container::Array) =>
            {
                self.close();
            }
            (b':', Expect::Colon) => self.expect = Expect::Value,
            (b',', Expect::CommaOrEnd) => {
                self.expect = match self.containers.last() {
                    Some(Container::Object) => Expect::Key,
                    _ => Expect::Value,
                };
            }
            (_, Expect::Value | Expect::ValueOrEnd)
                if is_literal(byte) && !self.containers.is_empty() =>
            {
                self.lexeme = Lexeme::Literal;
                self.text.clear();
                self.text.push(byte);
            }
            (_, Expect::Nothing) => return Err(self.malformed("something follows the JSON object")),
            (_, _) if self.containers.is_empty() => {
                return Err(self.malformed("it is not a JSON object"));
            }
            _ => return Err(self.malformed("it is not valid JSON")),
        }
        Ok(())
    }

    fn open(&mut self, byte: u8) -> Result<(), MalformedPage> {
        let container = if byte == b'{' {
            Container::Object
        } else {
            Container::Array
        };
        if self.containers.is_empty() && container == Container::Array {
            return Err(self.malformed("it is not a JSON object"));
        }
        if self.containers.len() == MAX_DEPTH {
            return Err(self.malformed("it is nested too deeply"));
        }
        match (self.list, container) {
            (List::Inside, _) => {
                return Err(self.malformed("the list holds something else than strings"));
            }
            (List::Next, Container::Object) => {
                return Err(self.malformed("the list is not an array"));
            }
            (List::Next, Container::Array) => self.list = List::Inside,
            (List::NotYet | List::Done, _) => {}
        }
        self.containers.push(container);
        self.expect = match container {
            Container::Object => Expect::KeyOrEnd,
            Container::Array => Expect::ValueOrEnd,
        };
        Ok(())
    }

    fn close(&mut self) {
        self.containers.pop();
        if self.list == List::Inside {
            self.list = List::Done;
        }
        self.after_value();
    }

    fn after_value(&mut self) {
        self.expect = if self.containers.is_empty() {
            Expect::Nothing
        } else {
            Expect::CommaOrEnd
        };
    }

    fn end_string(&mut self, take: &mut impl FnMut(&[u8])) -> Result<(), MalformedPage> {
        self.lexeme = Lexeme::None;
        if matches!(self.expect, Expect::Key | Expect::KeyOrEnd) {
            self.expect = Expect::Colon;
            if self.containers.len() == 1 && self.text == self.key.as_bytes() && !self.overlong {
                if self.list != List::NotYet {
                    return Err(self.malformed("the list is there twice"));
                }
                self.list = List::Next;
            }
            return Ok(());
        }
        match self.list {
            List::Next => return Err(self.malformed("the list is not an array")),
            List::Inside => take(&self.text),
            List::NotYet | List::Done => {}
        }
        self.after_value();
        Ok(())
    }

    fn end_literal(&mut self) -> Result<(), MalformedPage> {
        self.lexeme = Lexeme::None;
        let is_null = self.text == b"null";
        if !is_null && self.text != b"true" && self.text != b"false" && !is_number(&self.text) {
            return Err(self.malformed("it is not valid JSON"));
        }
        match self.list {
            List::Inside => {
                return Err(self.malformed("the list holds something else than strings"));
            }
            // Registries written in Go send `null` for an empty list.
            List::Next if is_null => self.list = List::Done,
            List::Next => return Err(self.malformed("the list is not an array")),
            List::NotYet | List::Done => {}
        }
        self.after_value();
        Ok(())
    }

    fn escape(&mut self, byte: u8) -> Result<(), MalformedPage> {
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.lexeme = Lexeme::Unicode(0, 0);
                return Ok(());
            }
            _ => return Err(self.malformed("an unknown escape in a string")),
        };
        self.keep(&[plain]);
        self.lexeme = Lexeme::String;
        Ok(())
    }

    fn unicode(&mut self, byte: u8, digits: u8, value: u32) -> Result<(), MalformedPage> {
        let Some(digit) = char::from(byte).to_digit(16) else {
            return Err(self.malformed("an unknown escape in a string"));
        };
        let value = value * 16 + digit;
        if digits < 3 {
            self.lexeme = Lexeme::Unicode(digits + 1, value);
            return Ok(());
        }
        // Beyond ASCII nothing is legal in a name, so which character it is does not matter.
        self.keep(&[u8::try_from(value)
            .ok()
            .filter(u8::is_ascii)
            .unwrap_or(0xff)]);
        self.lexeme = Lexeme::String;
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = KEPT - self.text.len();
        self.overlong |= bytes.len() > room;
        self.text
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    const fn malformed(&self, what: &'static str) -> MalformedPage {
        MalformedPage {
            what,
            offset: self.offset,
        }
    }
}

/// Whether it stands for itself in a string.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

const fn is_literal(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.')
}

/// JSON's grammar for numbers.
fn is_number(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> Option<&[u8]> {
        let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
        (count > 0).then(|| text.get(count..).unwrap_or_default())
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let rest = match text {
        [b'0', rest @ ..] => rest,
        _ => match digits(text) {
            Some(rest) => rest,
            None => return false,
        },
    };
    let rest = match rest {
        [b'.', fraction @ ..] => match digits(fraction) {
            Some(rest) => rest,
            None => return false,
        },
        _ => rest,
    };
    match rest {
        [b'e' | b'E', exponent @ ..] => {
            let exponent = match exponent {
                [b'+' | b'-', exponent @ ..] => exponent,
                _ => exponent,
            };
            digits(exponent).is_some_and(<[u8]>::is_empty)
        }
        _ => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a page in pieces of the given size; `None` when it holds no list.
    fn read(text: &[u8], piece: usize) -> Result<Option<Vec<Vec<u8>>>, &'static str> {
        let mut page = ListPage::new("tags");
        let mut names = Vec::new();
        for bytes in text.chunks(piece.max(1)) {
            page.push(bytes, |name| names.push(name.to_vec()))
                .map_err(|error| error.what)?;
        }
        Ok(page.finish().map_err(|error| error.what)?.then_some(names))
    }

    #[derive(serde::Deserialize)]
    struct Page {
        tags: Option<Vec<String>>,
    }

    #[expect(clippy::unnecessary_wraps, reason = "compared with what reading gives")]
    fn names(list: &[&str]) -> Result<Option<Vec<Vec<u8>>>, &'static str> {
        Ok(Some(
            list.iter().map(|name| name.as_bytes().to_vec()).collect(),
        ))
    }

    #[test]
    fn reads_lists_in_pieces_of_any_size() {
        for (text, expected) in [
            (r#"{"name":"a","tags":["1","2"]}"#, names(&["1", "2"])),
            (" { \"tags\" : [ ] } \n", names(&[])),
            (r#"{"tags":null}"#, names(&[])),
            (
                r#"{"tags":["\u0031\u00e9\/\n\ud83d"]}"#,
                Ok(Some(vec![b"1\xff/\n\xff".to_vec()])),
            ),
            (
                r#"{"manifest":{"sha256:1":{"tag":["x"],"tags":["y"],"n":-1.5e+3}},"tags":["1"],"child":[[],{}],"ok":true}"#,
                names(&["1"]),
            ),
            (r#"{"t\u0061gs":["1"]}"#, names(&["1"])),
            ("{}", Ok(None)),
            (r#"{"name":"a"}"#, Ok(None)),
            (r#"{"x":{"tags":["1"]}}"#, Ok(None)),
        ] {
            for piece in [1, 2, 3, 7, 1000] {
                assert_eq!(read(text.as_bytes(), piece), expected, "{text} by {piece}");
            }
        }
    }

    #[test]
    fn refuses_everything_else() {
        let deep = format!("{{\"x\":{}", "[".repeat(100));
        let long = format!("{{\"x\":{}}}", "9".repeat(2000));
        for (text, error) in [
            ("", "it ends in the middle"),
            ("[]", "it is not a JSON object"),
            ("\"tags\"", "it is not a JSON object"),
            ("null", "it is not a JSON object"),
            ("<html>", "it is not a JSON object"),
            (r#"{"tags":["1""#, "it ends in the middle"),
            (r#"{"tags":["1"]"#, "it ends in the middle"),
            (r#"{"tags":["1"]}{"#, "something follows the JSON object"),
            (r#"{"tags":["1",]}"#, "it is not valid JSON"),
            (r#"{"tags":["1"}]"#, "it is not valid JSON"),
            (r#"{"tags" ["1"]}"#, "it is not valid JSON"),
            (r#"{"tags":["1" "2"]}"#, "it is not valid JSON"),
            (r#"{,"tags":["1"]}"#, "it is not valid JSON"),
            (r#"{"tags":{"1":1}}"#, "the list is not an array"),
            (r#"{"tags":"1"}"#, "the list is not an array"),
            (r#"{"tags":7}"#, "the list is not an array"),
            (
                r#"{"tags":[1]}"#,
                "the list holds something else than strings",
            ),
            (
                r#"{"tags":[null]}"#,
                "the list holds something else than strings",
            ),
            (
                r#"{"tags":[["1"]]}"#,
                "the list holds something else than strings",
            ),
            (
                r#"{"tags":[{"name":"1"}]}"#,
                "the list holds something else than strings",
            ),
            (r#"{"tags":["1"],"tags":[]}"#, "the list is there twice"),
            (r#"{"tags":["\x"]}"#, "an unknown escape in a string"),
            (r#"{"tags":["\u12g4"]}"#, "an unknown escape in a string"),
            ("{\"tags\":[\"a\nb\"]}", "a control character in a string"),
            (r#"{"x":01}"#, "it is not valid JSON"),
            (r#"{"x":1.}"#, "it is not valid JSON"),
            (r#"{"x":NaN}"#, "it is not valid JSON"),
            (&deep, "it is nested too deeply"),
            (&long, "a number that is too long"),
        ] {
            for piece in [1, 5, 10_000] {
                assert_eq!(
                    read(text.as_bytes(), piece),
                    Err(error),
                    "{text} by {piece}"
                );
            }
        }
    }

    #[test]
    fn a_giant_string_takes_no_memory() {
        let mut page = ListPage::new("tags");
        page.push(b"{\"tags\":[\"", |_| {}).unwrap();
        for _ in 0..1000 {
            page.push(&[b'a'; 10_000], |_| {}).unwrap();
        }
        assert_eq!(page.text.len(), KEPT);
        let mut given = Vec::new();
        page.push(b"\"]}", |name| given.push(name.len())).unwrap();
        assert_eq!(given, [KEPT]);
        assert_eq!(page.finish(), Ok(true));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, piece in 1..20_usize) {
            let _ = read(&bytes, piece);
        }

        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}",:a-c0-9 \\tags.eE+-]{0,24}"#, piece in 1..20_usize) {
            let text = format!("{{\"tags\":[{text}");
            let ours = read(text.as_bytes(), piece);
            match serde_json::from_str::<Page>(&text) {
                Ok(page) => proptest::prop_assert_eq!(
                    ours,
                    Ok(Some(page.tags.unwrap_or_default().into_iter().map(String::into_bytes).collect::<Vec<_>>())),
                    "{}", text
                ),
                Err(_) => proptest::prop_assert!(ours.is_err(), "{}", text),
            }
        }
    }
}
