//! When images were made: looked up for policies that go by it.

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use std::collections::HashMap;
use tagline_policy::{Candidate, Context, Policy, Tag, TagRef, Verdict};
use tagline_scanner::{Problem, ScanError, ScanTarget, Scanner, TagSet};

/// Created times asked for at the same time, for one policy.
const DETAILS_AT_ONCE: usize = 8;

/// A tag with what is known about its times.
pub(crate) fn candidate<'t>(
    tag: TagRef<'t>,
    first_seen: Timestamp,
    created: &HashMap<Tag, Timestamp>,
) -> Candidate<'t> {
    Candidate {
        tag,
        first_seen: Some(first_seen),
        created: if created.is_empty() {
            None
        } else {
            created.get(&tag.to_owned()).copied()
        },
    }
}

/// The created times of the tags that could be chosen: those that neither filter nor exclusions leave out.
///
/// # Errors
/// The first request that failed; a tag that is gone meanwhile is none.
pub(crate) async fn created_times(
    policy: &Policy,
    target: &ScanTarget,
    tags: &TagSet,
    scanner: &Scanner,
) -> Result<HashMap<Tag, Timestamp>, ScanError> {
    // Neither filter nor exclusions ask for the time.
    let context = Context::at(Timestamp::UNIX_EPOCH);
    let (tags, nothing) = (tags.unpack(), HashMap::new());
    let candidates = tags
        .iter()
        .map(|(tag, first_seen)| candidate(tag, first_seen, &nothing));
    let wanted: Vec<Tag> = policy
        .explain(candidates, &context)
        .verdicts
        .into_iter()
        .filter(|verdict| !matches!(verdict.verdict, Verdict::Filtered | Verdict::Excluded))
        .map(|verdict| verdict.tag)
        .collect();
    let looked_up = stream::iter(wanted)
        .map(|tag| async move {
            let manifest = match scanner.manifest(target, tag.as_ref()).await {
                Ok(manifest) => manifest,
                // A tag that is gone meanwhile is no candidate.
                Err(error) if matches!(error.problem, Problem::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let details = scanner.details(target, &manifest.digest).await?;
            Ok(details.created.map(|created| (tag, created)))
        })
        .buffer_unordered(DETAILS_AT_ONCE);
    let mut looked_up = std::pin::pin!(looked_up);
    let mut created = HashMap::new();
    while let Some(result) = looked_up.next().await {
        created.extend(result?);
    }
    Ok(created)
}
