//! Connections: one pool per TLS and proxy settings, shared by all targets that use them.

use super::guard::is_link_local;
use crate::error::Problem;
use crate::proxy::ProxySettings;
use crate::sync::lock;
use crate::tls::TlsSettings;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// Pools that are kept; the one unused for longest goes first.
const MAX_POOLS: usize = 128;
/// Idle connections per host and pool.
const MAX_IDLE_PER_HOST: usize = 32;
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Headers of one answer, in number; their size is bounded where they are read.
const MAX_HEADERS: usize = 128;

/// What tells one pool from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct ConnectionSettings {
    pub(crate) tls: TlsSettings,
    /// Without one, the environment's.
    pub(crate) proxy: Option<ProxySettings>,
}

/// All pools.
#[derive(Debug)]
pub(crate) struct Connections {
    user_agent: String,
    header_bytes: u32,
    pools: Mutex<Pools>,
}

#[derive(Debug, Default)]
struct Pools {
    by_settings: HashMap<ConnectionSettings, (reqwest::Client, u64)>,
    uses: u64,
}

impl Connections {
    pub(crate) fn new(user_agent: &str, header_bytes: u32) -> Self {
        Self {
            user_agent: user_agent.to_owned(),
            header_bytes,
            pools: Mutex::default(),
        }
    }

    /// The client for these settings.
    pub(crate) fn client(&self, settings: &ConnectionSettings) -> Result<reqwest::Client, Problem> {
        let mut pools = lock(&self.pools);
        pools.uses += 1;
        let now = pools.uses;
        if let Some((client, used)) = pools.by_settings.get_mut(settings) {
            *used = now;
            return Ok(client.clone());
        }
        let client = self.build(settings)?;
        if pools.by_settings.len() >= MAX_POOLS {
            let oldest = pools
                .by_settings
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(settings, _)| settings.clone());
            if let Some(oldest) = oldest {
                pools.by_settings.remove(&oldest);
            }
        }
        pools
            .by_settings
            .insert(settings.clone(), (client.clone(), now));
        Ok(client)
    }

    fn build(&self, settings: &ConnectionSettings) -> Result<reqwest::Client, Problem> {
        let tls = settings.tls.config().map_err(Problem::Tls)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(&self.user_agent)
            // Redirects are followed by hand: see `exchange`.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http1_max_headers(MAX_HEADERS)
            .http2_max_header_list_size(self.header_bytes)
            .http2_adaptive_window(true)
            .dns_resolver(Resolver)
            .tls_backend_preconfigured(tls);
        if let Some(proxy) = &settings.proxy {
            builder = builder.proxy(proxy.to_reqwest().map_err(Problem::Proxy)?);
        }
        builder.build().map_err(|error| Problem::Broken {
            host: "the HTTP client".to_owned(),
            detail: error.without_url().to_string(),
        })
    }
}

/// The system's resolver, without link-local addresses: no registry is there, but clouds' metadata services are.
#[derive(Debug, Clone, Copy)]
struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut addresses = found
                .filter(|address| !is_link_local(address.ip()))
                .peekable();
            if addresses.peek().is_none() {
                return Err("the name resolves to no address that may be asked".into());
            }
            Ok(Box::new(addresses.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}
