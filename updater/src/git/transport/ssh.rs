//! git's protocol over ssh: one child process of OpenSSH's client per connection, as git itself does.
//!
//! Not a stateless protocol: listing and fetching (or pushing) share one stream, so the child started for the
//! list of references is handed on to the second action.

use super::failure::{Failure, FailureKind, shown};
use super::session::{Session, no_session};
use crate::git::url::{GitUrl, SshAddress};
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// What the remote may send ahead while we are still writing. git's own servers send a few hundred bytes.
const AHEAD: usize = 16 << 20;
/// How much of the end of stderr is kept.
const STDERR: usize = 16 << 10;

/// libgit2's view of one ssh remote.
pub(super) struct Ssh {
    session: Option<Arc<Session>>,
    open: Mutex<Option<Shared>>,
}

type Shared = Arc<Mutex<Connection>>;

impl Ssh {
    /// Takes no session as well: a transport factory's error would lose its message, one in `action` does not.
    pub(super) fn new(session: Option<Arc<Session>>) -> Self {
        Self {
            session,
            open: Mutex::new(None),
        }
    }

    fn open(&self) -> MutexGuard<'_, Option<Shared>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SmartSubtransport for Ssh {
    fn action(
        &self,
        url: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let session = self.session.clone().ok_or_else(no_session)?;
        session.check_url(url)?;
        let start = |program| {
            start(&session, program)
                .map(|connection| Arc::new(Mutex::new(connection)))
                .map_err(|failure| session.keep(failure))
        };
        let connection = match service {
            Service::UploadPackLs => start("git-upload-pack")?,
            Service::ReceivePackLs => start("git-receive-pack")?,
            Service::UploadPack | Service::ReceivePack => {
                let open = self.open().clone();
                open.ok_or_else(|| Failure::new(FailureKind::Protocol, "no open connection"))?
            }
        };
        if service == Service::ReceivePack {
            lock(&connection).pushing = true;
        }
        *self.open() = Some(Arc::clone(&connection));
        Ok(Box::new(Stream {
            session,
            connection,
            listing: matches!(service, Service::UploadPackLs | Service::ReceivePackLs),
        }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        *self.open() = None;
        Ok(())
    }
}

struct Connection {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    /// What came while we were writing.
    ahead: VecDeque<u8>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    host: String,
    port: Option<u16>,
    pushing: bool,
}

fn lock(connection: &Shared) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(session: &Session, program: &str) -> Result<Connection, Failure> {
    let local = |text: String| Failure::new(FailureKind::Local, text);
    let GitUrl::Ssh(address) = session.remote().url() else {
        return Err(local("not an ssh remote".to_owned()));
    };
    let keys = session
        .keys
        .as_ref()
        .ok_or_else(|| local("no ssh key given".to_owned()))?;
    let connect = session.remote().options().timeouts.connect.as_secs().max(1);
    let mut command = Command::new("ssh");
    command
        .env_remove("SSH_AUTH_SOCK")
        .env_remove("SSH_ASKPASS")
        .env("LC_ALL", "C")
        // -v is needed for the fingerprint of an unknown host key; its lines are kept out of messages.
        .args(["-v", "-F", "none", "-T"]);
    for option in [
        "BatchMode=yes".to_owned(),
        "IdentitiesOnly=yes".to_owned(),
        "PreferredAuthentications=publickey".to_owned(),
        "StrictHostKeyChecking=yes".to_owned(),
        format!("UserKnownHostsFile=\"{}\"", keys.known_hosts().display()),
        "GlobalKnownHostsFile=none".to_owned(),
        "UpdateHostKeys=no".to_owned(),
        "CheckHostIP=no".to_owned(),
        "ClearAllForwardings=yes".to_owned(),
        "PermitLocalCommand=no".to_owned(),
        "ControlMaster=no".to_owned(),
        "ControlPath=none".to_owned(),
        format!("ConnectTimeout={connect}"),
        "ServerAliveInterval=10".to_owned(),
        "ServerAliveCountMax=3".to_owned(),
    ] {
        command.arg("-o").arg(option);
    }
    command.arg("-i").arg(keys.identity());
    if let Some(port) = address.port {
        command.arg("-p").arg(port.to_string());
    }
    command
        .arg("-l")
        .arg(&address.user)
        .arg("--")
        .arg(&address.host)
        .arg(remote_command(program, address))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C at the terminal is for us: we end the child when we are done with it.
        .process_group(0)
        .kill_on_drop(true);
    let _in_runtime = session.runtime().enter();
    let mut child = command.spawn().map_err(|e| {
        if e.kind() == io::ErrorKind::NotFound {
            local("there is no ssh program: install the package openssh-client".to_owned())
        } else {
            local(format!("cannot start ssh: {e}"))
        }
    })?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(local("ssh was started without its pipes".to_owned()));
    };
    Ok(Connection {
        child,
        stdin: Some(stdin),
        stdout,
        ahead: VecDeque::new(),
        stderr: Some(session.runtime().spawn(tail(stderr))),
        host: address.host.clone(),
        port: address.port,
        pushing: false,
    })
}

/// The path in single quotes for the remote shell, except a leading `~user`, which that shell must expand.
fn remote_command(program: &str, address: &SshAddress) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    match address
        .path
        .strip_prefix('~')
        .map(|rest| rest.split_once('/'))
    {
        Some(Some((user, rest)))
            if user
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) =>
        {
            format!("{program} ~{user}/{}", quoted(rest))
        }
        _ => format!("{program} {}", quoted(&address.path)),
    }
}

/// The end of what ssh and the remote said.
async fn tail(mut from: ChildStderr) -> Vec<u8> {
    let (mut kept, mut buf) = (Vec::new(), [0; 2048]);
    while let Ok(n @ 1..) = from.read(&mut buf).await {
        kept.extend_from_slice(&buf[..n]);
        let over = kept.len().saturating_sub(STDERR);
        kept.drain(..over);
    }
    kept
}

struct Stream {
    session: Arc<Session>,
    connection: Shared,
    listing: bool,
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut connection = lock(&self.connection);
        if connection.ahead.is_empty() {
            let n = self.session.wait("receiving", async {
                connection.stdout.read(buf).await.map_err(broken_pipe)
            })?;
            if n == 0 {
                return Err(self.ended(&mut connection).into());
            }
            self.session.received(n, self.listing)?;
            return Ok(n);
        }
        let n = connection.ahead.read(buf)?;
        drop(connection);
        self.session.received(n, self.listing)?;
        Ok(n)
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut guard = lock(&self.connection);
        let Connection {
            stdin,
            stdout,
            ahead,
            pushing,
            ..
        } = &mut *guard;
        let Some(stdin) = stdin else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        if *pushing {
            self.session.mark_sent();
        }
        // Keep reading while writing: two full pipes would stall both sides.
        let written = self.session.wait("sending", async {
            let mut chunk = [0; 8192];
            let mut open = true;
            loop {
                tokio::select! {
                    biased;
                    n = stdin.write(buf) => match n {
                        Ok(n @ 1..) => return Ok(Some(n)),
                        _ => return Ok(None),
                    },
                    n = stdout.read(&mut chunk), if open => match n.map_err(broken_pipe)? {
                        0 => open = false,
                        n if ahead.len() + n > AHEAD => return Err(Failure::new(
                            FailureKind::TooLarge,
                            "the remote sends without being asked",
                        )),
                        n => ahead.extend(&chunk[..n]),
                    },
                }
            }
        })?;
        match written {
            Some(n) => Ok(n),
            None => Err(self.ended(&mut guard).into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is the argument of map_err"
)]
fn broken_pipe(e: io::Error) -> Failure {
    Failure::new(FailureKind::Network, format!("ssh: {e}"))
}

impl Stream {
    /// The remote closed the stream where git's protocol goes on: exit status and stderr say why.
    fn ended(&self, connection: &mut Connection) -> Failure {
        connection.stdin = None;
        let stderr = connection.stderr.take();
        let child = &mut connection.child;
        let result = self.session.wait("waiting for ssh to end", async {
            let status = child.wait().await.map_err(broken_pipe)?;
            let said = match stderr {
                Some(task) => task.await.unwrap_or_default(),
                None => Vec::new(),
            };
            Ok((status, said))
        });
        match result {
            Ok((status, said)) => self.session.keep(explain(
                status,
                &String::from_utf8_lossy(&said),
                &connection.host,
                connection.port,
            )),
            Err(failure) => failure,
        }
    }
}

/// What ssh's last words mean.
fn explain(status: ExitStatus, stderr: &str, host: &str, port: Option<u16>) -> Failure {
    let (debug, said): (Vec<&str>, Vec<&str>) = stderr.lines().partition(|line| is_chatter(line));
    let text = shown(&said.join("\n"), 1500);
    let has = |needle: &str| text.contains(needle);
    let fingerprint = debug
        .iter()
        .rev()
        .find_map(|line| line.split_once("Server host key: "))
        .map(|(_, key)| format!(" (it showed {})", shown(key, 120)))
        .unwrap_or_default();
    let place = port.map_or_else(|| host.to_owned(), |p| format!("[{host}]:{p}"));
    let scan = port.map_or_else(
        || format!("ssh-keyscan {host}"),
        |p| format!("ssh-keyscan -p {p} {host}"),
    );
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return Failure::new(
            FailureKind::HostKey,
            format!(
                "the host key of {place} is not the one in known_hosts{fingerprint}: somebody may be listening in, or the server got a new key; compare it with what the server's operator publishes; only if they are equal, replace its line in known_hosts by the one that `{scan}` prints"
            ),
        );
    }
    if has("REVOKED HOST KEY") || has("is revoked") {
        return Failure::new(
            FailureKind::HostKey,
            format!("the host key of {place} is marked @revoked in known_hosts{fingerprint}"),
        );
    }
    if has("Host key verification failed") || has("no matching host key type found") {
        return Failure::new(
            FailureKind::HostKey,
            format!(
                "the host key of {place} is not in known_hosts{fingerprint}: compare it with what the server's operator publishes, then add the line that `{scan}` prints"
            ),
        );
    }
    if has("Permission denied (") {
        return Failure::new(
            FailureKind::Authentication,
            format!("{place} refused the ssh key: {text}"),
        );
    }
    if has("Load key") && (has("error in libcrypto") || has("invalid format")) {
        return Failure::new(
            FailureKind::Local,
            format!("ssh cannot use the private key: {text}"),
        );
    }
    // ssh itself ends with 255; everything else comes from the remote command.
    if status.code() == Some(255) {
        return Failure::new(
            FailureKind::Network,
            format!("no ssh connection to {place}: {text}"),
        );
    }
    let lower = text.to_ascii_lowercase();
    let gone = [
        "does not appear to be a git repository",
        "repository not found",
        "could not be found",
        "no such repository",
        "not found or you don't have permission",
    ];
    if gone.iter().any(|needle| lower.contains(needle)) {
        return Failure::new(
            FailureKind::RepositoryNotFound,
            format!("{place} has no such repository, or hides it from this key: {text}"),
        );
    }
    if lower.contains("denied") || lower.contains("not allowed") || lower.contains("read only") {
        return Failure::new(
            FailureKind::Forbidden,
            format!("{place} forbids this access: {text}"),
        );
    }
    if status.success() {
        return Failure::new(
            FailureKind::Network,
            format!("{place} ended the connection early: {text}"),
        );
    }
    Failure::new(
        FailureKind::Server,
        format!("git on {place} ended with {status}: {text}"),
    )
}

/// Lines that `ssh -v` prints about itself.
fn is_chatter(line: &str) -> bool {
    line.starts_with("debug1: ")
        || line.starts_with("OpenSSH_")
        || line.starts_with("Authenticated to ")
        || line.starts_with("Authenticated using")
        || line.starts_with("Transferred: ")
        || line.starts_with("Bytes per second: ")
        || line.starts_with("Warning: Permanently added")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    fn address(path: &str) -> SshAddress {
        SshAddress {
            user: "git".to_owned(),
            host: "h".to_owned(),
            port: None,
            path: path.to_owned(),
        }
    }

    #[test]
    fn the_path_cannot_leave_its_quotes() {
        for (path, command) in [
            ("/srv/x.git", "p '/srv/x.git'"),
            ("/srv/x's; touch y", r"p '/srv/x'\''s; touch y'"),
            ("~bob/x", "p ~bob/'x'"),
            ("~/x", "p ~/'x'"),
            ("~$(id)/x", "p '~$(id)/x'"),
            ("org/repo", "p 'org/repo'"),
        ] {
            assert_eq!(remote_command("p", &address(path)), command);
        }
    }

    #[test]
    fn last_words_become_kinds() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        for (code, text, kind) in [
            (
                255,
                "debug1: Server host key: ssh-ed25519 SHA256:abc\nHost key verification failed.\n",
                FailureKind::HostKey,
            ),
            (
                255,
                "@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                FailureKind::HostKey,
            ),
            (
                255,
                "git@h: Permission denied (publickey).",
                FailureKind::Authentication,
            ),
            (
                255,
                "ssh: connect to host h port 22: Connection refused",
                FailureKind::Network,
            ),
            (
                128,
                "fatal: '/x' does not appear to be a git repository",
                FailureKind::RepositoryNotFound,
            ),
            (
                1,
                "ERROR: Repository not found.",
                FailureKind::RepositoryNotFound,
            ),
            (
                1,
                "ERROR: Permission to o/r.git denied to key.",
                FailureKind::Forbidden,
            ),
            (137, "", FailureKind::Server),
            (0, "", FailureKind::Network),
        ] {
            let failure = explain(exit(code), text, "h", Some(2222));
            assert_eq!(failure.kind, kind, "{failure}");
            assert!(!failure.to_string().contains("debug1"), "{failure}");
        }
        let unknown = explain(
            exit(255),
            "debug1: Server host key: ssh-ed25519 SHA256:abc\nHost key verification failed.",
            "h",
            Some(2222),
        );
        assert!(unknown.to_string().contains("ssh-ed25519 SHA256:abc"));
        assert!(unknown.to_string().contains("ssh-keyscan -p 2222 h"));
    }
}
