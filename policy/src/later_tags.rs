//! Which tags could be chosen instead of the one that is: for registries that are asked only for those.

use crate::policy::Policy;
use crate::spec::{Choice, FilterTags, Order};
use crate::{Tag, TagRef};

impl Policy {
    /// The first place, by bytes, from which on tags could be chosen rather than `chosen`: as long as `chosen` stays,
    /// no tag that sorts before this place changes the choice.
    ///
    /// `None` where tags anywhere could. Versions, numbers and times are such: `1.10.0` sorts before `1.9.0`. What
    /// remains is `alphabetical` in ascending order, without `extract`, or with one that gives a group which begins at a fixed
    /// place: `^RELEASE\.(?P<time>.*)Z$`.
    #[must_use]
    pub fn choices_begin_at(&self, chosen: TagRef<'_>) -> Option<Tag> {
        let Choice::Alphabetical {
            order: Order::Ascending,
        } = self.spec.choice
        else {
            return None;
        };
        match &self.spec.filter {
            None => Some(chosen.to_owned()),
            Some(filter) if filter.extract.is_empty() => Some(chosen.to_owned()),
            Some(filter) => {
                // A tag is `prefix`, what is compared, and anything. Where what is compared is greater than that of
                // the chosen tag, so is the whole tag than the prefix with that of the chosen tag.
                let prefix = literal_before_the_extracted(filter)?;
                let compared = self.filter.as_ref()?.text(chosen.as_str())?;
                Tag::new(prefix + &compared).ok()
            }
        }
    }
}

/// The fixed text that every tag begins with, up to the group that is compared.
fn literal_before_the_extracted(filter: &FilterTags) -> Option<String> {
    let mut literal = String::new();
    let mut rest = filter.pattern.strip_prefix('^')?;
    let group = loop {
        let mut characters = rest.chars();
        match characters.next()? {
            '(' => break rest,
            '\\' => match characters.next()? {
                escaped @ ('.' | '-' | '+') => literal.push(escaped),
                _ => return None,
            },
            plain if plain.is_ascii_alphanumeric() || matches!(plain, '-' | '_') => {
                literal.push(plain);
            }
            _ => return None,
        }
        rest = characters.as_str();
    };
    let name = group
        .strip_prefix("(?P<")
        .or_else(|| group.strip_prefix("(?<"))
        .and_then(|named| named.split_once('>'))
        .map(|(name, _)| name);
    let is_plain_group = name.is_some() || !group.starts_with("(?");
    let wanted = filter.extract.strip_prefix('$')?;
    let wanted = wanted
        .strip_prefix('{')
        .map_or(Some(wanted), |braced| braced.strip_suffix('}'))?;
    let is_first_group = is_plain_group && (wanted == "1" || Some(wanted) == name);
    (is_first_group && is_matched_once(group)).then_some(literal)
}

/// Whether the group at the beginning is matched once and always: not repeated, not optional, and no alternative to it.
fn is_matched_once(pattern: &str) -> bool {
    let mut depth = 0_u32;
    let mut in_class = false;
    let mut after_group = false;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if std::mem::take(&mut after_group) && matches!(character, '*' | '+' | '?' | '{') {
            return false;
        }
        match character {
            // `\Q` quotes what would have a meaning otherwise.
            '\\' if characters.next() == Some('Q') => return false,
            '\\' => {}
            '[' if !in_class => {
                in_class = true;
                // In first place a bracket stands for itself.
                let mut first = characters.clone();
                if first.next() == Some('^') {
                    characters.next();
                }
                if characters.clone().next() == Some(']') {
                    characters.next();
                }
            }
            ']' => in_class = false,
            // `[[:alpha:]]` has a bracket of its own.
            '[' => return false,
            _ if in_class => {}
            '(' => depth += 1,
            ')' => {
                let Some(outer) = depth.checked_sub(1) else {
                    return false;
                };
                depth = outer;
                after_group = depth == 0;
            }
            '|' if depth == 0 => return false,
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PolicySpec, Sortable};

    fn begin(pattern: &str, extract: &str, chosen: &str) -> Option<String> {
        let spec = PolicySpec::new(Choice::Alphabetical {
            order: Order::Ascending,
        })
        .with_filter(pattern, extract);
        let policy = Policy::compile(&spec).unwrap();
        let chosen = TagRef::new(chosen).unwrap();
        policy
            .choices_begin_at(chosen)
            .map(|tag| tag.as_str().to_owned())
    }

    #[test]
    fn orders_by_bytes_begin_at_the_chosen_tag() {
        assert_eq!(begin("", "", "b"), Some("b".to_owned()));
        assert_eq!(begin("^main-", "", "main-2"), Some("main-2".to_owned()));
        for (pattern, extract, begins) in [
            (r"^RELEASE\.(?P<time>.*)Z$", "$time", Some("RELEASE.2024")),
            (r"^RELEASE\.(?P<time>.*)Z$", "${time}", Some("RELEASE.2024")),
            (r"^RELEASE\.(.*)Z", "$1", Some("RELEASE.2024")),
            (
                r"^RELEASE\.(?<time>[0-9]+)Z$",
                "$time",
                Some("RELEASE.2024"),
            ),
            (r"^RELEASE\.(a|[()|0-9]*)Z$", "$1", Some("RELEASE.2024")),
            // The place where it begins is not the same in every tag.
            (r"RELEASE\.(?P<time>.*)Z$", "$time", None),
            (r"^[A-Z]+\.(?P<time>.*)Z$", "$time", None),
            (r"^RELEASE.(?P<time>.*)Z$", "$time", None),
            (r"^(?i)RELEASE\.(?P<time>.*)Z$", "$time", None),
            (r"^RELEASE?\.(?P<time>.*)Z$", "$time", None),
            // It is not what is compared, or not all of it.
            (r"^(RELEASE)\.(?P<time>.*)Z$", "$time", None),
            (r"^RELEASE\.(?P<time>.*)Z$", "$time-x", None),
            (r"^RELEASE\.(?P<time>.*)Z$", "x$time", None),
            (r"^RELEASE\.(?:2)(.*)Z$", "$1", None),
            // It is matched several times, or something else is.
            (r"^RELEASE\.(2|0|4)+Z$", "$1", None),
            (r"^RELEASE\.(2.*)?Z$", "$1", None),
            (r"^RELEASE\.(.*)Z$|^R", "$1", None),
        ] {
            let found = begin(pattern, extract, "RELEASE.2024Z");
            assert_eq!(found.as_deref(), begins, "{pattern} {extract}");
        }
    }

    #[test]
    fn other_orders_begin_anywhere() {
        let order = Order::Ascending;
        for choice in [
            Choice::Semver {
                range: "*".to_owned(),
            },
            Choice::Alphabetical {
                order: Order::Descending,
            },
            Choice::Numerical {
                order,
                unparsable: crate::Unparsable::Skip,
            },
            Choice::Natural { order },
            Choice::FirstSeen { order },
            Choice::Sortable(Sortable::Timestamp),
        ] {
            let policy = Policy::compile(&PolicySpec::new(choice.clone())).unwrap();
            let chosen = TagRef::new("1").unwrap();
            assert_eq!(policy.choices_begin_at(chosen), None, "{choice:?}");
        }
    }
}
