//! Which plain texts a YAML reader takes for something else than a string.
//!
//! The union of YAML 1.1 (`PyYAML`, `go-yaml`), YAML 1.2's core schema, and `go-yaml`'s habit of dropping
//! every `_` of a number first: a tag must stay a string whatever reads the file.

use regex::Regex;
use std::sync::LazyLock;

const NOT_STRINGS: &str = r"(?x)^(?:
    | ~ | null | Null | NULL | << | =
    | y | Y | yes | Yes | YES | n | N | no | No | NO
    | true | True | TRUE | false | False | FALSE | on | On | ON | off | Off | OFF
    | [-+]? 0[bB][-+]?[01]* | [-+]? 0[oO][-+]?[0-7]* | [-+]? 0[xX][-+]?[0-9a-fA-F]*
    | [-+]? (?: \.[0-9]+ | [0-9]+ (?: \.[0-9]* )? ) (?: [eE][-+]?[0-9]+ )?
    | [-+]? [0-9]+ (?: :[0-5]?[0-9] )+ (?: \.[0-9]* )?
    | [-+]? \.(?: inf | Inf | INF ) | \.(?: nan | NaN | NAN ) | \.
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2} (?: (?: [Tt] | [\ \t]+ ) [0-9].* )?
)$";

/// Whether a plain scalar of this text is read as a string, by YAML 1.1 and by YAML 1.2.
pub(super) fn is_string(text: &str) -> bool {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(NOT_STRINGS).ok());
    let Some(pattern) = PATTERN.as_ref() else {
        return false;
    };
    let numberlike = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    if numberlike && text.contains('_') {
        return !pattern.is_match(&text.replace('_', ""));
    }
    !pattern.is_match(text)
}

/// Whether a text can stand unquoted, in block and in flow style.
///
/// Narrower than YAML's rule: the characters of image references, beginning with a letter or a digit.
pub(super) fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && !text.ends_with(':')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-/:@+".contains(&b))
}
