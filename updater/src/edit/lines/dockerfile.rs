//! Dockerfiles: `# {"$imagepolicy": "ns:app"}` above `FROM app:1.0`, `ARG TAG=1.0`, `ENV TAG=1.0`,
//! `COPY --from=app:1.0 …`. Docker knows no comments behind an instruction.

use super::{Syntax, is_word};
use std::ops::Range;

pub(super) const SYNTAX: Syntax = Syntax {
    comments: &["#"],
    value,
    behind: false,
};

fn value(code: &str) -> Option<Range<usize>> {
    let mut words = words(code);
    let instruction = &code[words.next()?];
    let found = match instruction.to_ascii_uppercase().as_str() {
        "FROM" => words.find(|word| !code[word.clone()].starts_with("--"))?,
        "COPY" => {
            let flag = words.find(|word| code[word.clone()].starts_with("--from="))?;
            flag.start + "--from=".len()..flag.end
        }
        "ARG" | "ENV" | "LABEL" => {
            let word = words.next()?;
            let equals = code[word.clone()].find('=')?;
            let value = word.start + equals + 1..word.end;
            let quote = code[value.clone()]
                .chars()
                .next()
                .filter(|c| matches!(c, '"' | '\''));
            return match quote {
                Some(quote) => {
                    let inner = code[value.clone()]
                        .strip_prefix(quote)?
                        .strip_suffix(quote)?;
                    is_word(inner).then_some(value)
                }
                None => is_word(&code[value.clone()]).then_some(value),
            };
        }
        _ => return None,
    };
    is_word(&code[found.clone()]).then_some(found)
}

/// The places of the words of a line.
fn words(code: &str) -> impl Iterator<Item = Range<usize>> {
    code.split([' ', '\t'])
        .scan(0, |at, word| {
            let start = *at;
            *at += word.len() + 1;
            Some(start..start + word.len())
        })
        .filter(|word| !word.is_empty())
}
