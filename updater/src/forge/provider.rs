//! Which forge a git remote belongs to, which repository there, and where its API is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use super::remote_url::{RemoteUrl, decode};
use super::{ForgeError, MarkerStyle};

/// The forges pull requests can be made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Provider {
    /// github.com, GitHub Enterprise Cloud (`*.ghe.com`) and Server.
    GitHub,
    /// gitlab.com and self-managed.
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
    /// bitbucket.org.
    BitbucketCloud,
    /// Bitbucket Data Center (once Server).
    BitbucketDataCenter,
    /// Azure DevOps Services and Server.
    AzureDevOps,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::GitHub,
        Self::GitLab,
        Self::Gitea,
        Self::BitbucketCloud,
        Self::BitbucketDataCenter,
        Self::AzureDevOps,
    ];

    /// The word in `spec.git.pullRequest.provider`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
            Self::BitbucketCloud => "bitbucket",
            Self::BitbucketDataCenter => "bitbucket-data-center",
            Self::AzureDevOps => "azure-devops",
        }
    }

    /// Reads the forge from the host and path of a remote: the well-known hosts, hosts that begin with the forge's
    /// name (`gitlab.example.com`), and paths that only one forge has (`/scm/`, `/_git/`).
    #[must_use]
    pub fn detect(remote: &str) -> Option<Self> {
        let remote = RemoteUrl::parse(remote)?;
        let host = remote.host.as_str();
        let first_label = host.split('.').next().unwrap_or_default();
        let path = format!("/{}", remote.path);
        Some(match host {
            "github.com" | "ssh.github.com" => Self::GitHub,
            "gitlab.com" | "altssh.gitlab.com" => Self::GitLab,
            "codeberg.org" | "gitea.com" => Self::Gitea,
            "bitbucket.org" | "altssh.bitbucket.org" => Self::BitbucketCloud,
            "dev.azure.com" | "ssh.dev.azure.com" | "vs-ssh.visualstudio.com" => Self::AzureDevOps,
            _ if host.ends_with(".ghe.com") => Self::GitHub,
            _ if host.ends_with(".visualstudio.com") || path.contains("/_git/") => {
                Self::AzureDevOps
            }
            _ if path.contains("/scm/") || remote.port == Some(7999) => Self::BitbucketDataCenter,
            _ => match first_label {
                "github" | "ghe" => Self::GitHub,
                "gitlab" => Self::GitLab,
                "gitea" | "forgejo" => Self::Gitea,
                "bitbucket" | "stash" => Self::BitbucketDataCenter,
                _ => return None,
            },
        })
    }

    /// How a marker is hidden in a description: Bitbucket shows HTML comments as text.
    #[must_use]
    pub fn marker_style(self) -> MarkerStyle {
        match self {
            Self::BitbucketCloud | Self::BitbucketDataCenter => MarkerStyle::LinkDefinition,
            _ => MarkerStyle::HtmlComment,
        }
    }

    /// The character that makes a number in a text a link to that pull request.
    pub(super) fn reference_sign(self) -> char {
        match self {
            Self::GitLab | Self::AzureDevOps => '!',
            _ => '#',
        }
    }

    /// The least time between two requests that change something. GitHub asks for a second; the others ask for
    /// nothing, and are not rushed.
    pub(super) fn write_interval(self) -> Duration {
        match self {
            Self::GitHub => Duration::from_secs(1),
            _ => Duration::from_millis(100),
        }
    }

    /// The longest description, in characters. Azure DevOps documents 4,000, GitHub refuses above 65,536, Bitbucket
    /// Data Center above 32,768; the others take more than is of use.
    #[must_use]
    pub fn body_limit(self) -> usize {
        match self {
            Self::AzureDevOps => 4_000,
            Self::BitbucketCloud | Self::BitbucketDataCenter => 32_000,
            Self::GitHub | Self::GitLab | Self::Gitea => 60_000,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Gitea => "Gitea",
            Self::BitbucketCloud => "Bitbucket Cloud",
            Self::BitbucketDataCenter => "Bitbucket Data Center",
            Self::AzureDevOps => "Azure DevOps",
        })
    }
}

impl FromStr for Provider {
    type Err = ForgeError;

    fn from_str(text: &str) -> Result<Self, ForgeError> {
        Ok(match text {
            "forgejo" => Self::Gitea,
            "bitbucket-server" => Self::BitbucketDataCenter,
            "azure" => Self::AzureDevOps,
            _ => Self::ALL
                .into_iter()
                .find(|provider| provider.as_str() == text)
                .ok_or_else(|| ForgeError::UnknownProvider {
                    text: text.chars().take(100).collect(),
                })?,
        })
    }
}

/// The repository of a remote, in the forge's own terms, and where the forge's API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryAddress {
    /// The forge.
    pub provider: Provider,
    /// Without a trailing slash; requests go to this scheme, host and port only.
    pub api: Url,
    /// The owner, the group path, the project key; Azure DevOps: the project.
    pub owner: String,
    /// The repository.
    pub name: String,
}

impl RepositoryAddress {
    /// Reads a remote's URL: `https://`, `http://`, `ssh://`, or `user@host:path`.
    ///
    /// `provider` and `api` override what the URL tells.
    ///
    /// # Errors
    /// [`ForgeError::UnknownForge`] when neither says which forge it is, [`ForgeError::InvalidRemote`] when the path
    /// is none of that forge's.
    pub fn new(
        remote: &str,
        provider: Option<Provider>,
        api: Option<&Url>,
    ) -> Result<Self, ForgeError> {
        let url = RemoteUrl::parse(remote).ok_or_else(|| ForgeError::InvalidRemote {
            provider: None,
            reason: "not a URL of a git remote",
        })?;
        let provider = provider
            .or_else(|| Provider::detect(remote))
            .ok_or_else(|| ForgeError::UnknownForge {
                host: url.host.clone(),
            })?;
        let invalid = |reason| ForgeError::InvalidRemote {
            provider: Some(provider),
            reason,
        };
        let segments: Vec<&str> = url
            .path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        if segments
            .iter()
            .any(|segment| *segment == "." || *segment == "..")
        {
            return Err(invalid("the path has a dot segment"));
        }
        let (root, owner, name) = match provider {
            Provider::GitHub | Provider::BitbucketCloud => match segments.as_slice() {
                [owner, name] => (String::new(), (*owner).to_owned(), *name),
                _ => return Err(invalid("the path must be OWNER/REPOSITORY")),
            },
            Provider::GitLab => match segments.as_slice() {
                [groups @ .., name] if !groups.is_empty() => (String::new(), groups.join("/"), *name),
                _ => return Err(invalid("the path must be GROUP/PROJECT")),
            },
            Provider::Gitea => match segments.as_slice() {
                [root @ .., owner, name] => (root.join("/"), (*owner).to_owned(), *name),
                _ => return Err(invalid("the path must be OWNER/REPOSITORY")),
            },
            Provider::BitbucketDataCenter => match segments.as_slice() {
                [root @ .., "scm", project, name] => (root.join("/"), (*project).to_owned(), *name),
                [project, name] => (String::new(), (*project).to_owned(), *name),
                _ => return Err(invalid("the path must be scm/PROJECT/REPOSITORY")),
            },
            Provider::AzureDevOps => azure_path(&url, &segments).ok_or_else(|| {
                invalid("the path must be ORGANIZATION/PROJECT/_git/REPOSITORY, or v3/ORGANIZATION/PROJECT/REPOSITORY")
            })?,
        };
        let name = decode(name.strip_suffix(".git").unwrap_or(name));
        let owner = decode(&owner);
        if name.is_empty()
            || [&owner, &name]
                .iter()
                .any(|part| part.chars().any(char::is_control))
        {
            return Err(invalid(
                "the repository's name is empty or has control characters",
            ));
        }
        let api = match api {
            Some(api) => without_slash(api.clone()),
            None => default_api(provider, &url, &root)
                .ok_or_else(|| invalid("no API address can be made of it"))?,
        };
        if !matches!(api.scheme(), "https" | "http") || api.host_str().is_none() {
            return Err(invalid("the API's address must be an http or https URL"));
        }
        if !api.username().is_empty() || api.password().is_some() {
            return Err(invalid("the API's address must not hold a credential"));
        }
        Ok(Self {
            provider,
            api,
            owner,
            name,
        })
    }

    /// An address below the API, each segment percent-encoded.
    pub(super) fn endpoint<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> Url {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// `(collection, project, repository)` of the forms Azure DevOps has.
fn azure_path<'u>(url: &RemoteUrl, segments: &[&'u str]) -> Option<(String, String, &'u str)> {
    if let Some(organization) = url
        .host
        .strip_suffix(".visualstudio.com")
        .filter(|label| *label != "vs-ssh")
    {
        let segments = match segments {
            ["DefaultCollection", rest @ ..] => rest,
            all => all,
        };
        return match segments {
            [project, "_git", name] => Some((organization.to_owned(), (*project).to_owned(), name)),
            ["_git", name] => Some((organization.to_owned(), (*name).to_owned(), name)),
            _ => None,
        };
    }
    match segments {
        ["v3", organization, project, name] => {
            Some(((*organization).to_owned(), (*project).to_owned(), name))
        }
        [root @ .., project, "_git", name] if !root.is_empty() => {
            Some((root.join("/"), (*project).to_owned(), name))
        }
        [root @ .., "_git", name] if !root.is_empty() => {
            Some((root.join("/"), (*name).to_owned(), name))
        }
        _ => None,
    }
}

fn default_api(provider: Provider, url: &RemoteUrl, root: &str) -> Option<Url> {
    let origin = url.origin();
    let text = match provider {
        Provider::GitHub => match url.host.as_str() {
            "github.com" | "ssh.github.com" => "https://api.github.com".to_owned(),
            host if host.ends_with(".ghe.com") => format!("https://api.{host}"),
            _ => format!("{origin}/api/v3"),
        },
        Provider::GitLab if url.host == "altssh.gitlab.com" => {
            "https://gitlab.com/api/v4".to_owned()
        }
        Provider::GitLab => format!("{origin}/api/v4"),
        Provider::Gitea => format!("{}/api/v1", join(&origin, root)),
        Provider::BitbucketCloud => "https://api.bitbucket.org/2.0".to_owned(),
        Provider::BitbucketDataCenter => format!("{}/rest", join(&origin, root)),
        Provider::AzureDevOps => match url.host.as_str() {
            "ssh.dev.azure.com" | "vs-ssh.visualstudio.com" => join("https://dev.azure.com", root),
            host if host.ends_with(".visualstudio.com") => format!("https://{host}"),
            _ => join(&origin, root),
        },
    };
    Url::parse(&text).ok().map(without_slash)
}

fn join(origin: &str, path: &str) -> String {
    if path.is_empty() {
        origin.to_owned()
    } else {
        format!("{origin}/{path}")
    }
}

fn without_slash(mut url: Url) -> Url {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
    }
    url.set_query(None);
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn remotes_tell_forge_repository_and_api() {
        let table = [
            (
                "https://github.com/acme/apps.git",
                "github",
                "acme",
                "apps",
                "https://api.github.com/",
            ),
            (
                "git@github.com:acme/apps.git",
                "github",
                "acme",
                "apps",
                "https://api.github.com/",
            ),
            (
                "ssh://git@ssh.github.com:443/acme/apps",
                "github",
                "acme",
                "apps",
                "https://api.github.com/",
            ),
            (
                "https://acme.ghe.com/acme/apps",
                "github",
                "acme",
                "apps",
                "https://api.acme.ghe.com/",
            ),
            (
                "https://github.acme.com/a/b/",
                "github",
                "a",
                "b",
                "https://github.acme.com/api/v3",
            ),
            (
                "https://gitlab.com/a/b/c/d.git",
                "gitlab",
                "a/b/c",
                "d",
                "https://gitlab.com/api/v4",
            ),
            (
                "ssh://git@gitlab.acme.com:2222/a/b",
                "gitlab",
                "a",
                "b",
                "https://gitlab.acme.com/api/v4",
            ),
            (
                "http://gitlab.acme.com:8080/a/b",
                "gitlab",
                "a",
                "b",
                "http://gitlab.acme.com:8080/api/v4",
            ),
            (
                "https://codeberg.org/a/b",
                "gitea",
                "a",
                "b",
                "https://codeberg.org/api/v1",
            ),
            (
                "https://gitea.acme.com/git/a/b",
                "gitea",
                "a",
                "b",
                "https://gitea.acme.com/git/api/v1",
            ),
            (
                "https://me@bitbucket.org/acme/apps.git",
                "bitbucket",
                "acme",
                "apps",
                "https://api.bitbucket.org/2.0",
            ),
            (
                "https://git.acme.com/scm/ops/apps.git",
                "bitbucket-data-center",
                "ops",
                "apps",
                "https://git.acme.com/rest",
            ),
            (
                "https://acme.com/bb/scm/~jo/apps.git",
                "bitbucket-data-center",
                "~jo",
                "apps",
                "https://acme.com/bb/rest",
            ),
            (
                "ssh://git@git.acme.com:7999/ops/apps.git",
                "bitbucket-data-center",
                "ops",
                "apps",
                "https://git.acme.com/rest",
            ),
            (
                "https://acme@dev.azure.com/acme/My%20Ops/_git/apps",
                "azure-devops",
                "My Ops",
                "apps",
                "https://dev.azure.com/acme",
            ),
            (
                "https://dev.azure.com/acme/_git/apps",
                "azure-devops",
                "apps",
                "apps",
                "https://dev.azure.com/acme",
            ),
            (
                "git@ssh.dev.azure.com:v3/acme/ops/apps",
                "azure-devops",
                "ops",
                "apps",
                "https://dev.azure.com/acme",
            ),
            (
                "https://acme.visualstudio.com/DefaultCollection/ops/_git/apps",
                "azure-devops",
                "ops",
                "apps",
                "https://acme.visualstudio.com/",
            ),
            (
                "https://tfs.acme.com/tfs/Main/ops/_git/apps",
                "azure-devops",
                "ops",
                "apps",
                "https://tfs.acme.com/tfs/Main",
            ),
        ];
        for (remote, provider, owner, name, api) in table {
            let address = RepositoryAddress::new(remote, None, None)
                .unwrap_or_else(|error| panic!("{remote}: {error}"));
            assert_eq!(
                (
                    address.provider.as_str(),
                    address.owner.as_str(),
                    address.name.as_str(),
                    address.api.as_str()
                ),
                (provider, owner, name, api),
                "{remote}"
            );
        }
    }

    #[test]
    fn what_is_no_repository_of_the_forge_is_refused() {
        for remote in [
            "https://github.com/acme",
            "https://github.com/a/b/c",
            "https://example.com/a/b",
            "file:///srv/git/a",
            "https://dev.azure.com/acme/apps",
            "https://gitlab.com/a/%0a",
            "not a remote",
            "",
        ] {
            assert!(
                RepositoryAddress::new(remote, None, None).is_err(),
                "{remote}"
            );
        }
    }

    #[test]
    fn provider_and_api_can_be_given() {
        let api = Url::parse("https://api.example.com/x/").unwrap();
        let address = RepositoryAddress::new(
            "https://git.example.com/a/b",
            Some(Provider::Gitea),
            Some(&api),
        )
        .unwrap();
        assert_eq!(
            address.endpoint(["repos", "a b", "c/d"]).as_str(),
            "https://api.example.com/x/repos/a%20b/c%2Fd"
        );
        let leaking = Url::parse("https://user:secret@api.example.com").unwrap();
        let error =
            RepositoryAddress::new("https://github.com/a/b", None, Some(&leaking)).unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn provider_words_are_read_back() {
        for provider in Provider::ALL {
            assert_eq!(provider.as_str().parse::<Provider>().unwrap(), provider);
        }
        assert_eq!("forgejo".parse::<Provider>().unwrap(), Provider::Gitea);
        assert!("svn".parse::<Provider>().is_err());
    }
}
