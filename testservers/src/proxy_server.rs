//! Forward proxies for tests: HTTP with `CONNECT`, and SOCKS version 5 (RFC 1928, RFC 1929).
//!
//! They know hosts that nobody else knows, so that what arrives there has come through them.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;

use crate::StartError;

/// How long either side of a tunnel may be silent.
const IDLE_LIMIT: Duration = Duration::from_mins(1);
/// SOCKS: no credentials are asked for.
const NO_LOGIN: u8 = 0;
/// SOCKS: user name and password.
const PASSWORD: u8 = 2;
/// SOCKS: nothing the client offers will do.
const UNACCEPTABLE: u8 = 0xff;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http,
    Socks5,
}

/// How a proxy is set up.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    protocol: Protocol,
    login: Option<(String, String)>,
    hosts: HashMap<String, String>,
}

/// A running proxy; ends when dropped.
#[derive(Debug)]
pub struct ProxyServer {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    options: ProxyOptions,
    stopped: AtomicBool,
    asked: Mutex<Vec<String>>,
    refused: Mutex<usize>,
}

impl ProxyOptions {
    /// Refuses who does not show these credentials.
    #[must_use]
    pub fn with_login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// What `host` (without port) is, as `address:port`: a name that only this proxy knows.
    #[must_use]
    pub fn with_host(mut self, host: &str, authority: &str) -> Self {
        self.hosts.insert(host.to_owned(), authority.to_owned());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When no loopback port is free.
    pub fn start(self) -> Result<ProxyServer, StartError> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).map_err(StartError::io("proxy", "listen"))?;
        let address = listener
            .local_addr()
            .map_err(StartError::io("proxy", "listen"))?;
        let state = Arc::new(State {
            options: self,
            stopped: AtomicBool::new(false),
            asked: Mutex::default(),
            refused: Mutex::default(),
        });
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&accepting);
                // A client that goes away in the middle is its own business.
                std::thread::spawn(move || {
                    let _ = match state.options.protocol {
                        Protocol::Http => serve_http(&connection, &state),
                        Protocol::Socks5 => serve_socks(&connection, &state),
                    };
                });
            }
        });
        Ok(ProxyServer { address, state })
    }
}

impl ProxyServer {
    /// An HTTP proxy.
    #[must_use]
    pub fn http() -> ProxyOptions {
        Self::options(Protocol::Http)
    }

    /// A SOCKS5 proxy.
    #[must_use]
    pub fn socks5() -> ProxyOptions {
        Self::options(Protocol::Socks5)
    }

    fn options(protocol: Protocol) -> ProxyOptions {
        ProxyOptions {
            protocol,
            login: None,
            hosts: HashMap::new(),
        }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Where clients wanted to go, as `host:port`, in the order of their arrival; refused ones are not among them.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state.asked).clone()
    }

    /// How many were refused for lack of the right credentials.
    #[must_use]
    pub fn refused(&self) -> usize {
        *lock(&self.state.refused)
    }
}

impl Drop for ProxyServer {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn connect(&self, target: &str) -> io::Result<TcpStream> {
        lock(&self.asked).push(target.to_owned());
        let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
        match self.options.hosts.get(host) {
            Some(authority) => TcpStream::connect(authority),
            None => TcpStream::connect(target),
        }
    }

    fn refuse(&self) {
        *lock(&self.refused) += 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve_http(mut client: &TcpStream, state: &State) -> io::Result<()> {
    client.set_read_timeout(Some(IDLE_LIMIT))?;
    let mut reader = BufReader::new(client);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut headers = String::new();
    let mut login = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("proxy-authorization") => {
                login = Some(value.trim().to_owned());
            }
            Some((name, _)) if name.eq_ignore_ascii_case("connection") => {}
            _ => headers += &line,
        }
    }
    let wanted = state.options.login.as_ref().map(|(user, password)| {
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        format!("Basic {encoded}")
    });
    if wanted.is_some() && login != wanted {
        state.refuse();
        return client.write_all(
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    let mut words = first.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if method == "CONNECT" {
        return match state.connect(target) {
            Ok(upstream) => {
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
                tunnel(client, &upstream)
            }
            Err(_) => bad_gateway(client),
        };
    }
    let Some((authority, path)) = target
        .strip_prefix("http://")
        .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
    else {
        return bad_gateway(client);
    };
    let target = if authority.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let Ok(mut upstream) = state.connect(&target) else {
        return bad_gateway(client);
    };
    write!(
        upstream,
        "{method} /{path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"
    )?;
    tunnel(client, &upstream)
}

fn bad_gateway(mut client: &TcpStream) -> io::Result<()> {
    client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn serve_socks(mut client: &TcpStream, state: &State) -> io::Result<()> {
    client.set_read_timeout(Some(IDLE_LIMIT))?;
    let [5, methods] = read::<2>(client)? else {
        return Ok(());
    };
    let mut offered = vec![0; usize::from(methods)];
    client.read_exact(&mut offered)?;
    let wanted = if state.options.login.is_some() {
        PASSWORD
    } else {
        NO_LOGIN
    };
    if !offered.contains(&wanted) {
        state.refuse();
        return client.write_all(&[5, UNACCEPTABLE]);
    }
    client.write_all(&[5, wanted])?;
    if let Some((user, password)) = &state.options.login {
        let [1] = read::<1>(client)? else {
            return Ok(());
        };
        let shown = (read_text(client)?, read_text(client)?);
        if shown != (user.clone(), password.clone()) {
            state.refuse();
            return client.write_all(&[1, 1]);
        }
        client.write_all(&[1, 0])?;
    }
    // Version, "connect", nothing, kind of address.
    let [5, 1, _, kind] = read::<4>(client)? else {
        return Ok(());
    };
    let host = match kind {
        1 => std::net::Ipv4Addr::from(read::<4>(client)?).to_string(),
        3 => read_text(client)?,
        4 => format!("[{}]", std::net::Ipv6Addr::from(read::<16>(client)?)),
        _ => return Ok(()),
    };
    let port = u16::from_be_bytes(read::<2>(client)?);
    let reply = |code: u8| [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
    match state.connect(&format!("{host}:{port}")) {
        Ok(upstream) => {
            client.write_all(&reply(0))?;
            tunnel(client, &upstream)
        }
        // "Host unreachable."
        Err(_) => client.write_all(&reply(4)),
    }
}

fn read<const N: usize>(mut client: &TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A length and so many bytes.
fn read_text(mut client: &TcpStream) -> io::Result<String> {
    let [length] = read::<1>(client)?;
    let mut bytes = vec![0; usize::from(length)];
    client.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Copies both ways until both sides have ended.
fn tunnel(client: &TcpStream, upstream: &TcpStream) -> io::Result<()> {
    upstream.set_read_timeout(Some(IDLE_LIMIT))?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut from, mut to) = (upstream, client);
            let _ = io::copy(&mut from, &mut to);
            let _ = client.shutdown(Shutdown::Both);
        });
        let (mut from, mut to) = (client, upstream);
        let _ = io::copy(&mut from, &mut to);
        let _ = upstream.shutdown(Shutdown::Write);
    });
    Ok(())
}
