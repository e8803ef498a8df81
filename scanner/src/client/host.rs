//! What is remembered about a registry: scheme, challenge, page size, quirks.
//!
//! Remembered per way of access: a tenant who reaches a registry through his own proxy or CA learns only for himself.
//! Otherwise his proxy could teach everybody where to send passwords.

use super::challenge::Challenge;
use super::connections::ConnectionSettings;
use super::token::Tokens;
use crate::sync::lock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
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
    pub(crate) fn get(&self, key: HostKey) -> Arc<Host> {
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
