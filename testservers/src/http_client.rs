//! A plain HTTP/1.1 client, so that this crate's own checks need no client of the code under test.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{method} {url}: {source}")]
pub struct ClientError {
    method: String,
    url: String,
    source: io::Error,
}

/// A client for one server; plain HTTP, one connection per request.
#[derive(Debug, Clone)]
pub struct HttpClient {
    authority: String,
    headers: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl HttpClient {
    /// A client of `host:port`.
    #[must_use]
    pub fn new(authority: &str) -> Self {
        Self {
            authority: authority.to_owned(),
            headers: Vec::new(),
        }
    }

    /// Sends that header with every request.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends basic credentials with every request.
    #[must_use]
    pub fn with_basic_auth(self, user: &str, password: &str) -> Self {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.with_header("Authorization", &format!("Basic {pair}"))
    }

    /// `GET` of a path (with its query).
    ///
    /// # Errors
    /// When the server cannot be reached or breaks off.
    pub fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.send("GET", path, "", &[])
    }

    /// A request with a body.
    ///
    /// # Errors
    /// When the server cannot be reached or breaks off.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer, ClientError> {
        self.exchange(method, path, content_type, body)
            .map_err(|source| ClientError {
                method: method.to_owned(),
                url: format!("http://{}{path}", self.authority),
                source,
            })
    }

    fn exchange(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut connection = TcpStream::connect(&self.authority)?;
        connection.set_read_timeout(Some(LIMIT))?;
        connection.set_write_timeout(Some(LIMIT))?;
        let mut message = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n",
            self.authority,
            body.len()
        );
        if !content_type.is_empty() {
            message += &format!("Content-Type: {content_type}\r\n");
        }
        for (name, value) in &self.headers {
            message += &format!("{name}: {value}\r\n");
        }
        message += "\r\n";
        connection.write_all(message.as_bytes())?;
        connection.write_all(body)?;
        read_answer(BufReader::new(connection), method)
    }
}

fn read_answer(mut reader: impl BufRead, method: &str) -> io::Result<Answer> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| broken("no status line"))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(broken("headers end early"));
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').ok_or_else(|| broken("header"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut body = Vec::new();
    if method != "HEAD" && status != 304 {
        reader.read_to_end(&mut body)?;
        let announced = headers.iter().find(|(name, _)| name == "content-length");
        if let Some((_, length)) = announced
            && length.parse() != Ok(body.len())
        {
            return Err(broken("body ends early"));
        }
    }
    Ok(Answer {
        status,
        headers,
        body,
    })
}
