//! One evaluation of one policy: choose a tag, see that it can be pulled, look up its digest.

use super::created_times::{candidate, created_times};
use super::status::{Failure, ImageRef, Retry};
use crate::resources::{DigestReflection, ImagePolicySpec, ImageRepositorySpec, Object};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tagline_policy::{Candidate, Change, Context, Evaluation, HeldBack, Policy, Tag};
use tagline_scanner::{Manifest, Platform, Problem, ScanError, ScanTarget, Scanner, TagSet};

/// What an evaluation needs.
pub(crate) struct Question {
    /// The policy's object.
    pub(crate) object: Arc<Object<ImagePolicySpec>>,
    /// Its repository.
    pub(crate) repository: Arc<Object<ImageRepositorySpec>>,
    /// The policy with the repository's exclusions.
    pub(crate) policy: Arc<Policy>,
    /// The repository's target.
    pub(crate) target: ScanTarget,
    /// Its tags.
    pub(crate) tags: Arc<TagSet>,
    /// The evaluation before, and what has changed since.
    pub(crate) before: Option<(Arc<Evaluation>, Arc<TagSet>, Arc<TagSet>)>,
    /// What was chosen before.
    pub(crate) latest: Option<ImageRef>,
    /// Whether a newly chosen tag must be seen to be there.
    pub(crate) check_manifest: bool,
    /// Pause before a tag without manifest is looked at again.
    pub(crate) requeue_dependency: Duration,
    /// The present.
    pub(crate) now: Timestamp,
}

/// What an evaluation gave.
pub(crate) struct Answer {
    /// The image wanted.
    pub(crate) result: Result<ImageRef, Failure>,
    /// How many tags were looked at, and how many matched.
    pub(crate) counts: (usize, usize),
    /// When tags that are too young now have come of age.
    pub(crate) recheck_at: Option<Timestamp>,
    /// To go on from.
    pub(crate) evaluation: Option<Arc<Evaluation>>,
    /// The newer version that other policies of the group lack.
    pub(crate) held_back: Option<HeldBack>,
}

/// Evaluates.
pub(crate) async fn evaluate(question: Arc<Question>, scanner: Scanner) -> Answer {
    let created = if question.policy.needs_created() {
        match question.created_times(&scanner).await {
            Ok(created) => created,
            Err(failure) => return Answer::failed(failure),
        }
    } else {
        HashMap::new()
    };
    let chosen = {
        let question = Arc::clone(&question);
        tokio::task::spawn_blocking(move || choose(&question, &created)).await
    };
    let evaluation = match chosen {
        Ok(evaluation) => Arc::new(evaluation),
        Err(error) => {
            return Answer::failed(Failure::retried(
                "Failure",
                format!("evaluation stopped: {error}"),
            ));
        }
    };
    let selection = evaluation.selection();
    let counts = (selection.considered, selection.matched);
    let recheck_at = selection.recheck_at;
    let result = match &selection.result {
        Ok(tag) => image(&question, &scanner, tag).await,
        Err(no_choice) => Err(Failure::retried("Failure", no_choice.to_string())),
    };
    Answer {
        result,
        counts,
        recheck_at,
        evaluation: Some(evaluation),
        held_back: None,
    }
}

impl Question {
    /// When the images were made that could be chosen.
    pub(super) async fn created_times(
        &self,
        scanner: &Scanner,
    ) -> Result<HashMap<Tag, Timestamp>, Failure> {
        created_times(&self.policy, &self.target, &self.tags, scanner)
            .await
            .map_err(|error| {
                Failure::retried(
                    "ReadOperationFailed",
                    format!("cannot read when images were created: {error}"),
                )
            })
    }

    pub(super) fn context(&self) -> Context {
        let current = self.latest.as_ref().map(|latest| latest.tag.clone());
        Context::at(self.now).with_current(current)
    }
}

impl Answer {
    pub(super) fn failed(failure: Failure) -> Self {
        Self {
            result: Err(failure),
            counts: (0, 0),
            recheck_at: None,
            evaluation: None,
            held_back: None,
        }
    }
}

fn choose(question: &Question, created: &HashMap<Tag, Timestamp>) -> Evaluation {
    let context = question.context();
    let unpacked = std::cell::OnceCell::new();
    let all = || {
        unpacked
            .get_or_init(|| question.tags.unpack())
            .iter()
            .map(|(tag, seen)| candidate(tag, seen, created))
    };
    let Some((before, added, removed)) = question.before.as_ref().filter(|_| created.is_empty())
    else {
        return question.policy.evaluate(all(), &context);
    };
    let (added, removed) = (added.unpack(), removed.unpack());
    let candidates = |(tag, seen)| Candidate {
        tag,
        first_seen: Some(seen),
        created: None,
    };
    let added: Vec<Candidate<'_>> = added.iter().map(candidates).collect();
    let removed: Vec<Candidate<'_>> = removed.iter().map(candidates).collect();
    let change = Change {
        added: &added,
        removed: &removed,
    };
    question.policy.update(before, change, all, &context)
}

/// The image of a chosen tag: with its digest where the policy reflects it, and only when it can be pulled.
pub(super) async fn image(
    question: &Question,
    scanner: &Scanner,
    tag: &Tag,
) -> Result<ImageRef, Failure> {
    let name = question.repository.spec.image.clone();
    let before = question
        .latest
        .as_ref()
        .filter(|latest| latest.name == name && latest.tag == *tag);
    let digest_wanted = match question.object.spec.digest_reflection_policy {
        DigestReflection::Never => false,
        DigestReflection::IfNotPresent => before.is_none_or(|latest| latest.digest.is_none()),
        DigestReflection::Always => true,
    };
    let check_wanted = question.check_manifest && before.is_none();
    let keeps_digest = question.object.spec.digest_reflection_policy != DigestReflection::Never;
    if !digest_wanted && !check_wanted {
        let digest = before
            .and_then(|latest| latest.digest.clone())
            .filter(|_| keeps_digest);
        return Ok(ImageRef {
            name,
            tag: tag.clone(),
            digest,
        });
    }
    let manifest = scanner
        .manifest(&question.target, tag.as_ref())
        .await
        .map_err(|error| manifest_failure(question, &name, tag, digest_wanted, &error))?;
    if check_wanted && !question.object.spec.platforms.is_empty() {
        check_platforms(question, scanner, &name, tag, &manifest).await?;
    }
    Ok(ImageRef {
        name,
        tag: tag.clone(),
        digest: keeps_digest.then_some(manifest.digest),
    })
}

fn manifest_failure(
    question: &Question,
    name: &str,
    tag: &Tag,
    digest_wanted: bool,
    error: &ScanError,
) -> Failure {
    if matches!(error.problem, Problem::NotFound { .. }) {
        let kept = question
            .latest
            .as_ref()
            .map_or_else(String::new, |latest| format!("; {latest} stays"));
        return Failure {
            reason: "ManifestNotFound",
            message: format!("{name}:{tag} is listed, but has no manifest yet{kept}"),
            retry: Retry::After(question.requeue_dependency),
        };
    }
    if digest_wanted {
        Failure::retried(
            "Failed",
            format!("failed fetching digest of {name}:{tag}: {error}"),
        )
    } else {
        Failure::retried(
            "ReadOperationFailed",
            format!("cannot see whether {name}:{tag} can be pulled: {error}"),
        )
    }
}

async fn check_platforms(
    question: &Question,
    scanner: &Scanner,
    name: &str,
    tag: &Tag,
    manifest: &Manifest,
) -> Result<(), Failure> {
    let details = scanner
        .details(&question.target, &manifest.digest)
        .await
        .map_err(|error| {
            Failure::retried(
                "ReadOperationFailed",
                format!("cannot read the platforms of {name}:{tag}: {error}"),
            )
        })?;
    let missing: Vec<&str> = question
        .object
        .spec
        .platforms
        .iter()
        .map(String::as_str)
        .filter(|wanted| {
            !details
                .platforms
                .iter()
                .any(|platform| is_platform(platform, wanted))
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure {
        reason: "PlatformMissing",
        message: format!("{name}:{tag} has no image for {} yet", missing.join(", ")),
        retry: Retry::After(question.requeue_dependency),
    })
}

fn is_platform(platform: &Platform, wanted: &str) -> bool {
    let mut parts = wanted.split('/');
    parts.next() == Some(platform.os.as_str())
        && parts.next() == Some(platform.architecture.as_str())
        && parts
            .next()
            .is_none_or(|variant| platform.variant.as_deref() == Some(variant))
}
