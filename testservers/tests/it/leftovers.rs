//! Nothing is left running: neither after a drop nor after the test process was killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tagline_testservers::{GitSsh, require};

/// Tells this test binary, started again, to hold a server until it is killed.
const HOLD: &str = "TAGLINE_TESTSERVERS_HOLD";

fn wait_until_gone(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while is_running(pid) {
        assert!(Instant::now() < deadline, "process {pid} is left");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A zombie, which nobody reaps in a container without an init, has ended.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
    })
}

#[test]
fn a_dropped_server_is_gone() {
    let server = require!(GitSsh::start());
    let pid = server.process_id();
    assert!(is_running(pid));
    drop(server);
    assert!(!is_running(pid));
}

#[test]
fn a_killed_test_process_takes_its_servers_along() {
    if std::env::var_os(HOLD).is_some() {
        let server = require!(GitSsh::start());
        println!("\nserver {}", server.process_id());
        std::thread::park();
        return;
    }
    drop(require!(GitSsh::start()));
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("leftovers::a_killed_test_process_takes_its_servers_along")
        .env(HOLD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let pid: u32 = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("server ")?.parse().ok())
        .unwrap();
    assert!(is_running(pid));
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until_gone(pid);
}
