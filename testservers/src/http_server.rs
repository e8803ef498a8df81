//! A small HTTP/1.1 server for one test: a function from request to response, on a free port.
//!
//! Bodies are read whole (also chunked ones). A response can stall or break off, which no well-behaved
//! server does and every client must survive.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::StartError;

/// How long an idle connection is kept.
const IDLE_LIMIT: Duration = Duration::from_mins(1);
/// How often a stalled response looks whether the server has ended.
const STALL_STEP: Duration = Duration::from_millis(20);

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, still percent-encoded, without the query.
    pub path: String,
    /// What follows `?`, still percent-encoded; empty when there is none.
    pub query: String,
    /// Header names (lower case) and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that name (any case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let wanted = name.to_ascii_lowercase();
        let found = self.headers.iter().find(|(header, _)| *header == wanted);
        found.map(|(_, value)| value.as_str())
    }

    /// The decoded values of a query parameter, in their order.
    #[must_use]
    pub fn query_values(&self, name: &str) -> Vec<String> {
        form_values(&self.query, name)
    }

    /// The decoded values of a field of a form body (`application/x-www-form-urlencoded`).
    #[must_use]
    pub fn form_values(&self, name: &str) -> Vec<String> {
        form_values(&String::from_utf8_lossy(&self.body), name)
    }

    /// User and password of an `Authorization: Basic` header.
    #[must_use]
    pub fn basic_credentials(&self) -> Option<(String, String)> {
        use base64::Engine as _;
        let encoded = self.header("authorization")?.strip_prefix("Basic ")?;
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }
}

fn form_values(form: &str, name: &str) -> Vec<String> {
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| percent_decode(key) == name)
        .map(|(_, value)| percent_decode(value))
        .collect()
}

pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = bytes
            .get(index + 1..index + 3)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[index], hex) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                index += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// How a response's body is sent.
#[derive(Debug, Clone)]
pub enum Body {
    /// Whole.
    Whole(Vec<u8>),
    /// Announced whole, broken off after that many bytes.
    CutAfter(Vec<u8>, usize),
    /// Announced whole, then silence after that many bytes, until the client goes or the server ends.
    StallAfter(Vec<u8>, usize),
}

/// What the server answers.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names and values; `Content-Length` and `Connection` are added.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// Waits that long before the first byte.
    pub delay: Duration,
    /// Closes without any answer.
    pub drop_connection: bool,
}

impl Response {
    /// A response with a body of plain bytes.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Whole(body.into()),
            delay: Duration::ZERO,
            drop_connection: false,
        }
    }

    /// A `200` with `Content-Type: application/json`.
    #[must_use]
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body).with_header("Content-Type", "application/json")
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Waits before the first byte.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Closes the connection instead of answering.
    #[must_use]
    pub fn dropped() -> Self {
        Self {
            drop_connection: true,
            ..Self::new(500, "")
        }
    }
}

type Handler = dyn Fn(&Request) -> Response + Send + Sync;

#[derive(Default)]
struct State {
    stopped: AtomicBool,
    requests: Mutex<Vec<Request>>,
    connections: Mutex<Vec<TcpStream>>,
}

/// A running server; ends when dropped.
pub struct HttpServer {
    address: SocketAddr,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("HttpServer");
        debug
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl HttpServer {
    /// Starts a server that answers with `handler`, which may run on many threads at once.
    ///
    /// # Errors
    /// When no loopback port is free.
    pub fn start(
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let failed = |operation| StartError::io("HTTP server", operation);
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed("listen"))?;
        let address = listener.local_addr().map_err(failed("listen"))?;
        let state = Arc::new(State::default());
        let handler: Arc<Handler> = Arc::new(handler);
        let shared = Arc::clone(&state);
        let accepting = std::thread::Builder::new()
            .name("http-server".to_owned())
            .spawn(move || accept(&listener, &shared, &handler))
            .map_err(failed("start a thread"))?;
        Ok(Self {
            address,
            state,
            accepting: Some(accepting),
        })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state.requests).clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        for connection in lock(&self.state.connections).drain(..) {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, state: &Arc<State>, handler: &Arc<Handler>) {
    for connection in listener.incoming() {
        if state.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        if let Ok(copy) = connection.try_clone() {
            lock(&state.connections).push(copy);
        }
        let state = Arc::clone(state);
        let handler = Arc::clone(handler);
        // A client that goes away in the middle is its own business.
        std::thread::spawn(move || {
            let _ = serve(&connection, &state, handler.as_ref());
            let _ = connection.shutdown(std::net::Shutdown::Both);
        });
    }
}

fn serve(connection: &TcpStream, state: &State, handler: &Handler) -> io::Result<()> {
    connection.set_read_timeout(Some(IDLE_LIMIT))?;
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection);
    while let Some((request, keep_alive)) = read_request(&mut reader, connection)? {
        lock(&state.requests).push(request.clone());
        let response = handler(&request);
        let close = !keep_alive
            || request
                .header("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let whole = write_response(connection, &request, &response, state, close)?;
        if close || !whole {
            break;
        }
    }
    Ok(())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A request, and whether its version keeps connections.
fn read_request(
    reader: &mut BufReader<&TcpStream>,
    mut connection: &TcpStream,
) -> io::Result<Option<(Request, bool)>> {
    let Some(first) = read_line(reader)? else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(invalid("request line"));
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    while let Some(line) = read_line(reader)?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("header"))?;
        let header = (name.to_ascii_lowercase(), value.trim().to_owned());
        request.headers.push(header);
    }
    if request
        .header("expect")
        .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    {
        connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if request
        .header("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    {
        request.body = read_chunks(reader)?;
    } else if let Some(length) = request.header("content-length") {
        let length: u64 = length.parse().map_err(|_| invalid("content length"))?;
        reader.take(length).read_to_end(&mut request.body)?;
    }
    Ok(Some((request, words.next() == Some("HTTP/1.1"))))
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or_else(|| invalid("chunk size"))?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| invalid("chunk size"))?;
        if size == 0 {
            while read_line(reader)?.is_some_and(|trailer| !trailer.is_empty()) {}
            return Ok(body);
        }
        reader.take(size).read_to_end(&mut body)?;
        read_line(reader)?;
    }
}

/// Writes the response; false when the connection must not be used again.
fn write_response(
    mut connection: &TcpStream,
    request: &Request,
    response: &Response,
    state: &State,
    close: bool,
) -> io::Result<bool> {
    if !response.delay.is_zero() {
        std::thread::sleep(response.delay);
    }
    if response.drop_connection {
        return Ok(false);
    }
    let (bytes, sent) = match &response.body {
        Body::Whole(bytes) => (bytes, bytes.len()),
        Body::CutAfter(bytes, limit) | Body::StallAfter(bytes, limit) => {
            (bytes, bytes.len().min(*limit))
        }
    };
    let mut head = format!(
        "HTTP/1.1 {} {}\r\n",
        response.status,
        reason(response.status)
    );
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let own_length = response
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let bodiless = matches!(response.status, 204 | 304);
    if !own_length && !bodiless {
        head.push_str(&format!("Content-Length: {}\r\n", bytes.len()));
    }
    if close {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    let mut message = head.into_bytes();
    if request.method != "HEAD" && !bodiless {
        message.extend_from_slice(&bytes[..sent]);
    }
    connection.write_all(&message)?;
    if let Body::StallAfter(..) = response.body {
        connection.set_read_timeout(Some(STALL_STEP))?;
        let mut byte = [0];
        while !state.stopped.load(Ordering::SeqCst) {
            match connection.read(&mut byte) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(matches!(response.body, Body::Whole(_)))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
