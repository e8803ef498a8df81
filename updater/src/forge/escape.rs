//! Foreign text in Markdown: shown, never obeyed.
//!
//! A file name, a policy, a tag or an annotation may hold anything. As a code span none of it becomes a link, a
//! mention (`@team`), a reference (`#1`, `!1`), an image or HTML on any of the forges; backslash escapes do not
//! achieve that (GitHub still notifies for `\@team`).

use std::fmt::Write as _;

use url::Url;

/// Longest foreign text shown, in characters.
const MAX_SPAN: usize = 200;

/// `text` as a code span that can stand in a table cell.
pub(super) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for (count, character) in text.chars().enumerate() {
        if count == MAX_SPAN {
            out.push('…');
            break;
        }
        out.push(match character {
            // Either would end the span, or the cell, in one of the dialects.
            '`' => '\'',
            '|' => '¦',
            // Bitbucket Cloud reads `{:` as an attribute list even here.
            character
                if character.is_control()
                    || is_invisible(character)
                    || character.is_whitespace() =>
            {
                ' '
            }
            character => character,
        });
    }
    let trimmed = out.trim();
    if trimmed.is_empty() {
        "`-`".to_owned()
    } else {
        format!("`{trimmed}`")
    }
}

/// `[label](url)` for a web address, or only the label. `label` is Markdown of ours.
pub(super) fn link(label: &str, url: Option<&Url>) -> String {
    match url.and_then(address) {
        Some(address) => format!("[{label}]({address})"),
        None => label.to_owned(),
    }
}

/// The address with every character percent-encoded that means something in Markdown or HTML.
fn address(url: &Url) -> Option<String> {
    if !matches!(url.scheme(), "https" | "http")
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return None;
    }
    let mut out = String::new();
    for character in url.as_str().chars() {
        match character {
            '(' | ')' | '<' | '>' | '[' | ']' | '|' | '`' | '"' | '\'' | '\\' | '*' | '{' | '}'
            | '^' | '@' => {
                let _ = write!(out, "%{:02X}", character as u32);
            }
            _ => out.push(character),
        }
    }
    (out.len() <= 1_000).then_some(out)
}

/// One line of plain text, at most `limit` characters: for titles, which forges do not render.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let visible: String = text
        .chars()
        .map(|c| {
            if c.is_control() || is_invisible(c) {
                ' '
            } else {
                c
            }
        })
        .collect();
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= limit {
        return line;
    }
    line.chars()
        .take(limit.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// A forge's own words in an error: one short line without the credential.
pub(super) fn foreign_message(text: &str, secrets: &[&str]) -> String {
    let mut text = text.chars().take(4_000).collect::<String>();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        text = text.replace(secret, "***");
    }
    let line = one_line(&text, 300);
    if line.is_empty() {
        "no reason given".to_owned()
    } else {
        line
    }
}

/// Characters that turn the direction of text or hide in it.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_ends_a_span_early() {
        assert_eq!(code("a`b|c\nd"), "`a'b¦c d`");
        assert_eq!(code("@team #1 <b>"), "`@team #1 <b>`");
        assert_eq!(code(" \u{202E}\n"), "`-`");
    }

    #[test]
    fn only_web_addresses_become_links() {
        let link_to = |text: &str| link("x", Url::parse(text).ok().as_ref());
        assert_eq!(
            link_to("https://example.com/a(b)|c?q=<i>"),
            "[x](https://example.com/a%28b%29%7Cc?q=%3Ci%3E)"
        );
        assert_eq!(link_to("javascript:alert(1)"), "x");
        assert_eq!(link_to("https://user:secret@example.com/"), "x");
        assert_eq!(link_to("data:text/html,x"), "x");
    }

    #[test]
    fn a_credential_in_a_message_is_blotted_out() {
        assert_eq!(
            foreign_message("bad token\r\nghp_abcd!", &["ghp_abcd"]),
            "bad token ***!"
        );
    }

    proptest! {
        #[test]
        fn a_span_is_one_line_with_two_backticks(text in ".*") {
            let span = code(&text);
            prop_assert_eq!(span.matches('`').count(), 2);
            prop_assert!(span.starts_with('`') && span.ends_with('`'));
            prop_assert!(!span.contains(['|', '\n', '\r']));
        }

        #[test]
        fn an_address_holds_no_markup(path in ".{0,60}") {
            let mut url = Url::parse("https://example.com/").unwrap();
            url.set_path(&path);
            url.set_query(Some(&path));
            let text = link("x", Some(&url));
            let inside = text.strip_prefix("[x](").and_then(|rest| rest.strip_suffix(')')).unwrap();
            prop_assert!(!inside.contains([' ', '(', ')', '<', '>', '|', '`', '\n', '@']));
        }
    }
}
