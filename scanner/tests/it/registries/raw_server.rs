//! A server that answers with any bytes at any speed: what a malicious registry would do.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A part of an answer.
pub(super) enum Part {
    Bytes(Vec<u8>),
    /// The same bytes again and again, until the client has had enough.
    Endless(Vec<u8>),
    /// One of these bytes after each pause, until the client has had enough.
    Drip(u8, Duration),
    /// Silence, until the client has had enough.
    Silence,
}

type Handler = dyn Fn(&RawRequest, &str) -> Vec<Part> + Send + Sync;

/// A request's head.
#[derive(Debug, Clone)]
pub(super) struct RawRequest {
    /// Path and query.
    pub(super) target: String,
    /// The header lines, as they came.
    pub(super) head: String,
}

/// Runs until it is dropped.
pub(super) struct RawServer {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<RawRequest>>>,
}

impl RawServer {
    /// The handler also gets the server's own `host:port`.
    pub(super) fn start(
        handler: impl Fn(&RawRequest, &str) -> Vec<Part> + Send + Sync + 'static,
    ) -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), handler)
    }

    /// As [`RawServer::start`], on a chosen address.
    pub(super) fn start_on(
        address: SocketAddr,
        handler: impl Fn(&RawRequest, &str) -> Vec<Part> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let (ended, log) = (Arc::clone(&stopped), Arc::clone(&requests));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, ended, log) =
                    (Arc::clone(&handler), Arc::clone(&ended), Arc::clone(&log));
                // A client that has had enough closes the connection, which ends the writing.
                std::thread::spawn(move || serve(connection, address, &*handler, &ended, &log));
            }
        });
        Self {
            address,
            stopped,
            requests,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn requests(&self) -> Vec<RawRequest> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    mut connection: TcpStream,
    address: SocketAddr,
    handler: &Handler,
    stopped: &AtomicBool,
    log: &Mutex<Vec<RawRequest>>,
) -> Option<()> {
    connection
        .set_read_timeout(Some(Duration::from_secs(30)))
        .ok()?;
    connection.set_nodelay(true).ok()?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if connection.read(&mut byte).ok()? == 0 || (head.is_empty() && byte == [0x16]) {
            // Gone, or TLS.
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let request = RawRequest {
        target: head.split(' ').nth(1)?.to_owned(),
        head,
    };
    log.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request.clone());
    for part in handler(&request, &address.to_string()) {
        let running = || !stopped.load(Ordering::SeqCst);
        match part {
            Part::Bytes(bytes) => connection.write_all(&bytes).ok()?,
            Part::Endless(bytes) => {
                let many = bytes.repeat((64 * 1024 / bytes.len()).max(1));
                while running() {
                    connection.write_all(&many).ok()?;
                }
            }
            Part::Drip(byte, pause) => {
                while running() {
                    std::thread::sleep(pause);
                    connection.write_all(&[byte]).ok()?;
                }
            }
            Part::Silence => {
                let _ = connection.read(&mut [0; 1]);
            }
        }
    }
    Some(())
}

/// An answer with a body of known length.
pub(super) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<Part> {
    let body = body.as_ref();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    vec![Part::Bytes(bytes)]
}

/// A page of JSON.
pub(super) fn json(body: impl AsRef<[u8]>) -> Vec<Part> {
    answer("200 OK", "Content-Type: application/json\r\n", body)
}

/// The head of an answer whose body ends with the connection.
pub(super) fn open_ended(headers: &str) -> Part {
    Part::Bytes(
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}\r\n")
            .into_bytes(),
    )
}
