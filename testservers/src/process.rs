//! A server process: started on a free port, awaited until it listens, ended with its owner.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use crate::StartError;

/// How long a server may take until it listens. Generous: the machine may be busy with builds.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How often to choose another port when somebody else took the one that was free a moment ago.
const PORT_ATTEMPTS: usize = 5;
/// How much of a log is shown when a test fails.
const SHOWN_LOG_BYTES: usize = 8 * 1024;

/// The path of a program: `PATH`, then the system's directories, which a plain user's `PATH` lacks.
pub(crate) fn find_program(
    program: &'static str,
    package: &'static str,
) -> Result<PathBuf, StartError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or(StartError::Missing { program, package })
}

/// A port that nobody listens on right now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    name: &'static str,
    child: Child,
    log: PathBuf,
    port: u16,
}

impl ServerProcess {
    /// Starts what `command` gives for a port and waits until it listens there.
    ///
    /// Standard output and error go to `log`.
    pub(crate) fn start(
        name: &'static str,
        log: &Path,
        mut command: impl FnMut(u16) -> io::Result<Command>,
    ) -> Result<Self, StartError> {
        let mut attempt = 1;
        loop {
            let port = free_port().map_err(StartError::io(name, "find a free port"))?;
            let command = command(port).map_err(StartError::io(name, "write its settings"))?;
            let mut server = Self {
                name,
                child: spawn(command, log).map_err(StartError::io(name, "start the process"))?,
                log: log.to_owned(),
                port,
            };
            match server.wait_until_listening() {
                Ok(()) => return Ok(server),
                Err(_) if attempt < PORT_ATTEMPTS && server.port_was_taken() => attempt += 1,
                Err(reason) => {
                    let log = server.log();
                    return Err(StartError::Failed {
                        server: name,
                        reason,
                        log,
                    });
                }
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything the server has written so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn port_was_taken(&self) -> bool {
        self.log().to_lowercase().contains("address already in use")
    }

    fn wait_until_listening(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if listens(self.child.id(), self.port) {
                return Ok(());
            }
            match self.child.try_wait() {
                Ok(Some(status)) => return Err(format!("it ended with {status}")),
                Ok(None) => {}
                Err(error) => return Err(error.to_string()),
            }
            if Instant::now() > deadline {
                return Err(format!("it does not listen after {START_LIMIT:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let mut from = log.len().saturating_sub(SHOWN_LOG_BYTES);
            while !log.is_char_boundary(from) {
                from += 1;
            }
            #[expect(clippy::print_stderr, reason = "part of a failed test's output")]
            {
                eprintln!("---- log of {} ----\n{}", self.name, &log[from..]);
            }
        }
    }
}

/// Starts `command` so that the kernel kills it when this process dies, however it dies.
///
/// The kernel watches the *thread* that started the child, and a test's thread ends with the test while
/// a server shared by several tests must live on: hence one thread for all of them.
fn spawn(command: Command, log: &Path) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();

    let mut command = with_parent_death_signal(command);
    let output = File::options().create(true).append(true).open(log)?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::Builder::new()
            .name("testservers-spawner".to_owned())
            .spawn(move || {
                for (mut command, reply) in inbox {
                    let _ = reply.send(command.spawn());
                }
            })
            .expect("a thread can be started");
        orders
    });
    let (reply, child) = channel();
    spawner
        .send((command, reply))
        .expect("the spawner lives as long as the process");
    child
        .recv()
        .expect("the spawner lives as long as the process")
}

/// The same command under `setpriv --pdeathsig` (util-linux, essential on Debian); as it is where there is none.
fn with_parent_death_signal(command: Command) -> Command {
    let Ok(setpriv) = find_program("setpriv", "util-linux") else {
        return command;
    };
    let mut wrapped = Command::new(setpriv);
    wrapped
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        wrapped.current_dir(directory);
    }
    wrapped
}

/// Whether process `pid` itself (not somebody who was faster) listens on the loopback port.
fn listens(pid: u32, port: u16) -> bool {
    let Ok(table) = fs::read_to_string("/proc/net/tcp") else {
        return false;
    };
    // Columns: sl, local_address, rem_address, st, …, inode; state 0A is LISTEN.
    let address = format!("0100007F:{port:04X}");
    let sockets: HashSet<String> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| {
            columns.len() > 9
                && (columns[1] == address || columns[1] == format!("00000000:{port:04X}"))
                && columns[3] == "0A"
        })
        .map(|columns| format!("socket:[{}]", columns[9]))
        .collect();
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|link| {
            sockets
                .iter()
                .any(|socket| link.as_os_str().as_bytes() == socket.as_bytes())
        })
}
