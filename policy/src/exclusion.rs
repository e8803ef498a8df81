//! Tags that never count: exclusion list, artifact tags, include and exclude globs.

use crate::TagRef;
use crate::glob::TagGlobs;
use crate::invalid_policy::{Field, InvalidPolicy};
use crate::re2::Re2;
use crate::spec::Exclusions;

/// The compiled form of [`Exclusions`]: what a repository keeps from all its policies.
#[derive(Debug, Clone)]
pub struct ExclusionSet {
    patterns: Vec<Exclusion>,
    artifacts: bool,
    globs: Option<TagGlobs>,
}

#[derive(Debug, Clone)]
enum Exclusion {
    /// Flux's default `^.*\.sig$`, which needs no regular expression engine.
    Signature,
    Regex(Re2),
}

impl ExclusionSet {
    /// Checks and compiles.
    ///
    /// # Errors
    /// [`InvalidPolicy`], showing the first pattern that is wrong.
    pub fn compile(spec: &Exclusions) -> Result<Self, InvalidPolicy> {
        let patterns = spec
            .patterns
            .iter()
            .enumerate()
            .map(|(index, pattern)| {
                if pattern == Exclusions::FLUX_DEFAULT {
                    return Ok(Exclusion::Signature);
                }
                Re2::compile(pattern)
                    .map(Exclusion::Regex)
                    .map_err(|error| {
                        InvalidPolicy::new(
                            Field::Exclusion(index),
                            pattern,
                            error.span,
                            error.message,
                            crate::re2::ALLOWED,
                        )
                    })
            })
            .collect::<Result<_, _>>()?;
        let globs = if spec.include.is_empty() && spec.exclude.is_empty() {
            None
        } else {
            Some(TagGlobs::compile(&spec.include, &spec.exclude)?)
        };
        Ok(Self {
            patterns,
            artifacts: spec.artifacts,
            globs,
        })
    }

    /// Whether a tag is left out.
    #[must_use]
    pub fn excludes(&self, tag: TagRef<'_>) -> bool {
        self.reason(tag.as_str()).is_some()
    }

    /// Why a tag is left out, if it is.
    pub(crate) fn reason(&self, tag: &str) -> Option<Reason> {
        if self.artifacts && is_artifact_tag(tag) {
            return Some(Reason::Artifact);
        }
        let by_pattern = |exclusion: &Exclusion| match exclusion {
            Exclusion::Signature => tag.as_bytes().ends_with(b".sig"),
            Exclusion::Regex(regex) => regex.is_match(tag),
        };
        if let Some(index) = self.patterns.iter().position(by_pattern) {
            return Some(Reason::Pattern(index));
        }
        match &self.globs {
            Some(globs) if !globs.includes(tag) => Some(Reason::Globs),
            _ => None,
        }
    }
}

/// What left a tag out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Pattern(usize),
    Artifact,
    Globs,
}

/// Whether a tag is one that cosign or the referrers fallback of the OCI distribution specification
/// stores things under: `sha256-<64 hex>`, alone or with `.sig`, `.att`, `.sbom` or another suffix.
#[must_use]
pub fn is_artifact_tag(tag: &str) -> bool {
    let Some((algorithm, rest)) = tag.split_once('-') else {
        return false;
    };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    // The specification cuts the hex so that a tag keeps to 128 characters.
    let length = length.min(crate::MAX_TAG_LENGTH - algorithm.len() - 1);
    let (hex, suffix) = rest.split_at_checked(length).unwrap_or((rest, ""));
    hex.len() == length
        && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && (suffix.is_empty() || suffix.starts_with('.'))
}
