//! Include and exclude globs over images, with the meaning of Flux v1's `--registry-include-image` and
//! `--registry-exclude-image`.

use tagline_policy::{Glob, ImageName};

/// Which images are scanned. The globs see the canonical name without tag; an exclude wins; without any
/// include, everything is included; `*` matches any run of characters, `/` too.
///
/// Unlike in Flux v1, Docker Hub's images match under `docker.io/…` as well as under `index.docker.io/…`.
#[derive(Debug, Clone)]
pub struct ImageFilter {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

/// Flux v1's default: no includes, and `k8s.gcr.io/*` excluded.
impl Default for ImageFilter {
    fn default() -> Self {
        Self::new(&[] as &[&str], Self::DEFAULT_EXCLUDE)
    }
}

impl ImageFilter {
    /// What is excluded unless something else is said.
    pub const DEFAULT_EXCLUDE: &[&str] = &["k8s.gcr.io/*"];

    /// A filter of these globs and no others.
    #[must_use]
    pub fn new(include: &[impl AsRef<str>], exclude: &[impl AsRef<str>]) -> Self {
        let globs = |patterns: &mut dyn Iterator<Item = &str>| patterns.map(Glob::new).collect();
        Self {
            include: globs(&mut include.iter().map(AsRef::as_ref)),
            exclude: globs(&mut exclude.iter().map(AsRef::as_ref)),
        }
    }

    /// Everything.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            include: Vec::new(),
            exclude: Vec::new(),
        }
    }

    /// Whether this image is to be scanned.
    #[must_use]
    pub fn allows(&self, image: &ImageName) -> bool {
        let canonical = image.to_string();
        let short = image
            .registry()
            .is_docker_hub()
            .then(|| format!("docker.io/{}", image.repository()));
        let is_in = |globs: &[Glob]| {
            globs.iter().any(|glob| {
                glob.matches(&canonical) || short.as_deref().is_some_and(|name| glob.matches(name))
            })
        };
        !is_in(&self.exclude) && (self.include.is_empty() || is_in(&self.include))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excludes_win_and_docker_hub_has_two_spellings() {
        for (include, exclude, image, allowed) in [
            (&[][..], &["k8s.gcr.io/*"][..], "k8s.gcr.io/pause", false),
            (&[], &["k8s.gcr.io/*"], "registry.k8s.io/pause", true),
            (&["ghcr.io/org/*"], &[], "ghcr.io/org/team/app", true),
            (&["ghcr.io/org/*"], &[], "alpine", false),
            (&["ghcr.io/*"], &["*/secret"], "ghcr.io/org/secret", false),
            (&["docker.io/*"], &[], "alpine", true),
            (&["index.docker.io/*"], &[], "alpine", true),
            (
                &["index.docker.io/*"],
                &["docker.io/library/*"],
                "alpine",
                false,
            ),
            (&["alpine"], &[], "alpine", false),
            (&["*alpine"], &[], "alpine", true),
        ] {
            let filter = ImageFilter::new(include, exclude);
            let image = ImageName::parse(image).unwrap();
            assert_eq!(
                filter.allows(&image),
                allowed,
                "{include:?} {exclude:?} {image}"
            );
        }
        assert!(!ImageFilter::default().allows(&ImageName::parse("k8s.gcr.io/a/b").unwrap()));
        assert!(ImageFilter::all().allows(&ImageName::parse("k8s.gcr.io/a/b").unwrap()));
    }
}
