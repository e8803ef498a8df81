//! Reads JSON into its members with their byte ranges.

use std::ops::Range;

/// How deep arrays and objects may nest.
const MAX_DEPTH: usize = 200;

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Members of objects and elements of arrays, in the file's order.
    pub(super) members: Vec<Member>,
    pub(super) comments: Vec<Range<usize>>,
}

#[derive(Debug)]
pub(super) struct Member {
    /// Its name, in an object.
    pub(super) key: Option<String>,
    /// The array or object it stands in.
    pub(super) container: usize,
    /// Its JSON pointer (RFC 6901).
    pub(super) pointer: String,
    pub(super) shape: Shape,
    /// Its bytes, quotes included; of an array or object the first one.
    pub(super) range: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Shape {
    Text(String),
    /// An array or object, by its number.
    Container(usize),
    /// A number, `true`, `false`, `null`.
    Other,
}

type Wrong = (usize, &'static str);

struct Open {
    number: usize,
    is_object: bool,
    /// The key whose value comes next.
    key: Option<String>,
    elements: usize,
    pointer: String,
    /// A value must be followed by a comma before the next one.
    needs_comma: bool,
}

pub(super) fn scan(text: &str) -> Result<Scan, Wrong> {
    let bytes = text.as_bytes();
    let mut scan = Scan::default();
    let mut open: Vec<Open> = Vec::new();
    let mut containers = 0;
    let mut done = false;
    let mut at = if text.starts_with('\u{feff}') { 3 } else { 0 };
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'/' | b'#' => {
                let end = comment_end(text, at)?;
                scan.comments.push(at..end);
                at = end;
            }
            b',' => {
                let container = open.last_mut().ok_or((at, "a comma outside"))?;
                if !std::mem::take(&mut container.needs_comma) {
                    return Err((at, "a comma with nothing before it"));
                }
                at += 1;
            }
            b'}' | b']' => {
                let container = open.pop().ok_or((at, "nothing to close"))?;
                if container.is_object != (byte == b'}') || container.key.is_some() {
                    return Err((at, "closed too early"));
                }
                at += 1;
            }
            _ if done && open.is_empty() => return Err((at, "more than one value")),
            _ => {
                if open.last().is_some_and(|container| container.needs_comma) {
                    return Err((at, "expected a comma"));
                }
                if let Some(container) = open.last_mut()
                    && container.is_object
                    && container.key.is_none()
                {
                    let (key, end) = read_key(text, at)?;
                    container.key = Some(key);
                    at = end;
                    continue;
                }
                done = true;
                let (shape, end) = match byte {
                    b'"' => {
                        let end = text_end(text, at)?;
                        (Shape::Text(decoded(text, at..end)?), end)
                    }
                    b'{' | b'[' => {
                        containers += 1;
                        (Shape::Container(containers), at + 1)
                    }
                    _ => (Shape::Other, word_end(text, at)?),
                };
                let (key, container, pointer) = match open.last_mut() {
                    None => (None, 0, String::new()),
                    Some(outer) => {
                        outer.needs_comma = true;
                        let key = outer.key.take();
                        let step = key.clone().unwrap_or_else(|| outer.elements.to_string());
                        outer.elements += 1;
                        let step = step.replace('~', "~0").replace('/', "~1");
                        (key, outer.number, format!("{}/{step}", outer.pointer))
                    }
                };
                if let Shape::Container(number) = shape {
                    if open.len() >= MAX_DEPTH {
                        return Err((at, "nested too deeply"));
                    }
                    open.push(Open {
                        number,
                        is_object: byte == b'{',
                        key: None,
                        elements: 0,
                        pointer: pointer.clone(),
                        needs_comma: false,
                    });
                }
                scan.members.push(Member {
                    key,
                    container,
                    pointer,
                    shape,
                    range: at..end,
                });
                at = end;
            }
        }
    }
    if !open.is_empty() {
        return Err((text.len(), "ends too early"));
    }
    Ok(scan)
}

/// A member's name, up to behind its colon.
fn read_key(text: &str, at: usize) -> Result<(String, usize), Wrong> {
    let end = if text[at..].starts_with('"') {
        text_end(text, at)?
    } else {
        word_end(text, at)?
    };
    let colon = text.len() - text[end..].trim_start().len();
    if !text[colon..].starts_with(':') {
        return Err((colon, "expected a colon"));
    }
    Ok((decoded(text, at..end)?, colon + 1))
}

fn comment_end(text: &str, at: usize) -> Result<usize, Wrong> {
    let rest = &text[at..];
    if rest.starts_with("/*") {
        let length = rest.find("*/").ok_or((at, "a comment without an end"))?;
        return Ok(at + length + 2);
    }
    if rest.starts_with("//") || rest.starts_with('#') {
        return Ok(at + rest.find(['\n', '\r']).unwrap_or(rest.len()));
    }
    Err((at, "unexpected character"))
}

/// The end of a text that begins at its quote.
fn text_end(text: &str, at: usize) -> Result<usize, Wrong> {
    let mut escaped = false;
    for (offset, byte) in text.bytes().enumerate().skip(at + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Ok(offset + 1),
            b'\n' => break,
            _ => {}
        }
    }
    Err((at, "a string without an end"))
}

fn word_end(text: &str, at: usize) -> Result<usize, Wrong> {
    let rest = &text[at..];
    let length = rest
        .find(|c: char| !(c.is_alphanumeric() || "+-._$'".contains(c)))
        .unwrap_or(rest.len());
    if length == 0 {
        return Err((at, "unexpected character"));
    }
    Ok(at + length)
}

fn decoded(text: &str, range: Range<usize>) -> Result<String, Wrong> {
    let written = &text[range.clone()];
    if !written.starts_with('"') {
        return Ok(written.trim_matches('\'').to_owned());
    }
    serde_json::from_str(written).map_err(|_| (range.start, "a string that is no JSON string"))
}
