//! A registry for loads: answers from memory, counts what it is asked, and watches over its limit.

use serde_json::json;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
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
}

/// What the registry counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    pings: u64,
    lists: u64,
    unchanged: u64,
    refused: u64,
    failed: u64,
    over_limit: Duration,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

struct Registry {
    options: RegistryOptions,
    shared: Mutex<(Counts, Bucket)>,
}

/// Serves for ever on a free port; the address is told first.
pub(crate) async fn serve(
    options: RegistryOptions,
    tell: impl FnOnce(SocketAddr),
) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tell(listener.local_addr()?);
    let registry = Arc::new(Registry {
        shared: Mutex::new((
            Counts::default(),
            Bucket {
                tokens: options.limit_burst,
                at: Instant::now(),
            },
        )),
        options,
    });
    loop {
        let (connection, _) = listener.accept().await?;
        let registry = Arc::clone(&registry);
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
            let request = String::from_utf8_lossy(&line).into_owned();
            let mut is_known = false;
            loop {
                line.clear();
                if reader.read_until(b'\n', &mut line).await? <= 2 {
                    break;
                }
                is_known |= line.to_ascii_lowercase().starts_with(b"if-none-match:");
            }
            if self.options.latency > 0 {
                tokio::time::sleep(Duration::from_millis(self.options.latency)).await;
            }
            answer.clear();
            let target = request.split(' ').nth(1).unwrap_or_default();
            self.answer(target, is_known, &mut answer);
            writer.write_all(&answer).await?;
        }
    }

    fn answer(&self, target: &str, is_known: bool, answer: &mut Vec<u8>) {
        if target == "/counts" {
            return write_answer(answer, "200 OK", "", self.counts().to_string().as_bytes());
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (counts, bucket) = &mut *shared;
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
        if !target.contains("/tags/list") {
            counts.pings += 1;
            return write_answer(answer, "200 OK", "", b"{}");
        }
        counts.lists += 1;
        if counts.lists.is_multiple_of(1000) && self.options.errors > 0
            || counts.lists % 1000 < u64::from(self.options.errors)
        {
            counts.failed += 1;
            return write_answer(answer, "500 Internal Server Error", "", b"");
        }
        if is_known {
            counts.unchanged += 1;
            return write_answer(answer, "304 Not Modified", "ETag: \"1\"\r\n", b"");
        }
        drop(shared);
        self.page(target, answer);
    }

    /// Tags after `last`, at most `n`.
    fn page(&self, target: &str, answer: &mut Vec<u8>) {
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
        let mut body = String::with_capacity(32 + 16 * (end.saturating_sub(first) as usize));
        body.push_str("{\"name\":\"x\",\"tags\":[");
        for tag in first..end {
            let comma = if tag == first { "" } else { "," };
            let _ = write!(body, "{comma}\"1.0.{tag:07}\"");
        }
        body.push_str("]}");
        let headers = if end < self.options.tags && end > first {
            let last = end - 1;
            format!("ETag: \"1\"\r\nLink: <{path}?n={n}&last=1.0.{last:07}>; rel=\"next\"\r\n")
        } else {
            "ETag: \"1\"\r\n".to_owned()
        };
        write_answer(answer, "200 OK", &headers, body.as_bytes());
    }

    fn counts(&self) -> serde_json::Value {
        let counts = self.shared.lock().unwrap_or_else(PoisonError::into_inner).0;
        json!({
            "pings": counts.pings,
            "lists": counts.lists,
            "unchanged": counts.unchanged,
            "refused": counts.refused,
            "failed": counts.failed,
            "overLimitSeconds": counts.over_limit.as_secs_f64(),
        })
    }
}

fn write_answer(answer: &mut Vec<u8>, status: &str, headers: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    answer.extend_from_slice(head.as_bytes());
    answer.extend_from_slice(body);
}
