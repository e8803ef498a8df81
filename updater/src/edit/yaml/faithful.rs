//! Proves that an edit changed the chosen scalars and nothing else.

use super::layout::parser;
use super::lenient::readable;
use super::scalar::ScalarSite;
use granit_parser::{Event, Parser, ScanError, Span, StrInput};
use std::borrow::Cow;

/// Parses the text before and after, and gives the line of the first difference that was not meant.
///
/// `wanted` holds the scalars in the file's order, with their lines and the values they must have now.
pub(in crate::edit) fn differs(
    old: &str,
    new: &str,
    wanted: &[(&ScalarSite, usize, &str)],
) -> Option<usize> {
    match first_difference(old, new, wanted) {
        // Perhaps the parser is only too strict for both.
        Difference::Unreadable(_) => {
            match first_difference(&readable(old), &readable(new), wanted) {
                Difference::None => None,
                Difference::Unreadable(line) | Difference::At(line) => Some(line),
            }
        }
        Difference::None => None,
        Difference::At(line) => Some(line),
    }
}

enum Difference {
    None,
    At(usize),
    /// One of the texts is not read to its end.
    Unreadable(usize),
}

fn first_difference(old: &str, new: &str, wanted: &[(&ScalarSite, usize, &str)]) -> Difference {
    let mut wanted = wanted.iter().peekable();
    let mut scalars = 0;
    let (mut old_events, mut new_events) = (Content::of(old), Content::of(new));
    loop {
        let (before, after) = match (old_events.next(), new_events.next()) {
            (None, None) if old_events.comments != new_events.comments => return Difference::At(1),
            (None, None) => {
                return wanted
                    .next()
                    .map_or(Difference::None, |(_, line, _)| Difference::At(*line));
            }
            (Some(Ok(before)), Some(Ok(after))) => (before, after),
            (Some(Err(error)), _) | (_, Some(Err(error))) => {
                return Difference::Unreadable(error.marker().line());
            }
            (Some(Ok((_, span))), None) | (None, Some(Ok((_, span)))) => {
                return Difference::At(span.start.line());
            }
        };
        let line = before.1.start.line();
        let same = match (&before.0, &after.0) {
            (
                Event::Scalar(old_value, old_style, old_anchor, old_tag),
                Event::Scalar(new_value, new_style, new_anchor, new_tag),
            ) => {
                let ordinal = scalars;
                scalars += 1;
                if let Some((scalar, _, value)) =
                    wanted.next_if(|(scalar, ..)| scalar.ordinal == ordinal)
                {
                    let ending = &scalar.ending;
                    old_anchor == new_anchor
                        && new_value.strip_suffix(ending.as_str()) == Some(*value)
                        && (new_tag == old_tag || new_tag.is_none())
                } else {
                    (old_value, old_style, old_anchor, old_tag)
                        == (new_value, new_style, new_anchor, new_tag)
                }
            }
            (before, after) => before == after,
        };
        if !same {
            return Difference::At(line);
        }
    }
}

/// The events of a text without its comments, which are kept beside: whether one comes before or
/// after an empty value depends on the value.
struct Content<'t> {
    events: Parser<'t, StrInput<'t>>,
    comments: Vec<Cow<'t, str>>,
}

impl<'t> Content<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            events: parser(text),
            comments: Vec::new(),
        }
    }
}

impl<'t> Iterator for Content<'t> {
    type Item = Result<(Event<'t>, Span), ScanError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.events.next()? {
                Ok((Event::Comment(text, _), _)) => self.comments.push(text),
                event => return Some(event),
            }
        }
    }
}
