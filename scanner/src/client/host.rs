//! What is remembered about a registry: scheme, challenge, page size, quirks.
//!
//! Remembered per way of access: a tenant who reaches a registry through his own proxy or CA learns only for himself.
//! Otherwise his proxy could teach everybody where to send passwords.

use super::challenge::Challenge;
use super::connections::ConnectionSettings;
use super::token::Tokens;
use crate::settings::{EffectiveSettings, ScannerOptions};
use crate::sync::lock;
use crate::target::Access;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tagline_policy::Registry;
use url::Url;

/// Registries that are remembered before all unused ones are forgotten.
const REMEMBERED: usize = 4096;

/// Which registry, reached how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HostKey {
    /// The address asked first: `https://host[:port]` or the configured endpoint.
    pub(crate) endpoint: Url,
    /// May it be asked over http.
    pub(crate) insecure: bool,
    pub(crate) connection: ConnectionSettings,
}

/// All registries.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    by_key: Mutex<HashMap<HostKey, Arc<Host>>>,
    by_registry: Mutex<ByRegistry>,
}

/// What was found out from these options.
#[derive(Debug, Default)]
struct ByRegistry {
    options: Option<Arc<ScannerOptions>>,
    reached: HashMap<Registry, Arc<Reached>>,
}

/// What the settings say about a registry: found out once, not for every scan.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) settings: EffectiveSettings,
    endpoint: Url,
    /// As it is reached by those who bring no settings of their own.
    plainly: Arc<Host>,
}

/// One registry, reached in one way.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) key: HostKey,
    learned: Mutex<Learned>,
    /// Held while `/v2/` is asked: everybody else waits for the answer.
    pub(crate) discovery: tokio::sync::Mutex<()>,
    pub(crate) tokens: Tokens,
}

/// What was learned.
#[derive(Debug, Clone, Default)]
pub(crate) struct Learned {
    /// Where it answers, once it did: the endpoint, or the same over http.
    pub(crate) base: Option<Url>,
    /// How it wants to be authenticated to; `None` is not at all.
    pub(crate) challenge: Option<Challenge>,
    /// The token realm refuses several scopes at once.
    pub(crate) single_scope: bool,
    /// The largest page it gives.
    pub(crate) page_size: Option<u32>,
    /// It has named a next page by `Link`: where it names none, there is none.
    pub(crate) gives_links: bool,
    /// It does not take `n` at all.
    pub(crate) refuses_page_size: bool,
    /// Which of a source's credentials worked last, by the source's label.
    preferred: HashMap<String, usize>,
}

impl Hosts {
    /// How a registry is reached by the settings; `None` where its name makes no address.
    pub(crate) fn reached(
        &self,
        registry: &Registry,
        options: &Arc<ScannerOptions>,
    ) -> Option<Arc<Reached>> {
        {
            let mut known = lock(&self.by_registry);
            let is_same = |known: &Arc<_>| Arc::ptr_eq(known, options);
            if !known.options.as_ref().is_some_and(is_same) {
                known.options = Some(Arc::clone(options));
                known.reached.clear();
            } else if let Some(reached) = known.reached.get(registry) {
                return Some(Arc::clone(reached));
            }
        }
        let settings = options.settings_for(registry);
        let endpoint = match &settings.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => Url::parse(&format!("https://{}/", registry.api_host())).ok()?,
        };
        let plainly = self.get(HostKey {
            endpoint: endpoint.clone(),
            insecure: settings.insecure,
            connection: ConnectionSettings {
                tls: settings.tls.clone(),
                proxy: settings.proxy.clone(),
            },
        });
        let reached = Arc::new(Reached {
            settings,
            endpoint,
            plainly,
        });
        let mut known = lock(&self.by_registry);
        if known.reached.len() >= REMEMBERED {
            known.reached.clear();
        }
        // Unless there are other options by now.
        if known
            .options
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, options))
        {
            known.reached.insert(registry.clone(), Arc::clone(&reached));
        }
        Some(reached)
    }

    /// The registry as it is reached in this way.
    pub(crate) fn host(&self, reached: &Reached, access: &Access) -> Arc<Host> {
        if access.tls.is_default() && access.proxy.is_none() && !access.insecure {
            return Arc::clone(&reached.plainly);
        }
        let settings = &reached.settings;
        self.get(HostKey {
            endpoint: reached.endpoint.clone(),
            insecure: access.insecure || settings.insecure,
            connection: ConnectionSettings {
                tls: if access.tls.is_default() {
                    settings.tls.clone()
                } else {
                    access.tls.clone()
                },
                proxy: access.proxy.clone().or_else(|| settings.proxy.clone()),
            },
        })
    }

    fn get(&self, key: HostKey) -> Arc<Host> {
        let mut by_key = lock(&self.by_key);
        if let Some(host) = by_key.get(&key) {
            return Arc::clone(host);
        }
        if by_key.len() >= REMEMBERED {
            by_key.retain(|_, host| Arc::strong_count(host) > 1);
        }
        let host = Arc::new(Host {
            key: key.clone(),
            learned: Mutex::default(),
            discovery: tokio::sync::Mutex::new(()),
            tokens: Tokens::default(),
        });
        by_key.insert(key, Arc::clone(&host));
        host
    }
}

impl Host {
    /// Looks at what was learned, or adds to it.
    pub(crate) fn learned<T>(&self, with: impl FnOnce(&mut Learned) -> T) -> T {
        with(&mut lock(&self.learned))
    }

    /// Forgets where it answers and how it authenticates: it is asked anew next time.
    pub(crate) fn forget_base(&self) {
        self.learned(|learned| {
            learned.base = None;
            learned.challenge = None;
        });
    }

    /// Which of a source's credentials to begin with.
    pub(crate) fn preferred(&self, label: &str) -> usize {
        self.learned(|learned| learned.preferred.get(label).copied().unwrap_or_default())
    }

    /// This one of a source's credentials works.
    pub(crate) fn prefer(&self, label: &str, index: usize) {
        self.learned(|learned| {
            if index == 0 {
                learned.preferred.remove(label);
            } else {
                learned.preferred.insert(label.to_owned(), index);
            }
        });
    }
}
