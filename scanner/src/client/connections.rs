//! Connections: one pool per TLS and proxy settings, shared by all targets that use them.

use super::guard::Reach;
use crate::error::Problem;
use crate::names::{ResolveNames, is_link_local};
use crate::proxy::ProxySettings;
use crate::settings::ScannerOptions;
use crate::sync::lock;
use crate::tls::TlsSettings;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

/// Pools that are kept; the one unused for longest goes first.
const MAX_POOLS: usize = 128;
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
    names: Arc<dyn ResolveNames>,
    /// What the environment says about proxies.
    environment: Matcher,
    pools: Mutex<Pools>,
}

#[derive(Debug, Default)]
struct Pools {
    by_settings: HashMap<(ConnectionSettings, Reach), (reqwest::Client, u64)>,
    uses: u64,
}

impl Connections {
    pub(crate) fn new(options: &ScannerOptions) -> Self {
        Self {
            user_agent: options.user_agent.clone(),
            header_bytes: options.limits.header_bytes,
            names: Arc::clone(&options.names),
            environment: Matcher::from_system(),
            pools: Mutex::default(),
        }
    }

    /// The client for these settings and an address.
    pub(crate) fn client(
        &self,
        settings: &ConnectionSettings,
        url: &Url,
        reach: Reach,
    ) -> Result<reqwest::Client, Problem> {
        // A proxy looks names up itself; here only its own name is, which somebody here has chosen.
        let reach = if self.is_direct(settings, url) {
            reach
        } else {
            Reach::Anywhere
        };
        let key = (settings.clone(), reach);
        let mut pools = lock(&self.pools);
        pools.uses += 1;
        let now = pools.uses;
        if let Some((client, used)) = pools.by_settings.get_mut(&key) {
            *used = now;
            return Ok(client.clone());
        }
        let client = self.build(settings, reach)?;
        if pools.by_settings.len() >= MAX_POOLS {
            let oldest = pools
                .by_settings
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                pools.by_settings.remove(&oldest);
            }
        }
        pools.by_settings.insert(key, (client.clone(), now));
        Ok(client)
    }

    /// Whether an answer that this address gave came from this machine or an inner network; not known, and therefore
    /// not so, of what comes through a proxy.
    pub(crate) fn is_from_inside(
        &self,
        settings: &ConnectionSettings,
        url: &Url,
        peer: Option<SocketAddr>,
    ) -> bool {
        peer.is_some_and(|peer| self.names.is_inside(peer.ip())) && self.is_direct(settings, url)
    }

    /// Whether no proxy is in between.
    fn is_direct(&self, settings: &ConnectionSettings, url: &Url) -> bool {
        settings.proxy.is_none()
            && url
                .as_str()
                .parse()
                .is_ok_and(|uri| self.environment.intercept(&uri).is_none())
    }

    fn build(
        &self,
        settings: &ConnectionSettings,
        reach: Reach,
    ) -> Result<reqwest::Client, Problem> {
        let tls = settings.tls.config().map_err(Problem::Tls)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(&self.user_agent)
            // Redirects are followed by hand: see `exchange`.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            // As many as the budget lets be under way: fewer would be closed and opened anew all the time.
            .pool_max_idle_per_host(usize::MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http1_max_headers(MAX_HEADERS)
            .http2_max_header_list_size(self.header_bytes)
            .http2_adaptive_window(true)
            .dns_resolver(Resolver {
                names: Arc::clone(&self.names),
                reach,
            })
            .tls_backend_preconfigured(tls);
        if let Some(proxy) = &settings.proxy {
            builder = builder.proxy(proxy.to_reqwest().map_err(Problem::Proxy)?);
        }
        if reach == Reach::Outside {
            // For direct connections only: see above.
            builder = builder.no_proxy();
        }
        builder.build().map_err(|error| Problem::Broken {
            host: "the HTTP client".to_owned(),
            detail: error.without_url().to_string(),
        })
    }
}

/// Looks names up, and leaves out addresses that must not be asked: always those where clouds keep their metadata
/// services, as no registry is there; those inside where an answer from outside has given the name.
#[derive(Debug, Clone)]
struct Resolver {
    names: Arc<dyn ResolveNames>,
    reach: Reach,
}

/// A name has no address that may be asked.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the name resolves only to addresses that must not be asked")]
pub(super) struct OnlyInnerAddresses;

impl Resolver {
    fn may_ask(&self, address: IpAddr) -> bool {
        !is_link_local(address) && (self.reach == Reach::Anywhere || !self.names.is_inside(address))
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.names.resolve(name.as_str()).await?;
            let addresses: Vec<_> = found
                .into_iter()
                .filter(|address| resolver.may_ask(*address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if addresses.is_empty() {
                return Err(OnlyInnerAddresses.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
