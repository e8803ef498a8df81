//! Repository addresses as git writes them: `https://`, `http://`, `ssh://`, `user@host:path`, `file://`.

use secrecy::SecretString;
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// A text that is not the address of a repository. Never shows user info, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGitUrl {
    /// A scheme that has no transport here.
    #[error(
        "git URL scheme {scheme:?} is not supported: use https://, http://, ssh://, user@host:path or file://"
    )]
    Scheme {
        /// What stands before `://`, or nothing.
        scheme: String,
    },
    /// The text does not parse as a URL.
    #[error("git URL is not valid: {reason}")]
    Syntax {
        /// What the parser says.
        reason: String,
    },
    /// A part that is missing or would be taken for an option by `ssh`.
    #[error("git URL has no usable {part}")]
    Part {
        /// `host`, `user`, `port` or `path`.
        part: &'static str,
    },
}

/// The address of a repository, without credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum GitUrl {
    /// `https://` or `http://`, without user info, query or fragment.
    Http(Url),
    /// `ssh://` or scp-like.
    Ssh(SshAddress),
    /// A repository on this machine.
    File(PathBuf),
}

/// Where `ssh` connects and what it asks for there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SshAddress {
    /// The remote user; `git` when the address names none.
    pub user: String,
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// The port, when it is not 22.
    pub port: Option<u16>,
    /// The path as the remote git gets it: absolute, `~user/…`, or relative to the remote home.
    pub path: String,
}

/// User name and password that stood in an http(s) URL.
#[derive(Debug, Clone)]
pub(crate) struct UserInfo {
    pub(crate) user: String,
    pub(crate) password: Option<SecretString>,
}

impl GitUrl {
    /// Reads an address. Credentials in it are dropped; [`super::Remote::new`] keeps them as basic auth.
    ///
    /// # Errors
    /// [`InvalidGitUrl`] for another scheme, a missing host or path, or a part that `ssh` would read as an option.
    pub fn parse(text: &str) -> Result<Self, InvalidGitUrl> {
        Self::parse_with_user_info(text).map(|(url, _)| url)
    }

    pub(crate) fn parse_with_user_info(
        text: &str,
    ) -> Result<(Self, Option<UserInfo>), InvalidGitUrl> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(InvalidGitUrl::Syntax {
                reason: "it holds a control character".to_owned(),
            });
        }
        match text.split_once("://") {
            Some(("http" | "https", _)) => parse_http(text),
            Some(("ssh" | "git+ssh" | "ssh+git", rest)) => {
                parse_ssh(rest).map(|address| (Self::Ssh(address), None))
            }
            Some(("file", _)) => {
                let url = Url::parse(text).map_err(syntax)?;
                let path = url
                    .to_file_path()
                    .map_err(|()| InvalidGitUrl::Part { part: "path" })?;
                if path.parent().is_none() {
                    return Err(InvalidGitUrl::Part { part: "path" });
                }
                Ok((Self::File(path), None))
            }
            Some((scheme, _)) => Err(InvalidGitUrl::Scheme {
                scheme: scheme.chars().take(40).collect(),
            }),
            None if text.starts_with('/') => Ok((Self::File(PathBuf::from(text)), None)),
            None => parse_scp(text).map(|address| (Self::Ssh(address), None)),
        }
    }

    /// What libgit2 is given: the scheme chooses the transport, and nothing secret is in it.
    pub(crate) fn for_transport(&self) -> String {
        match self {
            Self::Http(url) => url.as_str().to_owned(),
            Self::Ssh(address) => {
                let host = bracketed(&address.host);
                let port = address.port.map(|p| format!(":{p}")).unwrap_or_default();
                let slash = if address.path.starts_with('/') {
                    ""
                } else {
                    "/"
                };
                format!("ssh://{}@{host}{port}{slash}{}", address.user, address.path)
            }
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The host a credential belongs to; none for `file://`.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Http(url) => url.host_str(),
            Self::Ssh(address) => Some(&address.host),
            Self::File(_) => None,
        }
    }

    /// The path of the repository on its host.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Http(url) => url.path().to_owned(),
            Self::Ssh(address) => address.path.clone(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => f.write_str(url.as_str()),
            Self::Ssh(address) if !address.path.starts_with(['/', '~']) => write!(
                f,
                "{}@{}:{}",
                address.user,
                bracketed(&address.host),
                address.path
            ),
            Self::Ssh(_) => f.write_str(&self.for_transport()),
            Self::File(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl fmt::Debug for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GitUrl({self})")
    }
}

impl std::str::FromStr for GitUrl {
    type Err = InvalidGitUrl;
    fn from_str(text: &str) -> Result<Self, InvalidGitUrl> {
        Self::parse(text)
    }
}

fn syntax(e: url::ParseError) -> InvalidGitUrl {
    InvalidGitUrl::Syntax {
        reason: e.to_string(),
    }
}

fn parse_http(text: &str) -> Result<(GitUrl, Option<UserInfo>), InvalidGitUrl> {
    let mut url = Url::parse(text).map_err(syntax)?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(InvalidGitUrl::Part { part: "host" });
    }
    if url.path().trim_matches('/').is_empty() {
        return Err(InvalidGitUrl::Part { part: "path" });
    }
    let info = (!url.username().is_empty() || url.password().is_some()).then(|| UserInfo {
        user: decoded(url.username()),
        password: url.password().map(|p| decoded(p).into()),
    });
    // Neither can fail: an http URL has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok((GitUrl::Http(url), info))
}

/// `%41` to `A`; text that is not valid after decoding stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = (first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        if let Some(byte) = hex {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// `[user@]host[:port]/path`, after `ssh://`.
fn parse_ssh(rest: &str) -> Result<SshAddress, InvalidGitUrl> {
    let (authority, path) = rest
        .split_once('/')
        .ok_or(InvalidGitUrl::Part { part: "path" })?;
    let (user, host_port) = match authority.rsplit_once('@') {
        // A password in an ssh URL has no use: ssh takes none from there.
        Some((user, rest)) => (user.split(':').next().unwrap_or_default(), rest),
        None => ("git", authority),
    };
    let (host, port) = if let Some(inner) = host_port.strip_prefix('[') {
        let (host, rest) = inner
            .split_once(']')
            .ok_or(InvalidGitUrl::Part { part: "host" })?;
        (host, rest.strip_prefix(':'))
    } else {
        match host_port.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host_port, None),
        }
    };
    let port = match port {
        None | Some("") => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port != 0 => Some(port).filter(|&p| p != 22),
            _ => return Err(InvalidGitUrl::Part { part: "port" }),
        },
    };
    let path = match decoded(path) {
        home if home.starts_with('~') => home,
        absolute => format!("/{absolute}"),
    };
    ssh_address(&decoded(user), host, port, &path)
}

/// `[user@]host:path`, as scp writes it; the path is relative to the remote home unless it begins with `/`.
fn parse_scp(text: &str) -> Result<SshAddress, InvalidGitUrl> {
    let no_scheme = || InvalidGitUrl::Scheme {
        scheme: String::new(),
    };
    let (user, rest) = match text.split_once('@') {
        Some((user, rest)) if !user.contains(['/', ':']) => (user, rest),
        _ => ("git", text),
    };
    let (host, path) = if let Some(inner) = rest.strip_prefix('[') {
        inner.split_once("]:").ok_or_else(no_scheme)?
    } else {
        rest.split_once(':').ok_or_else(no_scheme)?
    };
    // `ext::command` runs a program in git.
    if host.contains('/') || path.starts_with(':') {
        return Err(no_scheme());
    }
    ssh_address(user, host, None, path)
}

fn ssh_address(
    user: &str,
    host: &str,
    port: Option<u16>,
    path: &str,
) -> Result<SshAddress, InvalidGitUrl> {
    let plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && !text.chars().any(|c| {
                c.is_whitespace() || c.is_control() || "@/\\'\"`$;|&<>()[]{}*?!#".contains(c)
            })
    };
    if !plain(host) || host.len() > 255 {
        return Err(InvalidGitUrl::Part { part: "host" });
    }
    if host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err() && !host.contains('%') {
        return Err(InvalidGitUrl::Part { part: "host" });
    }
    if !plain(user) {
        return Err(InvalidGitUrl::Part { part: "user" });
    }
    if path.trim_matches('/').is_empty() || path.starts_with('-') || path.contains('\0') {
        return Err(InvalidGitUrl::Part { part: "path" });
    }
    Ok(SshAddress {
        user: user.to_owned(),
        host: host.to_ascii_lowercase(),
        port,
        path: path.to_owned(),
    })
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn ssh(text: &str) -> (String, String, Option<u16>, String) {
        match GitUrl::parse(text).unwrap() {
            GitUrl::Ssh(a) => (a.user, a.host, a.port, a.path),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ssh_addresses_in_every_spelling() {
        for (text, user, host, port, path) in [
            (
                "ssh://git@github.com/org/repo",
                "git",
                "github.com",
                None,
                "/org/repo",
            ),
            (
                "ssh://github.com:22/org/repo.git",
                "git",
                "github.com",
                None,
                "/org/repo.git",
            ),
            (
                "ssh://bob@[::1]:2222/srv/x",
                "bob",
                "::1",
                Some(2222),
                "/srv/x",
            ),
            (
                "ssh://bob@[fe80::1]/srv/x",
                "bob",
                "fe80::1",
                None,
                "/srv/x",
            ),
            ("ssh://git@h/~bob/x", "git", "h", None, "~bob/x"),
            (
                "git@github.com:org/repo.git",
                "git",
                "github.com",
                None,
                "org/repo.git",
            ),
            ("github.com:org/repo", "git", "github.com", None, "org/repo"),
            ("me@[::1]:/srv/a b.git", "me", "::1", None, "/srv/a b.git"),
            ("git@h:/srv/x's.git", "git", "h", None, "/srv/x's.git"),
            (
                "ssh://git@h:7999/a%20b.git",
                "git",
                "h",
                Some(7999),
                "/a b.git",
            ),
            ("ssh://git:secret@h/x", "git", "h", None, "/x"),
        ] {
            let (u, h, p, q) = ssh(text);
            assert_eq!((&*u, &*h, p, &*q), (user, host, port, path), "{text}");
        }
    }

    #[test]
    fn credentials_leave_the_url() {
        let (url, info) =
            GitUrl::parse_with_user_info("https://me:p%40ss@git.example.com/org/repo.git/?a=b#c")
                .unwrap();
        assert_eq!(url.to_string(), "https://git.example.com/org/repo.git");
        let info = info.unwrap();
        assert_eq!(info.user, "me");
        assert_eq!(info.password.unwrap().expose_secret(), "p@ss");
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_user_info() {
        for text in [
            "",
            "repo",
            "ftp://h/x",
            "ssh://h",
            "ssh://-oProxyCommand=x/y",
            "ssh://git@-h/y",
            "ssh://-x@h/y",
            "ssh://git@h:0/y",
            "ssh://git@h:99999/y",
            "git@h:",
            "git@h:-x",
            "git@a b:x",
            "https://",
            "https://host",
            "https://host/",
            "http://user:hunter2@/x",
            "https://u:hunter2@host",
            "ext::sh -c touch",
            "https://h/x\n",
            "file://",
            "../relative",
        ] {
            if text == "https://h/x\n" {
                assert!(
                    GitUrl::parse(text).is_ok(),
                    "surrounding blanks are trimmed"
                );
                continue;
            }
            let error = GitUrl::parse(text).expect_err(text);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn any_text_is_read_without_panic() {
        proptest::proptest!(|(text in "\\PC{0,60}", scheme in "(ssh://|https://|file://|git@|)")| {
            let whole = format!("{scheme}{text}");
            if let Ok(url) = GitUrl::parse(&whole) {
                let again = GitUrl::parse(&url.to_string());
                proptest::prop_assert!(!matches!(&url, GitUrl::Ssh(a) if a.host.starts_with('-') || a.user.starts_with('-')));
                if !matches!(url, GitUrl::File(_)) {
                    proptest::prop_assert!(again.is_ok(), "{:?} -> {}", whole, url);
                }
            }
        });
    }
}
