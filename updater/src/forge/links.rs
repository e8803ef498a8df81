//! Links to where an image comes from: its registry's page, its source at a revision, what changed between two.

use url::Url;

use super::{Provider, SourceRevision};

/// The page of an image at a registry that has pages for people.
pub(super) fn registry_page(image: &str) -> Option<Url> {
    let name = tagline_policy::ImageName::parse(image).ok()?.to_string();
    let (registry, repository) = name.split_once('/')?;
    let text = match registry {
        "index.docker.io" | "docker.io" => match repository.strip_prefix("library/") {
            Some(official) => format!("https://hub.docker.com/_/{official}"),
            None => format!("https://hub.docker.com/r/{repository}"),
        },
        "quay.io" => format!("https://quay.io/repository/{repository}"),
        "ghcr.io" | "mcr.microsoft.com" | "public.ecr.aws" | "gcr.io" | "registry.gitlab.com" => {
            match registry {
                "public.ecr.aws" => format!("https://gallery.ecr.aws/{repository}"),
                "mcr.microsoft.com" => {
                    format!("https://mcr.microsoft.com/artifact/mar/{repository}")
                }
                // These answer a browser with a page of the image.
                _ => format!("https://{registry}/{repository}"),
            }
        }
        _ if registry.ends_with(".gcr.io") || registry.ends_with("-docker.pkg.dev") => {
            format!("https://{registry}/{repository}")
        }
        _ => return None,
    };
    Url::parse(&text).ok()
}

/// The page of a source; at its revision where the host's addresses are known.
pub(super) fn source_page(source: &SourceRevision) -> Option<Url> {
    let repository = SourceRepository::parse(&source.url)?;
    match (
        repository.provider,
        source
            .revision
            .as_deref()
            .filter(|revision| is_revision(revision)),
    ) {
        (Some(provider), Some(revision)) => repository.join(match provider {
            Provider::GitHub | Provider::Gitea | Provider::AzureDevOps => vec!["commit", revision],
            Provider::GitLab => vec!["-", "commit", revision],
            Provider::BitbucketCloud | Provider::BitbucketDataCenter => vec!["commits", revision],
        }),
        _ => Some(repository.url),
    }
}

/// What changed between two revisions of one source.
pub(super) fn compare_page(old: &SourceRevision, new: &SourceRevision) -> Option<Url> {
    let (from, to) = (
        SourceRepository::parse(&old.url)?,
        SourceRepository::parse(&new.url)?,
    );
    let (old, new) = (old.revision.as_deref()?, new.revision.as_deref()?);
    if from.url != to.url || old == new || !is_revision(old) || !is_revision(new) {
        return None;
    }
    match to.provider? {
        Provider::GitHub | Provider::Gitea => to.join(["compare", &format!("{old}...{new}")]),
        Provider::GitLab => to.join(["-", "compare", &format!("{old}...{new}")]),
        Provider::BitbucketCloud => to.join(["branches", "compare", &format!("{new}..{old}")]),
        Provider::BitbucketDataCenter => {
            let mut url = to.join(["compare", "commits"])?;
            url.query_pairs_mut()
                .append_pair("sourceBranch", new)
                .append_pair("targetBranch", old);
            Some(url)
        }
        Provider::AzureDevOps => {
            let mut url = to.join(["branchCompare"])?;
            url.query_pairs_mut()
                .append_pair("baseVersion", &format!("GC{old}"))
                .append_pair("targetVersion", &format!("GC{new}"));
            Some(url)
        }
    }
}

/// The repository named by `org.opencontainers.image.source`.
struct SourceRepository {
    provider: Option<Provider>,
    url: Url,
}

impl SourceRepository {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut url = match text
            .strip_prefix("git@")
            .and_then(|rest| rest.split_once(':'))
        {
            Some((host, path)) => Url::parse(&format!("https://{host}/{path}")).ok()?,
            None => Url::parse(text.strip_prefix("git+").unwrap_or(text)).ok()?,
        };
        if !matches!(url.scheme(), "https" | "http")
            || !url.username().is_empty()
            || url.password().is_some()
        {
            return None;
        }
        url.set_query(None);
        url.set_fragment(None);
        let provider = Provider::detect(url.as_str());
        let path = url.path().trim_matches('/').to_owned();
        // `https://github.com/acme/app/tree/main/server` names the repository acme/app.
        let kept = match provider {
            Some(Provider::GitHub | Provider::BitbucketCloud) => {
                path.splitn(3, '/').take(2).collect::<Vec<_>>().join("/")
            }
            Some(Provider::GitLab) => path.split("/-/").next().unwrap_or_default().to_owned(),
            _ => path,
        };
        url.set_path(kept.strip_suffix(".git").unwrap_or(&kept));
        Some(Self { provider, url })
    }

    fn join<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> Option<Url> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(segments);
        Some(url)
    }
}

/// A commit id, or a tag's name without anything a path could be changed by.
fn is_revision(text: &str) -> bool {
    (4..=100).contains(&text.len())
        && !text.contains("..")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_with_pages() {
        for (image, page) in [
            ("nginx", "https://hub.docker.com/_/nginx"),
            ("acme/web", "https://hub.docker.com/r/acme/web"),
            ("quay.io/acme/web", "https://quay.io/repository/acme/web"),
            ("ghcr.io/acme/web", "https://ghcr.io/acme/web"),
            (
                "public.ecr.aws/acme/web",
                "https://gallery.ecr.aws/acme/web",
            ),
            (
                "mcr.microsoft.com/dotnet/sdk",
                "https://mcr.microsoft.com/artifact/mar/dotnet/sdk",
            ),
            (
                "europe-docker.pkg.dev/p/r/web",
                "https://europe-docker.pkg.dev/p/r/web",
            ),
        ] {
            assert_eq!(
                registry_page(image).map(String::from).as_deref(),
                Some(page),
                "{image}"
            );
        }
        for image in ["registry.example.com/web", "not an image", ""] {
            assert_eq!(registry_page(image), None, "{image}");
        }
    }

    fn at(url: &str, revision: Option<&str>) -> SourceRevision {
        SourceRevision {
            url: url.to_owned(),
            revision: revision.map(str::to_owned),
        }
    }

    #[test]
    fn sources_and_comparisons() {
        for (url, commit, compare) in [
            (
                "https://github.com/acme/web.git",
                "https://github.com/acme/web/commit/bbbb",
                "https://github.com/acme/web/compare/aaaa...bbbb",
            ),
            (
                "git@github.com:acme/web.git",
                "https://github.com/acme/web/commit/bbbb",
                "https://github.com/acme/web/compare/aaaa...bbbb",
            ),
            (
                "https://github.com/acme/web/tree/main/x",
                "https://github.com/acme/web/commit/bbbb",
                "https://github.com/acme/web/compare/aaaa...bbbb",
            ),
            (
                "https://gitlab.com/a/b/web",
                "https://gitlab.com/a/b/web/-/commit/bbbb",
                "https://gitlab.com/a/b/web/-/compare/aaaa...bbbb",
            ),
            (
                "https://codeberg.org/a/web",
                "https://codeberg.org/a/web/commit/bbbb",
                "https://codeberg.org/a/web/compare/aaaa...bbbb",
            ),
            (
                "https://bitbucket.org/a/web",
                "https://bitbucket.org/a/web/commits/bbbb",
                "https://bitbucket.org/a/web/branches/compare/bbbb..aaaa",
            ),
            (
                "https://dev.azure.com/o/p/_git/web",
                "https://dev.azure.com/o/p/_git/web/commit/bbbb",
                "https://dev.azure.com/o/p/_git/web/branchCompare?baseVersion=GCaaaa&targetVersion=GCbbbb",
            ),
        ] {
            let (old, new) = (at(url, Some("aaaa")), at(url, Some("bbbb")));
            assert_eq!(
                source_page(&new).map(String::from).as_deref(),
                Some(commit),
                "{url}"
            );
            assert_eq!(
                compare_page(&old, &new).map(String::from).as_deref(),
                Some(compare),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        assert_eq!(
            source_page(&at("https://git.example.com/x", Some("abcd")))
                .map(String::from)
                .as_deref(),
            Some("https://git.example.com/x")
        );
        for bad in [
            "javascript:alert(1)",
            "https://u:p@github.com/a/b",
            "",
            "file:///etc/passwd",
        ] {
            assert_eq!(source_page(&at(bad, None)), None, "{bad}");
        }
        let github = |revision| at("https://github.com/a/b", Some(revision));
        for (old, new) in [("aaaa", "aaaa"), ("aaaa", "../../x"), ("a b c d", "bbbb")] {
            assert_eq!(compare_page(&github(old), &github(new)), None);
        }
        assert_eq!(
            compare_page(&at("https://github.com/a/c", Some("aaaa")), &github("bbbb")),
            None
        );
    }
}
