//! A SOCKS5 proxy (RFC 1928) that asks for a user name and password (RFC 1929) and connects to loopback addresses.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// It ends with the process.
pub(crate) struct SocksProxy {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl SocksProxy {
    pub(crate) fn start(user: &'static str, password: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                // A client that breaks off is its own business.
                std::thread::spawn(move || serve(stream, user, password, &counted).ok());
            }
        });
        Self { port, connections }
    }

    pub(crate) fn address(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// How many connections went through.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(
    mut client: TcpStream,
    user: &str,
    password: &str,
    counted: &AtomicUsize,
) -> io::Result<()> {
    let [_version, methods] = take(&mut client)?;
    client.read_exact(&mut vec![0; usize::from(methods)])?;
    client.write_all(&[5, 2])?;
    let [_version, length] = take(&mut client)?;
    let given_user = take_text(&mut client, length)?;
    let [length] = take(&mut client)?;
    let given_password = take_text(&mut client, length)?;
    let known = given_user == user && given_password == password;
    client.write_all(&[1, u8::from(!known)])?;
    if !known {
        return Ok(());
    }
    let [_version, _connect, _reserved, kind] = take(&mut client)?;
    let host = if kind == 1 {
        Ipv4Addr::from(take::<4>(&mut client)?).to_string()
    } else {
        let [length] = take(&mut client)?;
        take_text(&mut client, length)?
    };
    let port = u16::from_be_bytes(take(&mut client)?);
    let mut server = TcpStream::connect((host.as_str(), port))?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])?;
    counted.fetch_add(1, Ordering::SeqCst);
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    io::copy(&mut client, &mut server)?;
    server.shutdown(Shutdown::Write)
}

fn take<const N: usize>(from: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn take_text(from: &mut TcpStream, length: u8) -> io::Result<String> {
    let mut bytes = vec![0; usize::from(length)];
    from.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}
