//! git over ssh: OpenSSH's server on a free port, as the user who runs the test.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{ServerProcess, find_program};
use crate::ssh_keys::{SshKey, SshKeyType, ssh_keygen};
use crate::{BareRepository, StartError};

const NAME: &str = "sshd";
/// sshd insists on this directory when it is started by root.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// A running ssh server with its repositories.
#[derive(Debug)]
pub struct GitSsh {
    process: ServerProcess,
    host_key: SshKey,
    user: String,
    directory: TempDir,
}

impl GitSsh {
    /// Starts it, with an ed25519 host key and nobody let in yet.
    ///
    /// # Errors
    /// [`StartError::Missing`] when it is not installed.
    pub fn start() -> Result<Self, StartError> {
        Self::launch(None)
    }

    /// Starts it with a host key that this authority has signed for 127.0.0.1.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with_authority(authority: &SshKey) -> Result<Self, StartError> {
        Self::launch(Some(authority))
    }

    fn launch(authority: Option<&SshKey>) -> Result<Self, StartError> {
        let program = find_program(NAME, "openssh-server")?;
        find_program("git", "git")?;
        let host_key = SshKey::generate(SshKeyType::Ed25519)?;
        let failed = |operation| StartError::io(NAME, operation);
        let user = Command::new("id")
            .arg("-un")
            .output()
            .map_err(failed("ask for the user's name"))?;
        let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
        if user == "root" {
            fs::create_dir_all(PRIVILEGE_SEPARATION).map_err(failed("make /run/sshd"))?;
        }
        let directory = tempfile::tempdir().map_err(failed("make a directory"))?;
        let base = directory.path();
        let key_path = base.join("host_key");
        fs::write(&key_path, &host_key.private)
            .and_then(|()| fs::set_permissions(&key_path, fs::Permissions::from_mode(0o600)))
            .and_then(|()| fs::write(base.join("host_key.pub"), &host_key.public))
            .and_then(|()| fs::write(base.join("authorized_keys"), ""))
            .map_err(failed("write its settings"))?;
        if let Some(authority) = authority {
            sign_host_key(base, authority)?;
        }
        let certificate = authority.map_or_else(String::new, |_| {
            format!("HostCertificate {}/host_key-cert.pub\n", base.display())
        });
        let settings = base.join("sshd_config");
        let process = ServerProcess::start(NAME, &base.join("log"), |port| {
            let base = base.display();
            // Where there is no IPv6, it goes on with the other address.
            let text = format!(
                "{certificate}ListenAddress 127.0.0.1:{port}\nListenAddress [::1]:{port}\nHostKey {base}/host_key\nAuthorizedKeysFile {base}/authorized_keys\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nMaxStartups 1000\nMaxSessions 1000\nLogLevel VERBOSE\n"
            );
            fs::write(&settings, text)?;
            let mut command = Command::new(&program);
            command.args(["-D", "-e", "-f"]).arg(&settings);
            Ok(command)
        })?;
        Ok(Self {
            process,
            host_key,
            user,
            directory,
        })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.process.port())
    }

    /// Makes an empty repository `NAME.git`.
    pub fn create(&self, name: &str) -> BareRepository {
        let path = self.directory.path().join(format!("{name}.git"));
        BareRepository::create(path).expect("git is installed")
    }

    /// `ssh://USER@127.0.0.1:PORT/…/NAME.git`.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        let directory = self.directory.path().display();
        format!(
            "ssh://{}@{}{directory}/{name}.git",
            self.user,
            self.authority()
        )
    }

    /// The same repository over IPv6.
    #[must_use]
    pub fn url_over_ipv6(&self, name: &str) -> String {
        self.url(name).replace("@127.0.0.1:", "@[::1]:")
    }

    /// Lets the holder of a key in.
    pub fn authorize(&self, key: &SshKey) {
        fs::File::options()
            .append(true)
            .open(self.directory.path().join("authorized_keys"))
            .and_then(|mut file| file.write_all(key.public.as_bytes()))
            .expect("authorized_keys can be written");
    }

    /// A new key that is let in.
    ///
    /// # Errors
    /// [`StartError::Missing`] without `ssh-keygen`.
    pub fn client_key(&self, kind: SshKeyType) -> Result<SshKey, StartError> {
        let key = SshKey::generate(kind)?;
        self.authorize(&key);
        Ok(key)
    }

    /// The line of `known_hosts` for this server.
    #[must_use]
    pub fn known_hosts(&self) -> String {
        self.known_hosts_with(&self.host_key)
    }

    /// The line of `known_hosts` that expects another key from this server.
    #[must_use]
    pub fn known_hosts_with(&self, key: &SshKey) -> String {
        let port = self.process.port();
        format!("[127.0.0.1]:{port} {}\n", key.public_without_comment())
    }

    /// The line of `known_hosts` for this server over IPv6.
    #[must_use]
    pub fn known_hosts_over_ipv6(&self) -> String {
        self.known_hosts().replace("[127.0.0.1]", "[::1]")
    }

    /// The line of `known_hosts` that trusts an authority for this server.
    #[must_use]
    pub fn known_hosts_of_authority(&self, authority: &SshKey) -> String {
        format!("@cert-authority {}", self.known_hosts_with(authority))
    }

    /// The same line with the host name hashed, as `HashKnownHosts yes` writes it.
    ///
    /// # Errors
    /// [`StartError::Missing`] without `ssh-keygen`.
    pub fn known_hosts_hashed(&self) -> Result<String, StartError> {
        let failed = |operation| StartError::io(NAME, operation);
        let directory = tempfile::tempdir().map_err(failed("make a directory"))?;
        let path = directory.path().join("known_hosts");
        fs::write(&path, self.known_hosts()).map_err(failed("write known_hosts"))?;
        ssh_keygen(&path, &["-q", "-H"])?;
        fs::read_to_string(&path).map_err(failed("read known_hosts"))
    }

    /// The process: for tests that look for what is left behind.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Everything it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// Makes `host_key-cert.pub` beside `host_key`.
fn sign_host_key(base: &Path, authority: &SshKey) -> Result<(), StartError> {
    let failed = |operation| StartError::io("ssh-keygen", operation);
    let (own, key) = (base.join("host_key.pub"), base.join("authority"));
    fs::write(&key, &authority.private)
        .and_then(|()| fs::set_permissions(&key, fs::Permissions::from_mode(0o600)))
        .map_err(failed("write the authority's key"))?;
    let output = Command::new("ssh-keygen")
        .args(["-q", "-h", "-I", "test", "-n", "127.0.0.1", "-s"])
        .args([&key, &own])
        .output()
        .map_err(failed("start the process"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(StartError::Failed {
        server: "ssh-keygen",
        reason: output.status.to_string(),
        log: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
