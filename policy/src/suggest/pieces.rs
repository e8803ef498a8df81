//! A tag as numbers, commit ids and the words between them.

/// A part of a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    /// Letters and separators, as they are.
    Text(String),
    Number,
    /// 7 to 40 hexadecimal digits, letters among them.
    Commit,
}

/// A piece with the text it was read from.
pub(super) type Read<'t> = (Piece, &'t str);

/// Divides a tag into numbers, commit ids and the rest.
pub(super) fn pieces(tag: &str) -> Vec<Read<'_>> {
    let mut found: Vec<Read<'_>> = Vec::new();
    let mut text_start = 0;
    let mut at = 0;
    while at < tag.len() {
        let rest = &tag[at..];
        let starts_word = at == 0 || !tag.as_bytes()[at - 1].is_ascii_alphanumeric();
        let length = commit_length(rest).filter(|_| starts_word);
        let (piece, length) = if let Some(length) = length {
            (Piece::Commit, length)
        } else {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                at += 1;
                continue;
            }
            (Piece::Number, digits)
        };
        if text_start < at {
            found.push(words(&tag[text_start..at]));
        }
        found.push((piece, &tag[at..at + length]));
        at += length;
        text_start = at;
    }
    if text_start < tag.len() {
        found.push(words(&tag[text_start..]));
    }
    found
}

fn words(text: &str) -> Read<'_> {
    (Piece::Text(text.to_owned()), text)
}

/// The length of a commit id at the start of a text; `g` in front of it, as of `git describe`, belongs
/// to it.
fn commit_length(text: &str) -> Option<usize> {
    let word = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let word = &text[..word];
    let hex = word.strip_prefix('g').unwrap_or(word);
    let is_hex = hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let letters = hex.bytes().any(|b| b.is_ascii_lowercase());
    let digits = hex.bytes().any(|b| b.is_ascii_digit());
    ((7..=40).contains(&hex.len()) && is_hex && letters && digits).then_some(word.len())
}

/// Numbers that belong to a word and are the same in all tags of a form become a part of the word: `amd64`,
/// `cpuv1`, `alpine3.20`.
pub(super) fn with_fixed_words(form: &[Piece], tags: &[&str]) -> Vec<Piece> {
    let read: Vec<Vec<Read<'_>>> = tags.iter().map(|tag| pieces(tag)).collect();
    let common = |at: usize| -> Option<&str> {
        let mut texts = read
            .iter()
            .map(|pieces| pieces.get(at).map(|piece| piece.1));
        let first = texts.next()??;
        texts.all(|text| text == Some(first)).then_some(first)
    };
    let mut fixed: Vec<Piece> = Vec::new();
    let mut in_word = false;
    for (at, piece) in form.iter().enumerate() {
        let text = match piece {
            Piece::Text(text) => {
                in_word &= text == ".";
                Some(text.as_str())
            }
            Piece::Number => {
                in_word |= belongs_to_word(fixed.last());
                common(at).filter(|_| in_word)
            }
            Piece::Commit => None,
        };
        match (text, fixed.last_mut()) {
            (Some(text), Some(Piece::Text(before))) => before.push_str(text),
            (Some(text), _) => fixed.push(Piece::Text(text.to_owned())),
            (None, _) => {
                in_word = false;
                fixed.push(piece.clone());
            }
        }
    }
    fixed
}

/// Whether a number behind this is a part of its last word; what counts or tells the time is none.
fn belongs_to_word(before: Option<&Piece>) -> bool {
    let Some(Piece::Text(text)) = before else {
        return false;
    };
    let word = last_word(text);
    let stands_alone = !text[..text.len() - word.len()].ends_with(|c: char| c.is_ascii_digit());
    let is_mark = stands_alone && matches!(word, "v" | "V" | "T" | "t");
    !word.is_empty() && !is_mark && !is_counter(word)
}

/// The letters at the end of a text.
pub(super) fn last_word(text: &str) -> &str {
    let from = text
        .trim_end_matches(|c: char| c.is_ascii_alphabetic())
        .len();
    &text[from..]
}

/// Words in front of a number that counts releases of the same version.
pub(super) fn is_counter(word: &str) -> bool {
    is_prerelease_word(word)
        || matches!(
            word.to_ascii_lowercase().as_str(),
            "r" | "ls" | "p" | "rev" | "build" | "patch" | "post" | "run"
        )
}

/// What marks a pre-release and not a variant of an image.
pub(super) fn is_prerelease_word(word: &str) -> bool {
    matches!(
        word.to_ascii_lowercase().as_str(),
        "alpha" | "beta" | "rc" | "pre" | "preview" | "dev" | "a" | "b" | "m" | "snapshot"
    )
}

/// The least and greatest number of digits of each number of a form, in order.
pub(super) fn widths(form: &[Piece], tags: &[&str]) -> Vec<(usize, usize)> {
    let mut widths: Vec<(usize, usize)> = Vec::new();
    for tag in tags {
        let pieces = pieces(tag);
        let mut numbers = pieces.iter().filter(|p| p.0 == Piece::Number);
        // Numbers that became a part of a word are passed over.
        let mut index = 0;
        for piece in form {
            match piece {
                Piece::Text(text) => {
                    for _ in text_numbers(text) {
                        numbers.next();
                    }
                }
                Piece::Commit => {}
                Piece::Number => {
                    let length = numbers.next().map_or(0, |piece| piece.1.len());
                    match widths.get_mut(index) {
                        Some((least, greatest)) => {
                            *least = length.min(*least);
                            *greatest = length.max(*greatest);
                        }
                        None => widths.push((length, length)),
                    }
                    index += 1;
                }
            }
        }
    }
    widths
}

fn text_numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|run| !run.is_empty())
}

/// A pattern for a form that captures the pieces from `first` to `last`.
pub(super) fn pattern(form: &[Piece], first: usize, last: usize, name: &str) -> String {
    let mut pattern = String::from("^");
    for (at, piece) in form.iter().enumerate() {
        if at == first {
            pattern.extend(["(?P<", name, ">"]);
        }
        match piece {
            Piece::Text(text) => pattern.push_str(&escape(text)),
            Piece::Number => pattern.push_str("[0-9]+"),
            Piece::Commit => pattern.push_str("g?[0-9a-f]{7,40}"),
        }
        if at == last {
            pattern.push(')');
        }
    }
    pattern.push('$');
    pattern
}

/// A form for a reader: `main-<commit>-<number>`.
pub(super) fn shown(form: &[Piece]) -> String {
    form.iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Number => "<number>",
            Piece::Commit => "<commit>",
        })
        .collect()
}

/// A text as a pattern. Of what tags are made of, only the dot is special.
pub(super) fn escape(text: &str) -> String {
    text.replace('.', r"\.")
}
