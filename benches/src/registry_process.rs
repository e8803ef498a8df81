//! The registry of the loads in a process of its own, so that its CPU and memory are not counted as the scanner's.

use crate::registry::{self, RegistryOptions};
use anyhow::Context as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};

/// A registry in a child process; ends with this value.
pub(crate) struct RegistryProcess {
    child: Child,
    authority: String,
}

/// The child process: serves until its standard input ends.
#[expect(
    clippy::print_stdout,
    reason = "the parent reads the address from there"
)]
pub(crate) fn run(options: RegistryOptions) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    std::thread::spawn(|| {
        // The parent is gone when its end of the pipe is closed.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    runtime
        .block_on(registry::serve(options, |address| {
            println!("{address}");
            let _ = std::io::stdout().flush();
        }))
        .context("serve")
}

impl RegistryProcess {
    /// Starts the registry; when this returns, it listens.
    pub(crate) fn start(options: &RegistryOptions) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command
            .arg("registry")
            .args(["--tags", &options.tags.to_string()])
            .args(["--latency", &options.latency.to_string()])
            .args(["--limit", &options.limit.to_string()])
            .args(["--limit-burst", &options.limit_burst.to_string()])
            .args(["--errors", &options.errors.to_string()]);
        if options.bearer {
            command.arg("--bearer");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the registry")?;
        let mut authority = String::new();
        let output = child.stdout.take().context("the registry's output")?;
        BufReader::new(output)
            .read_line(&mut authority)
            .context("read the registry's address")?;
        Ok(Self {
            child,
            authority: authority.trim().to_owned(),
        })
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// What the registry has counted, as JSON.
    pub(crate) fn counts(&self) -> anyhow::Result<serde_json::Value> {
        let mut connection =
            TcpStream::connect(&self.authority).context("connect to the registry")?;
        connection.write_all(b"GET /counts HTTP/1.1\r\n\r\n")?;
        connection.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        serde_json::from_str(body.unwrap_or_default()).context("read the registry's counts")
    }
}

impl Drop for RegistryProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
