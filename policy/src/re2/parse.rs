//! Reads a pattern as Go's `regexp/syntax` does with its `Perl` flags.
//!
//! The same order of decisions as there, so that the same patterns are refused with the same words:
//! a stack of what was read, on which `|` and `(` wait for what closes them.

use super::class::{AsciiSet, bracket_class, escape, perl, unicode_class};
use super::error::{Code, Re2Error};
use regex_syntax::hir::{Capture, Hir, Look, Repetition};

/// The longest pattern; Go has no limit of its own, but the pattern sits in an object of a user.
pub(super) const MAX_PATTERN_LENGTH: usize = 16 * 1024;
/// Go allows 1000 levels, which would need more stack than a thread has.
const MAX_DEPTH: usize = 250;
/// The greatest repeat count, also the product of nested ones.
const MAX_REPEAT: u32 = 1000;

/// A pattern that was read.
pub(super) struct Parsed {
    pub(super) hir: Hir,
    /// The names of the groups, the whole match first.
    pub(super) names: Vec<Option<Box<str>>>,
}

#[derive(Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the syntax has four flags that do not depend on each other"
)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_matches_line_feed: bool,
    swap_greed: bool,
}

/// An element of the stack.
enum Entry {
    Node(Node),
    Bar,
    Paren {
        at: usize,
        /// The flags outside.
        flags: Flags,
        /// The group's number, for one that captures.
        capture: Option<u32>,
    },
}

struct Node {
    hir: Hir,
    depth: usize,
    /// How many copies of its innermost part its counted repetitions make.
    copies: u32,
}

struct Parser<'p> {
    pattern: &'p str,
    at: usize,
    flags: Flags,
    stack: Vec<Entry>,
    names: Vec<Option<Box<str>>>,
}

pub(super) fn parse(pattern: &str) -> Result<Parsed, Re2Error> {
    if pattern.len() > MAX_PATTERN_LENGTH {
        return Err(Code::Large.about(pattern, 0..pattern.len()));
    }
    let mut parser = Parser {
        pattern,
        at: 0,
        flags: Flags::default(),
        stack: Vec::new(),
        names: vec![None],
    };
    let mut last_repeat = None;
    while let Some(&byte) = pattern.as_bytes().get(parser.at) {
        last_repeat = parser.step(byte, last_repeat)?;
    }
    let node = parser.close()?;
    if let Some(Entry::Paren { at, .. }) = parser.stack.last() {
        return Err(Code::MissingParen.about(pattern, *at..*at + 1));
    }
    Ok(Parsed {
        hir: node.hir,
        names: parser.names,
    })
}

impl<'p> Parser<'p> {
    /// Reads one element. `last_repeat` is where a repetition began that ends here; the result is
    /// the same for the next element.
    fn step(&mut self, byte: u8, last_repeat: Option<usize>) -> Result<Option<usize>, Re2Error> {
        let start = self.at;
        match byte {
            b'(' => self.open()?,
            b'|' => {
                let node = self.concatenate()?;
                self.stack.push(Entry::Node(node));
                self.stack.push(Entry::Bar);
                self.at += 1;
            }
            b')' => self.close_paren()?,
            b'^' => self.look(if self.flags.multi_line {
                Look::StartLF
            } else {
                Look::Start
            }),
            b'$' => self.look(if self.flags.multi_line {
                Look::EndLF
            } else {
                Look::End
            }),
            b'.' => {
                let set = if self.flags.dot_matches_line_feed {
                    AsciiSet::ALL
                } else {
                    AsciiSet::NOT_LINE_FEED
                };
                self.push(set.to_hir());
                self.at += 1;
            }
            b'[' => {
                let (set, end) = bracket_class(self.pattern, start, self.flags.fold_case)?;
                self.push(set.to_hir());
                self.at = end;
            }
            b'*' | b'+' | b'?' => {
                let (min, max) = match byte {
                    b'*' => (0, None),
                    b'+' => (1, None),
                    _ => (0, Some(1)),
                };
                self.at += 1;
                self.repeat(start, min, max, false, last_repeat)?;
                return Ok(Some(start));
            }
            b'{' => {
                let Some(count) = RepeatCount::read(&self.pattern[start..]) else {
                    self.literal('{');
                    self.at += 1;
                    return Ok(None);
                };
                self.at += count.length;
                if !count.legal {
                    return Err(self.error(Code::InvalidRepeatSize, start));
                }
                self.repeat(start, count.min, count.max, true, last_repeat)?;
                return Ok(Some(start));
            }
            b'\\' => self.backslash()?,
            _ => {
                if let Some(c) = self.pattern[start..].chars().next() {
                    self.literal(c);
                    self.at += c.len_utf8();
                }
            }
        }
        Ok(None)
    }

    /// An error about what was read from `start` on.
    fn error(&self, code: Code, start: usize) -> Re2Error {
        code.about(&self.pattern[start..self.at], start..self.at)
    }

    fn push(&mut self, hir: Hir) {
        self.stack.push(Entry::Node(Node {
            hir,
            depth: 1,
            copies: 1,
        }));
    }

    fn literal(&mut self, c: char) {
        self.push(AsciiSet::of(c, c, self.flags.fold_case).to_hir());
    }

    fn look(&mut self, look: Look) {
        self.push(Hir::look(look));
        self.at += 1;
    }

    fn backslash(&mut self) -> Result<(), Re2Error> {
        let start = self.at;
        let rest = &self.pattern[start..];
        let look = match rest.as_bytes().get(1) {
            Some(b'A') => Some(Look::Start),
            Some(b'z') => Some(Look::End),
            Some(b'b') => Some(Look::WordAscii),
            Some(b'B') => Some(Look::WordAsciiNegate),
            Some(b'C') => {
                self.at += 2;
                return Err(self.error(Code::InvalidEscape, start));
            }
            Some(b'Q') => {
                let quoted = &rest[2..];
                let (text, length) = match quoted.find(r"\E") {
                    Some(end) => (&quoted[..end], end + 4),
                    None => (quoted, rest.len()),
                };
                for c in text.chars() {
                    self.literal(c);
                }
                self.at += length;
                return Ok(());
            }
            Some(letter) => {
                if let Some(set) = perl(*letter) {
                    self.push(set.to_hir());
                    self.at += 2;
                    return Ok(());
                }
                None
            }
            None => None,
        };
        if let Some(look) = look {
            self.push(Hir::look(look));
            self.at += 2;
        } else if let Some((set, length)) = unicode_class(rest, start, self.flags.fold_case)? {
            self.push(set.to_hir());
            self.at += length;
        } else {
            let (c, end) = escape(self.pattern, start)?;
            self.literal(c);
            self.at = end;
        }
        Ok(())
    }

    /// Repeats the last element; `start` is where the operator begins, `self.at` is behind it.
    fn repeat(
        &mut self,
        start: usize,
        min: u32,
        max: Option<u32>,
        counted: bool,
        last_repeat: Option<usize>,
    ) -> Result<(), Re2Error> {
        let mut greedy = !self.flags.swap_greed;
        if self.pattern.as_bytes().get(self.at) == Some(&b'?') {
            self.at += 1;
            greedy = !greedy;
        }
        if let Some(last) = last_repeat {
            return Err(self.error(Code::InvalidRepeatOp, last));
        }
        let Some(Entry::Node(node)) = self.stack.pop() else {
            return Err(self.error(Code::MissingRepeatArgument, start));
        };
        let copies = match (counted, max.unwrap_or(min)) {
            (false, _) => node.copies,
            (true, _) if max == Some(0) => 1,
            (true, count) => node.copies.saturating_mul(count.max(1)),
        };
        if counted && (min >= 2 || max.is_some_and(|max| max >= 2)) && copies > MAX_REPEAT {
            return Err(self.error(Code::InvalidRepeatSize, start));
        }
        let hir = Hir::repetition(Repetition {
            min,
            max,
            greedy,
            sub: Box::new(node.hir),
        });
        let depth = self.deeper(node.depth)?;
        self.stack.push(Entry::Node(Node { hir, depth, copies }));
        Ok(())
    }

    fn deeper(&self, depth: usize) -> Result<usize, Re2Error> {
        if depth >= MAX_DEPTH {
            return Err(Code::NestingDepth.about(self.pattern, 0..self.pattern.len()));
        }
        Ok(depth + 1)
    }

    /// Takes all nodes above the last `|` or `(` and joins them.
    fn take_nodes(&mut self) -> Vec<Node> {
        let from = self
            .stack
            .iter()
            .rposition(|entry| !matches!(entry, Entry::Node(_)))
            .map_or(0, |at| at + 1);
        self.stack
            .drain(from..)
            .filter_map(|entry| match entry {
                Entry::Node(node) => Some(node),
                _ => None,
            })
            .collect()
    }

    fn concatenate(&mut self) -> Result<Node, Re2Error> {
        let nodes = self.take_nodes();
        self.join(nodes, Hir::concat)
    }

    fn join(&self, mut nodes: Vec<Node>, join: fn(Vec<Hir>) -> Hir) -> Result<Node, Re2Error> {
        if nodes.len() == 1
            && let Some(node) = nodes.pop()
        {
            return Ok(node);
        }
        let depth = nodes.iter().map(|n| n.depth).max().unwrap_or(0);
        Ok(Node {
            depth: self.deeper(depth)?,
            copies: nodes.iter().map(|n| n.copies).max().unwrap_or(1),
            hir: join(nodes.into_iter().map(|n| n.hir).collect()),
        })
    }

    /// Joins everything above the last `(`: alternatives of concatenations.
    fn close(&mut self) -> Result<Node, Re2Error> {
        let mut alternatives = vec![self.concatenate()?];
        while let Some(Entry::Bar) = self.stack.last() {
            self.stack.pop();
            if let Some(Entry::Node(node)) = self.stack.pop() {
                alternatives.push(node);
            }
        }
        alternatives.reverse();
        self.join(alternatives, Hir::alternation)
    }

    fn close_paren(&mut self) -> Result<(), Re2Error> {
        let node = self.close()?;
        let Some(Entry::Paren { flags, capture, .. }) = self.stack.pop() else {
            return Err(Code::UnexpectedParen.about(self.pattern, self.at..self.at + 1));
        };
        self.at += 1;
        self.flags = flags;
        let node = match capture {
            None => node,
            Some(index) => Node {
                depth: self.deeper(node.depth)?,
                copies: node.copies,
                hir: Hir::capture(Capture {
                    index,
                    // Go allows names that Rust does not; they are kept beside the pattern.
                    name: None,
                    sub: Box::new(node.hir),
                }),
            },
        };
        self.stack.push(Entry::Node(node));
        Ok(())
    }

    fn open_group(&mut self, name: Option<&str>) {
        let capture = u32::try_from(self.names.len()).ok();
        self.names.push(name.map(Into::into));
        self.stack.push(Entry::Paren {
            at: self.at,
            flags: self.flags,
            capture,
        });
    }

    /// Everything that begins with `(`.
    fn open(&mut self) -> Result<(), Re2Error> {
        let rest = &self.pattern[self.at..];
        if !rest.starts_with("(?") {
            self.open_group(None);
            self.at += 1;
            return Ok(());
        }
        let name_at = if rest.len() > 4 && rest.starts_with("(?P<") {
            4
        } else if rest.len() > 3 && rest.starts_with("(?<") {
            3
        } else {
            return self.open_flags(rest);
        };
        let Some(end) = rest.find('>') else {
            return Err(Code::InvalidNamedCapture.about(rest, self.at..self.pattern.len()));
        };
        let name = rest.get(name_at..end).unwrap_or_default();
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || !name.bytes().all(legal) {
            return Err(Code::InvalidNamedCapture.about(&rest[..=end], self.at..self.at + end + 1));
        }
        self.open_group(Some(name));
        self.at += end + 1;
        Ok(())
    }

    /// `(?i)`, `(?i-s:` and their like.
    fn open_flags(&mut self, rest: &'p str) -> Result<(), Re2Error> {
        let mut flags = self.flags;
        let (mut on, mut seen, mut length) = (true, false, 2);
        for c in rest[2..].chars() {
            length += c.len_utf8();
            match c {
                'i' => flags.fold_case = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_matches_line_feed = on,
                'U' => flags.swap_greed = on,
                '-' if on => {
                    on = false;
                    seen = false;
                    continue;
                }
                ':' | ')' if on || seen => {
                    if c == ':' {
                        self.stack.push(Entry::Paren {
                            at: self.at,
                            flags: self.flags,
                            capture: None,
                        });
                    }
                    self.flags = flags;
                    self.at += length;
                    return Ok(());
                }
                _ => break,
            }
            seen = true;
        }
        Err(Code::InvalidPerlOp.about(&rest[..length], self.at..self.at + length))
    }
}

/// `{2}`, `{2,}`, `{2,5}`.
struct RepeatCount {
    min: u32,
    max: Option<u32>,
    /// Within the limit and in order.
    legal: bool,
    length: usize,
}

impl RepeatCount {
    /// `None` when the braces are no repeat count but characters.
    fn read(text: &str) -> Option<Self> {
        let (min, rest) = number(text.strip_prefix('{')?)?;
        let (max, rest) = match rest.strip_prefix(',') {
            None => (Some(min), rest),
            Some(rest) if rest.starts_with('}') => (None, rest),
            Some(rest) => {
                let (max, rest) = number(rest)?;
                (Some(max), rest)
            }
        };
        let rest = rest.strip_prefix('}')?;
        Some(Self {
            min,
            max,
            legal: min <= MAX_REPEAT && max.is_none_or(|max| max <= MAX_REPEAT && min <= max),
            length: text.len() - rest.len(),
        })
    }
}

/// A number without leading zeros, and what follows; one that does not fit is beyond any limit.
fn number(text: &str) -> Option<(u32, &str)> {
    let length = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(length);
    let legal = !digits.is_empty() && (digits.len() == 1 || !digits.starts_with('0'));
    legal.then(|| (digits.parse().unwrap_or(u32::MAX), rest))
}
