//! A registry for loads: answers from memory, counts what it is asked, and watches over its limit.
//!
//! Pages are made once and then sent again and again, so that its CPU hides nothing of the client's.

use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the registry holds and how it behaves.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RegistryOptions {
    /// Tags of each repository.
    #[arg(long, default_value_t = 500)]
    pub(crate) tags: u32,
    /// Milliseconds before each answer.
    #[arg(long, default_value_t = 0)]
    pub(crate) latency: u64,
    /// Requests per second above which it answers 429; 0 is no limit.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) limit: f64,
    /// Requests that may come at once.
    #[arg(long, default_value_t = 50.0)]
    pub(crate) limit_burst: f64,
    /// Of a thousand requests, how many fail with 500.
    #[arg(long, default_value_t = 0)]
    pub(crate) errors: u32,
    /// Ask for bearer tokens, one scope per repository.
    #[arg(long)]
    pub(crate) bearer: bool,
}

/// What the registry counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    connections: u64,
    pings: u64,
    tokens: u64,
    lists: u64,
    unchanged: u64,
    unauthorized: u64,
    refused: u64,
    failed: u64,
    over_limit: Duration,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// What has been asked so far, and the pages made for it.
struct State {
    counts: Counts,
    bucket: Bucket,
    /// By the first tag and the one after the last.
    pages: HashMap<(u32, u32), Arc<[u8]>>,
}

struct Registry {
    options: RegistryOptions,
    authority: String,
    state: Mutex<State>,
}

/// What of a request matters.
#[derive(Default)]
struct Request {
    target: String,
    /// It has an `If-None-Match`.
    is_known: bool,
    authorization: Option<String>,
}

/// Serves for ever on a free port; the address is told first.
pub(crate) async fn serve(
    options: RegistryOptions,
    tell: impl FnOnce(SocketAddr),
) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tell(address);
    let registry = Arc::new(Registry {
        state: Mutex::new(State {
            counts: Counts::default(),
            bucket: Bucket {
                tokens: options.limit_burst,
                at: Instant::now(),
            },
            pages: HashMap::new(),
        }),
        authority: address.to_string(),
        options,
    });
    loop {
        let (connection, _) = listener.accept().await?;
        let registry = Arc::clone(&registry);
        registry.state().counts.connections += 1;
        // A client that goes away ends its task.
        tokio::spawn(async move { registry.connection(connection).await });
    }
}

impl Registry {
    async fn connection(&self, mut connection: TcpStream) -> std::io::Result<()> {
        connection.set_nodelay(true)?;
        let (reader, mut writer) = connection.split();
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        let mut answer = Vec::new();
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).await? == 0 || line.first() == Some(&0x16) {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&line);
            let mut request = Request {
                target: text.split(' ').nth(1).unwrap_or_default().to_owned(),
                ..Request::default()
            };
            loop {
                line.clear();
                if reader.read_until(b'\n', &mut line).await? <= 2 {
                    break;
                }
                request.is_known |= header(&line, b"if-none-match:").is_some();
                if let Some(value) = header(&line, b"authorization:") {
                    request.authorization = Some(String::from_utf8_lossy(value).trim().to_owned());
                }
            }
            if self.options.latency > 0 {
                tokio::time::sleep(Duration::from_millis(self.options.latency)).await;
            }
            answer.clear();
            self.answer(&request, &mut answer);
            writer.write_all(&answer).await?;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request, answer: &mut Vec<u8>) {
        let target = request.target.as_str();
        if target == "/counts" {
            return write_answer(answer, "200 OK", "", self.counts().to_string().as_bytes());
        }
        let mut state = self.state();
        let State {
            counts,
            bucket,
            pages,
        } = &mut *state;
        if self.options.limit > 0.0 {
            let now = Instant::now();
            let gained = now.duration_since(bucket.at).as_secs_f64() * self.options.limit;
            bucket.at = now;
            bucket.tokens = (bucket.tokens + gained).min(self.options.limit_burst) - 1.0;
            if bucket.tokens < 0.0 {
                bucket.tokens += 1.0;
                counts.refused += 1;
                counts.over_limit += Duration::from_secs_f64(1.0 / self.options.limit);
                return write_answer(answer, "429 Too Many Requests", "Retry-After: 1\r\n", b"");
            }
        }
        if let Some(query) = target.strip_prefix("/token?") {
            counts.tokens += 1;
            let token = json!({"token": scopes(query), "expires_in": 300});
            return write_answer(answer, "200 OK", "", token.to_string().as_bytes());
        }
        if self.options.bearer && !is_allowed(request) {
            counts.unauthorized += 1;
            let challenge = format!(
                "WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"load\"\r\n",
                self.authority
            );
            return write_answer(answer, "401 Unauthorized", &challenge, b"");
        }
        if !target.contains("/tags/list") {
            counts.pings += 1;
            return write_answer(answer, "200 OK", "", b"{}");
        }
        counts.lists += 1;
        if counts.lists % 1000 < u64::from(self.options.errors) {
            counts.failed += 1;
            return write_answer(answer, "500 Internal Server Error", "", b"");
        }
        if request.is_known {
            counts.unchanged += 1;
            return write_answer(answer, "304 Not Modified", "ETag: \"1\"\r\n", b"");
        }
        self.page(target, pages, answer);
    }

    /// Tags after `last`, at most `n`.
    fn page(&self, target: &str, pages: &mut HashMap<(u32, u32), Arc<[u8]>>, answer: &mut Vec<u8>) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let value = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let n: u32 = value("n").and_then(|n| n.parse().ok()).unwrap_or(u32::MAX);
        let first = value("last")
            .and_then(|last| last.rsplit('.').next()?.parse::<u32>().ok())
            .map_or(0, |last| last + 1);
        let end = first.saturating_add(n).min(self.options.tags);
        let body = pages
            .entry((first, end))
            .or_insert_with(|| body(first, end));
        let headers = if end < self.options.tags && end > first {
            let last = end - 1;
            format!("ETag: \"1\"\r\nLink: <{path}?n={n}&last=1.0.{last:07}>; rel=\"next\"\r\n")
        } else {
            "ETag: \"1\"\r\n".to_owned()
        };
        write_answer(answer, "200 OK", &headers, body);
    }

    fn counts(&self) -> serde_json::Value {
        let counts = self.state().counts;
        json!({
            "connections": counts.connections,
            "pings": counts.pings,
            "tokens": counts.tokens,
            "lists": counts.lists,
            "unchanged": counts.unchanged,
            "unauthorized": counts.unauthorized,
            "refused": counts.refused,
            "failed": counts.failed,
            "overLimitSeconds": counts.over_limit.as_secs_f64(),
        })
    }
}

fn body(first: u32, end: u32) -> Arc<[u8]> {
    let mut body = String::with_capacity(32 + 16 * (end.saturating_sub(first) as usize));
    body.push_str("{\"name\":\"x\",\"tags\":[");
    for tag in first..end {
        let comma = if tag == first { "" } else { "," };
        let _ = write!(body, "{comma}\"1.0.{tag:07}\"");
    }
    body.push_str("]}");
    body.into_bytes().into()
}

/// The value of a header line, if it is this one.
fn header<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

/// A token is the list of what it is good for.
fn scopes(query: &str) -> String {
    let scopes: Vec<_> = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("scope="))
        .map(|scope| scope.replace("%3A", ":").replace("%2F", "/"))
        .collect();
    scopes.join("+")
}

fn is_allowed(request: &Request) -> bool {
    let Some(repository) = request
        .target
        .strip_prefix("/v2/")
        .and_then(|path| path.split_once("/tags/list"))
    else {
        return request.authorization.is_some();
    };
    let scope = format!("repository:{}:pull", repository.0);
    request
        .authorization
        .as_deref()
        .and_then(|value| value.strip_prefix("Bearer "))
        .is_some_and(|token| token.split('+').any(|granted| granted == scope))
}

fn write_answer(answer: &mut Vec<u8>, status: &str, headers: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    answer.extend_from_slice(head.as_bytes());
    answer.extend_from_slice(body);
}
