//! The parts of a git remote's URL that tell where its forge is.

use url::Url;

/// Percent-decodes; text that is not UTF-8 then stays as it was.
pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        let decoded = hex
            .filter(|_| byte == b'%')
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        out.push(decoded.unwrap_or(byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// The parts of a git remote's URL that matter here. The user is dropped.
pub(super) struct RemoteUrl {
    scheme: &'static str,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
}

impl RemoteUrl {
    pub(super) fn parse(remote: &str) -> Option<Self> {
        let Ok(url) = Url::parse(remote) else {
            // git's short form for ssh, `user@host:path`: the first colon comes before any slash.
            let (authority, path) = remote.split_once(':')?;
            let host = authority.rsplit('@').next()?;
            let host = Url::parse(&format!("ssh://{host}"))
                .ok()?
                .host_str()?
                .to_ascii_lowercase();
            return Some(Self {
                scheme: "ssh",
                host,
                port: None,
                path: path.trim_matches('/').to_owned(),
            });
        };
        let scheme = match url.scheme() {
            "https" => "https",
            "http" => "http",
            "ssh" | "git+ssh" | "ssh+git" => "ssh",
            _ => return None,
        };
        Some(Self {
            scheme,
            host: url.host_str()?.to_ascii_lowercase(),
            port: url.port(),
            path: url.path().trim_matches('/').to_owned(),
        })
    }

    /// Where the web pages and the API are; of an ssh remote only the host is known.
    pub(super) fn origin(&self) -> String {
        match (self.scheme, self.port) {
            ("ssh", _) => format!("https://{}", self.host),
            (scheme, Some(port)) => format!("{scheme}://{}:{port}", self.host),
            (scheme, None) => format!("{scheme}://{}", self.host),
        }
    }
}
