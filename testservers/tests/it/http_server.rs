//! The small HTTP server: bodies, faults, an end that waits for nobody.

use std::io::{Read, Write};
use std::net::TcpStream;

use tagline_testservers::{Body, HttpClient, HttpServer, Response};

#[test]
fn reads_chunked_bodies_and_keeps_connections() {
    let server = HttpServer::start(|request| Response::new(200, request.body.clone())).unwrap();
    let mut connection = TcpStream::connect(server.authority()).unwrap();
    let chunked = "POST /a?b=c%20d+e HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n";
    let closing = "POST / HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nfg";
    connection.write_all(chunked.as_bytes()).unwrap();
    connection.write_all(closing.as_bytes()).unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).unwrap();
    assert!(
        text.contains("\r\n\r\nabcde") && text.ends_with("\r\n\r\nfg"),
        "{text}"
    );
    assert_eq!(server.requests()[0].query_values("b"), ["c d e"]);
}

#[test]
fn breaks_off_and_drops() {
    let server = HttpServer::start(|request| match request.path.as_str() {
        "/cut" => Response {
            body: Body::CutAfter(b"0123456789".to_vec(), 4),
            ..Response::new(200, "")
        },
        "/stall" => Response {
            body: Body::StallAfter(b"0123456789".to_vec(), 4),
            ..Response::new(200, "")
        },
        _ => Response::dropped(),
    })
    .unwrap();
    let client = HttpClient::new(&server.authority());
    let broken = client.get("/cut").unwrap_err();
    assert!(
        std::error::Error::source(&broken)
            .unwrap()
            .to_string()
            .contains("ends early")
    );
    assert!(client.get("/drop").is_err());

    let mut connection = TcpStream::connect(server.authority()).unwrap();
    connection
        .write_all(b"GET /stall HTTP/1.1\r\n\r\n")
        .unwrap();
    let mut start = [0; 16];
    connection.read_exact(&mut start).unwrap();
    drop(server);
    // The end of the server ends the stalled answer too.
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"0123"));
}
