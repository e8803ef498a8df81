//! Cuts a template into text and the words of its actions, as Go's `text/template` does.

use super::syntax::{Number, Offset};

/// A word of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Keywords, function names, `true`, `false`, `nil`.
    Word(String),
    /// `.Name`, without its dot.
    Field(String),
    /// `$` or `$name`, with its `$`.
    Variable(String),
    Text {
        value: String,
        written: String,
    },
    Number(Number),
    Dot,
    Pipe,
    Open,
    Close,
    Comma,
    Declare,
    Assign,
    Space,
}

/// One piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// What stands between `{{` and `}}`, and where it begins.
    Action(Vec<(Token, Offset)>, Offset),
}

/// Something that is not a template; where and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: Offset,
    pub(super) why: String,
}

impl Wrong {
    pub(super) fn new(at: Offset, why: impl Into<String>) -> Self {
        Self {
            at,
            why: why.into(),
        }
    }
}

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a whole template. Trim markers and comments are gone afterwards.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, Wrong> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut trim = false;
    while let Some(open) = text[at..].find("{{").map(|found| at + found) {
        let mut inside = open + 2;
        let trims_before =
            text[inside..].starts_with('-') && text[inside + 1..].starts_with(BLANKS);
        if trims_before {
            inside += 1;
        }
        push_text(&mut pieces, &text[at..open], trim, trims_before);
        let comment_at = text[inside..].trim_start_matches(BLANKS);
        let end =
            if text[inside..].starts_with("/*") || trims_before && comment_at.starts_with("/*") {
                comment(text, open, text.len() - comment_at.len())?
            } else {
                let mut lexer = Lexer { text, at: inside };
                let tokens = lexer.action(open)?;
                pieces.push(Piece::Action(tokens, open));
                lexer.at
            };
        trim = text[end..].starts_with('-');
        at = end + usize::from(trim) + 2;
    }
    push_text(&mut pieces, &text[at..], trim, false);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, trim_start: bool, trim_end: bool) {
    let text = if trim_start {
        text.trim_start_matches(BLANKS)
    } else {
        text
    };
    let text = if trim_end {
        text.trim_end_matches(BLANKS)
    } else {
        text
    };
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// Passes over a comment; gives the place of what closes it, `}}` or `-}}`.
fn comment(text: &str, open: Offset, start: Offset) -> Result<Offset, Wrong> {
    let Some(length) = text[start + 2..].find("*/") else {
        return Err(Wrong::new(open, "unclosed comment"));
    };
    let end = start + 2 + length + 2;
    if text[end..].starts_with("}}") {
        return Ok(end);
    }
    let dash = text[end..].trim_start_matches(BLANKS);
    if dash.len() < text.len() - end && dash.starts_with("-}}") {
        return Ok(text.len() - dash.len());
    }
    Err(Wrong::new(open, "comment ends before closing delimiter"))
}

struct Lexer<'t> {
    text: &'t str,
    at: Offset,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Reads up to the closing delimiter and stands on it, or on the `-` of ` -}}`.
    fn action(&mut self, open: Offset) -> Result<Vec<(Token, Offset)>, Wrong> {
        let mut tokens = Vec::new();
        let mut parentheses = 0_usize;
        loop {
            let start = self.at;
            if self.rest().starts_with("}}") {
                if parentheses > 0 {
                    return Err(Wrong::new(start, "unclosed left paren"));
                }
                return Ok(tokens);
            }
            let Some(c) = self.peek() else {
                return Err(Wrong::new(open, "unclosed action"));
            };
            let token = match c {
                ' ' | '\t' | '\r' | '\n' => {
                    self.at = self.text.len() - self.rest().trim_start_matches(BLANKS).len();
                    if self.rest().starts_with("-}}") {
                        if parentheses > 0 {
                            return Err(Wrong::new(start, "unclosed left paren"));
                        }
                        return Ok(tokens);
                    }
                    Token::Space
                }
                '(' => {
                    parentheses += 1;
                    self.single(Token::Open)
                }
                ')' => {
                    let Some(left) = parentheses.checked_sub(1) else {
                        return Err(Wrong::new(start, "unexpected right paren"));
                    };
                    parentheses = left;
                    self.single(Token::Close)
                }
                '|' => self.single(Token::Pipe),
                ',' => self.single(Token::Comma),
                '=' => self.single(Token::Assign),
                ':' => {
                    if !self.rest().starts_with(":=") {
                        return Err(Wrong::new(start, "expected :="));
                    }
                    self.at += 2;
                    Token::Declare
                }
                '"' => self.quoted()?,
                '`' => self.raw()?,
                '\'' => self.character()?,
                '$' => {
                    self.at += 1;
                    let name = self.name();
                    self.ends_word(start)?;
                    Token::Variable(format!("${name}"))
                }
                '.' if !self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    self.at += 1;
                    let name = self.name();
                    if name.is_empty() {
                        Token::Dot
                    } else {
                        self.ends_word(start)?;
                        Token::Field(name)
                    }
                }
                c if c.is_ascii_digit() || matches!(c, '.' | '+' | '-') => self.number()?,
                c if is_name(c) => {
                    let name = self.name();
                    self.ends_word(start)?;
                    Token::Word(name)
                }
                c => {
                    return Err(Wrong::new(
                        start,
                        format!("unrecognized character in action: {c:?}"),
                    ));
                }
            };
            tokens.push((token, start));
        }
    }

    const fn single(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        self.at += end;
        name
    }

    /// A word must be followed by something that cannot belong to it.
    fn ends_word(&self, start: Offset) -> Result<(), Wrong> {
        match self.peek() {
            Some(c)
                if !BLANKS.contains(&c)
                    && !".,|:)(=".contains(c)
                    && !self.rest().starts_with("}}") =>
            {
                Err(Wrong::new(start, format!("bad character {c:?}")))
            }
            _ => Ok(()),
        }
    }

    fn quoted(&mut self) -> Result<Token, Wrong> {
        let start = self.at;
        let mut value = String::new();
        self.at += 1;
        loop {
            match self.peek() {
                None | Some('\n') => return Err(Wrong::new(start, "unterminated quoted string")),
                Some('"') => {
                    self.at += 1;
                    let written = self.text[start..self.at].to_owned();
                    return Ok(Token::Text { value, written });
                }
                Some('\\') => value.push(self.escape(start, '"')?),
                Some(c) => {
                    value.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn raw(&mut self) -> Result<Token, Wrong> {
        let start = self.at;
        let Some(length) = self.rest()[1..].find('`') else {
            return Err(Wrong::new(start, "unterminated raw quoted string"));
        };
        let value = self.rest()[1..=length].replace('\r', "");
        self.at += length + 2;
        Ok(Token::Text {
            value,
            written: self.text[start..self.at].to_owned(),
        })
    }

    fn character(&mut self) -> Result<Token, Wrong> {
        let start = self.at;
        let unterminated = || Wrong::new(start, "unterminated character constant");
        self.at += 1;
        let c = match self.peek().ok_or_else(unterminated)? {
            '\\' => self.escape(start, '\'')?,
            '\n' | '\'' => return Err(unterminated()),
            c => {
                self.at += c.len_utf8();
                c
            }
        };
        if self.peek() != Some('\'') {
            return Err(unterminated());
        }
        self.at += 1;
        Ok(Token::Number(Number {
            written: self.text[start..self.at].to_owned(),
            integer: Some(i64::from(u32::from(c))),
            float: Some(f64::from(u32::from(c))),
        }))
    }

    /// One escape of a Go string or character. Bytes (`\xff`) above ASCII are refused: text is UTF-8.
    fn escape(&mut self, start: Offset, quote: char) -> Result<char, Wrong> {
        let invalid = || Wrong::new(start, "invalid syntax in quoted string");
        let mut chars = self.rest().chars().skip(1);
        let kind = chars.next().ok_or_else(invalid)?;
        let simple = match kind {
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            '\\' => Some('\\'),
            c if c == quote => Some(c),
            _ => None,
        };
        if let Some(c) = simple {
            self.at += 2;
            return Ok(c);
        }
        let (skip, digits, radix) = match kind {
            'x' => (2, 2, 16),
            'u' => (2, 4, 16),
            'U' => (2, 8, 16),
            '0'..='7' => (1, 3, 8),
            _ => return Err(invalid()),
        };
        let code = self
            .rest()
            .get(skip..skip + digits)
            .filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|code| u32::from_str_radix(code, radix).ok())
            .ok_or_else(invalid)?;
        if matches!(kind, 'x' | '0'..='7') && code > 0x7f {
            return Err(invalid());
        }
        self.at += skip + digits;
        char::from_u32(code).ok_or_else(invalid)
    }

    fn number(&mut self) -> Result<Token, Wrong> {
        let start = self.at;
        let rest = self.rest();
        let mut previous = ' ';
        let end = rest
            .find(|c: char| {
                let sign = matches!(c, '+' | '-')
                    && (previous == ' ' || matches!(previous, 'e' | 'E' | 'p' | 'P'));
                let inside = sign || c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
                previous = c;
                !inside
            })
            .unwrap_or(rest.len());
        let written = rest[..end].to_owned();
        self.at += end;
        number_of(&written)
            .map(Token::Number)
            .ok_or_else(|| Wrong::new(start, format!("bad number syntax: {written:?}")))
    }
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Reads a number as Go's `strconv` does with base 0; `None` when it is none.
fn number_of(written: &str) -> Option<Number> {
    let (negative, digits) = match written.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, written.strip_prefix('+').unwrap_or(written)),
    };
    let lower = digits.to_ascii_lowercase();
    let plain = lower.replace('_', "");
    let (radix, plain_digits) = match plain.get(..2) {
        Some("0x") => (16, &plain[2..]),
        Some("0o") => (8, &plain[2..]),
        Some("0b") => (2, &plain[2..]),
        _ if plain.len() > 1
            && plain.starts_with('0')
            && plain.bytes().all(|b| b.is_ascii_digit()) =>
        {
            (8, &plain[1..])
        }
        _ => (10, plain.as_str()),
    };
    let integer = i64::from_str_radix(
        &format!("{}{plain_digits}", if negative { "-" } else { "" }),
        radix,
    )
    .ok()
    .filter(|_| !plain_digits.starts_with(['+', '-']));
    let float = if radix == 10 {
        let well_formed = plain_digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && plain_digits
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'));
        well_formed
            .then(|| plain_digits.parse::<f64>().ok())
            .flatten()
            .map(|value| if negative { -value } else { value })
    } else {
        #[expect(
            clippy::cast_precision_loss,
            reason = "Go's constants round to float64 alike"
        )]
        integer.map(|value| value as f64)
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only whole numbers in range come here"
    )]
    let integer = integer.or_else(|| {
        float
            .filter(|value| value.fract() == 0.0 && value.abs() < 9e15)
            .map(|value| value as i64)
    });
    (integer.is_some() || float.is_some()).then(|| Number {
        written: written.to_owned(),
        integer,
        float,
    })
}
