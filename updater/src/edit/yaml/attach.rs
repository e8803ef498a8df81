//! Binds marker comments to the values they stand beside.

use super::layout::{Comment, Content, Layout, Node, Role};
use super::{left_alone, site};
use crate::edit::marker::{self, Comment as Meaning};
use crate::edit::outcome::Place;
use crate::edit::{Found, Setter, Skip, SkipReason};
use granit_parser::ScalarStyle;

/// How many markers inside texts are named: finding their place costs, and a few tell the story.
const MOST_INSIDE_TEXT: usize = 100;

/// The marked values of a file, and the markers that stand at no value.
pub(super) fn bind(text: &str, layout: &Layout) -> Found {
    let mut found = Found::default();
    let mut owners: Vec<Option<&Node>> = vec![None; layout.comments.len()];
    for node in values(layout) {
        if let Some(index) = line_comment(text, layout, node) {
            owners[index] = Some(node);
        }
    }
    let on_line = owners.clone();
    for node in values(layout) {
        if matches!(node.content, Content::Scalar(_))
            && !on_line
                .iter()
                .flatten()
                .any(|owner| std::ptr::eq(*owner, node))
        {
            for index in head_comments(text, layout, node, &on_line) {
                owners[index] = Some(node);
            }
        }
    }
    for (comment, owner) in layout.comments.iter().zip(owners) {
        let setter = match marker::read(&text[comment.range.clone()]) {
            Meaning::Prose if hides_marker(text, comment) => {
                let why = "a marker has to be the whole comment, with no words before it";
                found.skipped.push(left_alone(
                    comment.place,
                    None,
                    SkipReason::MalformedMarker,
                    why,
                ));
                continue;
            }
            Meaning::Prose => continue,
            Meaning::Malformed(why) => {
                found.skipped.push(left_alone(
                    comment.place,
                    None,
                    SkipReason::MalformedMarker,
                    why,
                ));
                continue;
            }
            Meaning::Marker(setter) => setter,
        };
        let Some(node) = owner else {
            found.skipped.push(homeless(text, layout, comment, &setter));
            continue;
        };
        match site(layout, node, setter.clone()) {
            Some(site) => found.sites.push(site),
            None => found.skipped.push(left_alone(
                comment.place,
                Some(&setter),
                SkipReason::Alias,
                "the value is an alias; mark the place where its anchor stands",
            )),
        }
    }
    found
        .skipped
        .extend(inside_text(text, layout).take(MOST_INSIDE_TEXT));
    found.sites.sort_by_key(|site| site.range.start);
    found
}

/// Whether a comment behind a value has a marker behind words of its own. Commented-out lines do not count.
fn hides_marker(text: &str, comment: &Comment) -> bool {
    let line = &text[..comment.range.start];
    let line = &line[line.rfind('\n').map_or(0, |at| at + 1)..];
    !line.trim().is_empty() && marker::may_hold_markers(text[comment.range.clone()].as_bytes())
}

/// The markers that are no comments but text: in a block scalar, between quotes.
fn inside_text<'a>(text: &'a str, layout: &'a Layout) -> impl Iterator<Item = Skip> + 'a {
    let comments = &layout.comments;
    marker::tokens(text.as_bytes()).filter_map(move |token| {
        let next = comments.partition_point(|comment| comment.range.end <= token);
        if comments
            .get(next)
            .is_some_and(|comment| comment.range.contains(&token))
        {
            return None;
        }
        let opener = text[..token].trim_end().strip_suffix('{')?.trim_end();
        let hash = opener.strip_suffix('#')?.len();
        let start = text[..hash].rfind('\n').map_or(0, |at| at + 1);
        let end = text[hash..].find(['\r', '\n']);
        let written = &text[hash..end.map_or(text.len(), |end| hash + end)];
        let setter = match marker::read(written) {
            Meaning::Prose => return None,
            Meaning::Malformed(_) => None,
            Meaning::Marker(setter) => Some(setter),
        };
        let place = Place {
            line: 1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..start]).count(),
            column: 1 + text[start..hash].chars().count(),
        };
        let why = "the marker is part of a text that the file holds, not a comment of the file";
        Some(left_alone(
            place,
            setter.as_ref(),
            SkipReason::NotAComment,
            why,
        ))
    })
}

/// The nodes that can own a marker.
fn values(layout: &Layout) -> impl Iterator<Item = &Node> {
    layout.nodes.iter().filter(|node| {
        let nothing = node.role == Role::Root && node.range.is_empty();
        node.role != Role::Key
            && !nothing
            && matches!(node.content, Content::Scalar(_) | Content::Alias)
    })
}

fn is_block(node: &Node) -> bool {
    matches!(&node.content, Content::Scalar(scalar)
        if matches!(scalar.style, ScalarStyle::Literal | ScalarStyle::Folded))
}

/// The comment behind a value on its last line; behind the header of a block scalar.
fn line_comment(text: &str, layout: &Layout, node: &Node) -> Option<usize> {
    let comments = &layout.comments;
    if is_block(node) {
        let index = comments
            .partition_point(|comment| comment.range.end <= node.range.start)
            .checked_sub(1)?;
        let range = &comments[index].range;
        let line = &text[..range.start];
        let line = &line[line.rfind('\n').map_or(0, |at| at + 1)..];
        let header = line
            .trim_end()
            .trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+'));
        let adjacent = text[range.end..node.range.start].trim().is_empty();
        return (adjacent && header.ends_with(['|', '>'])).then_some(index);
    }
    let index = comments.partition_point(|comment| comment.range.start < node.range.end);
    let gap = &text[node.range.end..comments.get(index)?.range.start];
    let mut commas = usize::from(node.in_flow);
    let only_blanks = gap.bytes().all(|b| match b {
        b' ' | b'\t' => true,
        b',' if commas > 0 => {
            commas -= 1;
            true
        }
        _ => false,
    });
    only_blanks.then_some(index)
}

/// The comments right above a value: between its `:` or `-` and itself, or above its own `- ` line.
fn head_comments(text: &str, layout: &Layout, node: &Node, taken: &[Option<&Node>]) -> Vec<usize> {
    let comments = &layout.comments;
    let mut heads = Vec::new();
    let mut below = node.range.start;
    if is_block(node) {
        let header = text[..below]
            .trim_end()
            .trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+'));
        match header.strip_suffix(['|', '>']) {
            Some(before) => below = before.len(),
            // Behind the header stands another comment.
            None => return heads,
        }
    }
    let mut dashed = false;
    let before = comments.partition_point(|comment| comment.range.end <= below);
    for index in (0..before).rev() {
        let range = &comments[index].range;
        let gap = &text[range.end..below];
        if taken[index].is_some() {
            break;
        }
        for word in gap.split_whitespace() {
            match word {
                "-" if !dashed && node.role == Role::Element && !node.in_flow => dashed = true,
                _ if heads.is_empty() && word.starts_with(['&', '!']) => {}
                _ => return heads,
            }
        }
        // A comment that a blank line parts from a `- ` belongs to what is above it.
        let parted = gap.matches('\n').count() != 1;
        if parted && (dashed || !heads.is_empty()) {
            break;
        }
        let line = &text[..range.start];
        let own_line = line[line.rfind('\n').map_or(0, |at| at + 1)..]
            .trim()
            .is_empty();
        if !own_line {
            let line = line.trim_end();
            let word = line.rsplit([' ', '\t', '\n']).next().unwrap_or_default();
            if !dashed && (line.ends_with([':', '-']) || word.starts_with(['&', '!'])) {
                heads.push(index);
            }
            break;
        }
        heads.push(index);
        below = range.start;
    }
    heads
}

/// Says why a marker has no value.
fn homeless(text: &str, layout: &Layout, comment: &Comment, setter: &Setter) -> Skip {
    let before = text[..comment.range.start].trim_end_matches([' ', '\t', ',']);
    let (reason, detail) = if before.ends_with("}}") {
        (
            SkipReason::TemplatedValue,
            "the value is filled in by a template",
        )
    } else if before.ends_with(['}', ']', '[', '{']) || opens_collection(text, layout, comment) {
        (
            SkipReason::NotAScalar,
            "the marker stands on a mapping or a sequence; put it behind the value itself",
        )
    } else {
        (
            SkipReason::NoValue,
            "no value on this line; put the marker behind the value itself",
        )
    };
    left_alone(comment.place, Some(setter), reason, detail)
}

/// Whether the comment stands behind a key or a dash whose value is the collection that follows.
fn opens_collection(text: &str, layout: &Layout, comment: &Comment) -> bool {
    let before = text[..comment.range.start].trim_end_matches([' ', '\t']);
    let next = layout
        .nodes
        .partition_point(|node| node.range.start < comment.range.end);
    before.ends_with([':', '-'])
        && layout
            .nodes
            .get(next)
            .is_some_and(|node| matches!(node.content, Content::Mapping | Content::Sequence))
}
