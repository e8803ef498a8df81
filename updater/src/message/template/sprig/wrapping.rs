//! Texts cut to a width: `wrap`, `wrapWith`, `abbrev`, `abbrevboth` (`goutils`).

use super::super::function::{Function, Kind, fixed};
use super::super::run::{Fault, Run};
use super::super::value::Value;
use super::{int_of, text_of};

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "wrap" => fixed(&[Kind::Int, Kind::Text], |run, values| {
            let text = wrap(text_of(&values[1]), int_of(&values[0]), "\n", false);
            run.text(text)
        }),
        "wrapWith" => fixed(&[Kind::Int, Kind::Text, Kind::Text], |run, values| {
            let (between, text) = (text_of(&values[1]), text_of(&values[2]));
            run.spend_text(text.len().saturating_mul(between.len() + 1))?;
            let text = wrap(text, int_of(&values[0]), between, true);
            run.text(text)
        }),
        "abbrev" => fixed(&[Kind::Int, Kind::Text], |run, values| {
            let text = abbreviate(text_of(&values[1]), 0, int_of(&values[0]));
            run.text(text)
        }),
        "abbrevboth" => fixed(&[Kind::Int, Kind::Int, Kind::Text], abbreviate_both),
        _ => return None,
    })
}

/// Breaks lines at spaces so that each has at most `width` characters; longer words are cut if asked.
fn wrap(text: &str, width: i64, between: &str, cut_words: bool) -> String {
    let width = usize::try_from(width).unwrap_or(0).max(1);
    let chars: Vec<char> = text.chars().collect();
    let between = if between.is_empty() { "\n" } else { between };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while chars.len() - at > width {
        if chars[at] == ' ' {
            at += 1;
            continue;
        }
        let space = (at..=at + width).rev().find(|index| chars[*index] == ' ');
        let (end, next) = match space {
            Some(space) => (space, space + 1),
            None if cut_words => (at + width, at + width),
            None => match (at + width..chars.len()).find(|index| chars[*index] == ' ') {
                Some(space) => (space, space + 1),
                None => break,
            },
        };
        out.extend(&chars[at..end]);
        out.push_str(between);
        at = next;
    }
    out.extend(&chars[at..]);
    out
}

fn abbreviate_both(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let (left, right) = (int_of(&values[0]), int_of(&values[1]));
    let text = text_of(&values[2]);
    if right < 4 || left > 0 && right < 7 {
        return Ok(values[2].clone());
    }
    run.text(abbreviate(text, left, right))
}

/// `goutils.AbbreviateFull`: at most `width` characters, with `...` for what is left out.
fn abbreviate(text: &str, offset: i64, width: i64) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (Ok(width), Ok(offset)) = (usize::try_from(width), usize::try_from(offset.max(0))) else {
        return text.to_owned();
    };
    if width < 4 || chars.len() <= width {
        return text.to_owned();
    }
    let mut offset = offset.min(chars.len());
    if chars.len() - offset < width - 3 {
        offset = chars.len() - (width - 3);
    }
    let part = |from: usize, count: usize| chars[from..from + count].iter().collect::<String>();
    if offset <= 4 {
        return part(0, width - 3) + "...";
    }
    if width < 7 {
        return text.to_owned();
    }
    if offset + width - 3 < chars.len() {
        return format!("...{}...", part(offset, width - 6));
    }
    format!("...{}", part(chars.len() - (width - 3), width - 3))
}
