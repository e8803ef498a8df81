//! "Did you mean …?": the known word nearest to a mistyped one.

/// The candidate that differs from `word` by few enough edits to be a likely mistyping of it.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (edits(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let candidate = candidate.to_lowercase();
            let one_begins_the_other = (word.len() >= 3 && candidate.starts_with(&word))
                || (candidate.len() >= 3 && word.starts_with(&candidate));
            *distance <= limit || one_begins_the_other
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, with a swap of neighbours as one edit.
fn edits(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_mistypings_and_leaves_other_words_alone() {
        let known = ["image", "interval", "secretRef", "exclusionList", "semver"];
        assert_eq!(nearest("intervall", known), Some("interval"));
        assert_eq!(nearest("secretref", known), Some("secretRef"));
        assert_eq!(nearest("iamge", known), Some("image"));
        assert_eq!(nearest("excl", known), Some("exclusionList"));
        assert_eq!(nearest("tag", known), None);
        assert_eq!(nearest("completelyDifferent", known), None);
    }
}
