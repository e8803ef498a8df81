//! nginx on a free port: static registries, rate limits, TLS with client certificates, proxies.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{ServerProcess, find_program};
use crate::{KeyPair, StartError};

const NAME: &str = "nginx";

/// A request rate above which nginx answers 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per second.
    pub per_second: u32,
    /// How many may come at once.
    pub burst: u32,
    /// Seconds in `Retry-After` of the 429; the header is left out when none.
    pub retry_after: Option<u32>,
}

/// How nginx speaks TLS.
#[derive(Debug, Clone)]
pub struct NginxTls {
    /// The server's certificate.
    pub certificate: KeyPair,
    /// The authority (PEM) whose client certificates are asked for; none asked for when absent.
    pub client_authority: Option<String>,
}

/// How nginx is set up; the default serves static files over plain HTTP.
#[derive(Debug, Clone, Default)]
pub struct NginxOptions {
    server: String,
    http: String,
    rate_limit: Option<RateLimit>,
    tls: Option<NginxTls>,
    http2: bool,
}

impl NginxOptions {
    /// Adds directives (locations, headers) to the `server` block.
    #[must_use]
    pub fn with_server(mut self, directives: &str) -> Self {
        self.server += directives;
        self.server.push('\n');
        self
    }

    /// Adds directives (maps, upstreams) to the `http` block.
    #[must_use]
    pub fn with_http(mut self, directives: &str) -> Self {
        self.http += directives;
        self.http.push('\n');
        self
    }

    /// Passes every request on to that URL.
    #[must_use]
    pub fn with_proxy_to(self, url: &str) -> Self {
        self.with_server(&format!(
            "location / {{ proxy_pass {url}; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Connection ''; proxy_request_buffering off; proxy_buffering off; }}"
        ))
    }

    /// Answers 429 above that rate, over all clients and paths together.
    #[must_use]
    pub fn with_rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }

    /// Speaks https.
    #[must_use]
    pub fn with_tls(mut self, tls: NginxTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Offers HTTP/2; with TLS the client chooses.
    #[must_use]
    pub fn with_http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`StartError::Missing`] when it is not installed.
    pub fn start(self) -> Result<Nginx, StartError> {
        let program = find_program(NAME, "nginx-light")?;
        let failed = |operation| StartError::io(NAME, operation);
        let directory = tempfile::tempdir().map_err(failed("make a directory"))?;
        let base = directory.path();
        for name in ["root", "temp"] {
            fs::create_dir(base.join(name)).map_err(failed("make a directory"))?;
        }
        let settings = base.join("nginx.conf");
        let process = ServerProcess::start(NAME, &base.join("log"), |port| {
            fs::write(&settings, self.settings(port, base)?)?;
            let mut command = Command::new(&program);
            command.args(["-e", "stderr", "-p"]).arg(base);
            command.arg("-c").arg(&settings);
            Ok(command)
        })?;
        Ok(Nginx {
            process,
            secure: self.tls.is_some(),
            directory,
        })
    }

    fn settings(&self, port: u16, base: &Path) -> io::Result<String> {
        // One process: no worker is left when it is killed, and no other user is needed.
        let mut text = format!(
            "daemon off;\nmaster_process off;\npid {base}/nginx.pid;\nerror_log stderr info;\nevents {{ worker_connections 1024; }}\nhttp {{\n",
            base = base.display()
        );
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            text += &format!("{kind}_temp_path {}/temp/{kind};\n", base.display());
        }
        text += &format!(
            "access_log {}/access.log;\ndefault_type application/json;\nclient_max_body_size 0;\nkeepalive_requests 100000;\n{}",
            base.display(),
            self.http
        );
        if let Some(limit) = self.rate_limit {
            text += &format!(
                "limit_req_zone $server_name zone=all:1m rate={}r/s;\n",
                limit.per_second
            );
        }
        let tls = if self.tls.is_some() { " ssl" } else { "" };
        let http2 = if self.http2 { " http2" } else { "" };
        text += &format!(
            "server {{\nlisten 127.0.0.1:{port}{tls}{http2};\nserver_name localhost;\nroot {}/root;\n",
            base.display()
        );
        if let Some(tls) = &self.tls {
            fs::write(base.join("server.pem"), &tls.certificate.certificate)?;
            fs::write(base.join("server.key"), &tls.certificate.key)?;
            text += &format!(
                "ssl_certificate {base}/server.pem;\nssl_certificate_key {base}/server.key;\n",
                base = base.display()
            );
            if let Some(authority) = &tls.client_authority {
                fs::write(base.join("clients.pem"), authority)?;
                text += &format!(
                    "ssl_client_certificate {}/clients.pem;\nssl_verify_client on;\n",
                    base.display()
                );
            }
        }
        if let Some(limit) = self.rate_limit {
            let burst = match limit.burst {
                0 => String::new(),
                burst => format!(" burst={burst} nodelay"),
            };
            let header = limit.retry_after.map_or(String::new(), |seconds| {
                format!("add_header Retry-After {seconds} always; ")
            });
            text += &format!(
                "limit_req zone=all{burst};\nlimit_req_status 429;\nerror_page 429 @limited;\nlocation @limited {{ {header}return 429; }}\n"
            );
        }
        text += &self.server;
        text += "}\n}\n";
        Ok(text)
    }
}

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    process: ServerProcess,
    secure: bool,
    directory: TempDir,
}

impl Nginx {
    /// Serves static files over plain HTTP.
    ///
    /// # Errors
    /// [`StartError::Missing`] when it is not installed.
    pub fn start() -> Result<Self, StartError> {
        Self::options().start()
    }

    /// Settings to change before the start.
    #[must_use]
    pub fn options() -> NginxOptions {
        NginxOptions::default()
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.process.port())
    }

    /// `http://127.0.0.1:PORT`, or https.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// The directory of the static files.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Serves these bytes at a path below the root; replaced at once when it is there.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let target = self.root().join(path.trim_start_matches('/'));
        let parent = target.parent().expect("below the root");
        fs::create_dir_all(parent).expect("the root can be written");
        let new = self.directory.path().join("temp/new");
        fs::write(&new, bytes).expect("the root can be written");
        fs::rename(&new, &target).expect("the root can be written");
    }

    /// Serves a repository's tag list at its place in the registry API.
    pub fn write_tags(&self, repository: &str, tags: &[&str]) {
        let quoted: Vec<String> = tags.iter().map(|tag| format!("\"{tag}\"")).collect();
        let body = format!(
            "{{\"name\":\"{repository}\",\"tags\":[{}]}}",
            quoted.join(",")
        );
        self.write("v2/index.json", "{}");
        self.write(&format!("v2/{repository}/tags/list"), body);
    }

    /// The requests it answered, one access log line (combined format) each.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.directory.path().join("access.log"));
        log.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Everything it wrote to standard error.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}
