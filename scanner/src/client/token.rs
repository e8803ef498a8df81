//! Bearer tokens: asked for several repositories at once where the realm allows it, kept until they are nearly expired.

use crate::credentials::{Credential, Secret};
use crate::sync::lock;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// The specification's life time where the realm gives none.
const DEFAULT_LIFE: u64 = 60;
/// No token is trusted for longer.
const LONGEST_LIFE: u64 = 12 * 3600;
/// Repositories in one token: realms write each into the token, and headers have limits.
pub(crate) const MAX_SCOPES: usize = 20;
/// A token that long comes near the limits of servers' header buffers.
pub(crate) const MAX_TOKEN: usize = 16 * 1024;

/// What a token is for: `repository:<name>:pull` or `registry:catalog:*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Scope(Arc<str>);

/// A token and when to stop using it.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) value: SecretString,
    /// Whether it was asked for several repositories.
    pub(crate) shared: bool,
    until: Instant,
}

/// Tells credentials apart by all they hold. Only ever in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

/// The tokens of one registry.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    by_scope: HashMap<(Fingerprint, Scope), Arc<Token>>,
    desks: HashMap<Fingerprint, Arc<Desk>>,
    swept: usize,
}

/// Where the scans of one credential queue up for tokens: the first in the queue asks for all.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    wanted: Mutex<BTreeSet<Scope>>,
    pub(crate) turn: tokio::sync::Mutex<()>,
}

/// A realm's answer.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<serde_json::Number>,
}

impl Scope {
    pub(crate) fn pull(repository: &str) -> Self {
        Self(format!("repository:{repository}:pull").into())
    }

    pub(crate) fn catalog() -> Self {
        Self("registry:catalog:*".into())
    }

    /// A scope a registry asked for, where it is one of reading this.
    pub(crate) fn challenged(text: &str) -> Option<Self> {
        (text.len() <= 1024
            && text.bytes().all(|b| b.is_ascii_graphic())
            && text.ends_with(":pull"))
        .then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn repository(&self) -> Option<&str> {
        self.0.strip_prefix("repository:")?.strip_suffix(":pull")
    }
}

impl Fingerprint {
    pub(crate) fn of(credential: &Credential) -> Self {
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        let (kind, user, secret) = match credential.secret() {
            Secret::Anonymous => (0, "", ""),
            Secret::Basic { username, password } => {
                (1, username.as_str(), password.expose_secret())
            }
            Secret::IdentityToken(token) => (2, "", token.expose_secret()),
            Secret::RegistryToken(token) => (3, "", token.expose_secret()),
        };
        digest.update(&[kind]);
        digest.update(&user.len().to_be_bytes());
        digest.update(user.as_bytes());
        digest.update(secret.as_bytes());
        let mut print = [0; 32];
        print.copy_from_slice(digest.finish().as_ref());
        Self(print)
    }
}

impl Tokens {
    /// A token that is still good.
    pub(crate) fn get(&self, credential: Fingerprint, scope: &Scope) -> Option<Arc<Token>> {
        let mut shared = lock(&self.shared);
        let key = (credential, scope.clone());
        let token = shared.by_scope.get(&key)?;
        if token.until > Instant::now() {
            return Some(Arc::clone(token));
        }
        shared.by_scope.remove(&key);
        None
    }

    /// Keeps a token for all scopes it covers. The first scope is the one it was asked for first of all.
    pub(crate) fn put(&self, credential: Fingerprint, scopes: &[Scope], token: &Arc<Token>) {
        let covered = covered(token.value.expose_secret());
        let mut shared = lock(&self.shared);
        for (index, scope) in scopes.iter().enumerate() {
            let is_covered = match (&covered, scope.repository()) {
                (Some(covered), Some(repository)) => covered.contains(repository),
                _ => true,
            };
            // Where it does not cover even the first, the registry shall say so itself.
            if index == 0 || is_covered {
                shared
                    .by_scope
                    .insert((credential, scope.clone()), Arc::clone(token));
            }
        }
        if shared.by_scope.len() > 2 * shared.swept + 1024 {
            let now = Instant::now();
            shared.by_scope.retain(|_, token| token.until > now);
            shared.desks.retain(|_, desk| Arc::strong_count(desk) > 1);
            shared.swept = shared.by_scope.len();
        }
    }

    /// A token turned out to be useless.
    pub(crate) fn remove(&self, credential: Fingerprint, scope: &Scope) {
        lock(&self.shared)
            .by_scope
            .remove(&(credential, scope.clone()));
    }

    pub(crate) fn desk(&self, credential: Fingerprint) -> Arc<Desk> {
        Arc::clone(lock(&self.shared).desks.entry(credential).or_default())
    }
}

impl Desk {
    /// Says that a token for this scope is wanted.
    pub(crate) fn want(&self, scope: &Scope) {
        lock(&self.wanted).insert(scope.clone());
    }

    /// The scopes of the next request: the asker's own first, then those of others who wait.
    pub(crate) fn take(&self, own: &Scope, most: usize) -> Vec<Scope> {
        let mut wanted = lock(&self.wanted);
        wanted.remove(own);
        let mut scopes = vec![own.clone()];
        while scopes.len() < most
            && let Some(scope) = wanted.pop_first()
        {
            scopes.push(scope);
        }
        scopes
    }
}

impl Token {
    /// Reads a realm's answer; `None` when there is no usable token in it.
    pub(crate) fn read(body: &[u8], shared: bool, now: Instant) -> Option<Self> {
        let answer: TokenAnswer = serde_json::from_slice(body).ok()?;
        let value = [answer.access_token, answer.token]
            .into_iter()
            .flatten()
            .find(|token| !token.is_empty())?;
        if value.len() > MAX_TOKEN || !value.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        let life = answer
            .expires_in
            .and_then(|number| number.as_u64())
            .unwrap_or(DEFAULT_LIFE)
            .min(LONGEST_LIFE);
        // A tenth, at least some seconds, for the time on the way and clocks that differ.
        let margin = (life / 10).clamp(5, 60).min(life / 2);
        Some(Self {
            value: value.into(),
            shared,
            until: now + Duration::from_secs(life - margin),
        })
    }
}

/// The repositories a token says it is good for; `None` when it does not say.
fn covered(token: &str) -> Option<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Claims {
        access: Vec<Access>,
    }
    #[derive(Deserialize)]
    struct Access {
        #[serde(default)]
        name: String,
        #[serde(default)]
        actions: Vec<String>,
    }
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Some(
        claims
            .access
            .into_iter()
            .filter(|access| access.actions.iter().any(|a| a == "pull" || a == "*"))
            .map(|access| access.name)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(repositories: &[&str]) -> String {
        let access: Vec<_> = repositories
            .iter()
            .map(
                |name| serde_json::json!({"type": "repository", "name": name, "actions": ["pull"]}),
            )
            .collect();
        let claims = serde_json::json!({ "access": access }).to_string();
        format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims))
    }

    fn read(body: &serde_json::Value) -> Option<Token> {
        Token::read(body.to_string().as_bytes(), true, Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_used_until_it_is_nearly_expired() {
        let tokens = Tokens::default();
        let owner = Fingerprint::of(&Credential::anonymous());
        let scope = Scope::pull("a");
        let token = read(&serde_json::json!({"token": "t", "expires_in": 300})).unwrap();
        tokens.put(owner, std::slice::from_ref(&scope), &Arc::new(token));
        tokio::time::advance(Duration::from_secs(269)).await;
        assert!(tokens.get(owner, &scope).is_some());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(tokens.get(owner, &scope).is_none());
        let other = Credential::basic("u", "p".into());
        assert_ne!(owner, Fingerprint::of(&other));
        assert_ne!(
            Fingerprint::of(&other),
            Fingerprint::of(&Credential::basic("u", "q".into()))
        );
    }

    #[test]
    fn a_token_is_kept_for_what_it_covers() {
        let tokens = Tokens::default();
        let owner = Fingerprint::of(&Credential::anonymous());
        let scopes = ["a", "b", "c"].map(Scope::pull);
        let token = read(&serde_json::json!({"token": jwt(&["b"])})).unwrap();
        tokens.put(owner, &scopes, &Arc::new(token));
        let kept = scopes
            .each_ref()
            .map(|scope| tokens.get(owner, scope).is_some());
        assert_eq!(kept, [true, true, false]);
        let opaque = read(&serde_json::json!({"access_token": "opaque", "token": ""})).unwrap();
        tokens.put(owner, &scopes, &Arc::new(opaque));
        assert!(tokens.get(owner, &scopes[2]).is_some());
    }

    #[test]
    fn refuses_what_is_not_a_token() {
        for body in [
            serde_json::json!({}),
            serde_json::json!({"token": ""}),
            serde_json::json!({"token": 1}),
            serde_json::json!({"token": "a b"}),
            serde_json::json!({"token": "a\r\nx: y"}),
            serde_json::json!({"token": "x".repeat(MAX_TOKEN + 1)}),
            serde_json::json!([]),
            serde_json::json!("token"),
        ] {
            assert!(read(&body).is_none(), "{body}");
        }
        for life in [0_i64, -5, 1, i64::MAX] {
            assert!(read(&serde_json::json!({"token": "t", "expires_in": life})).is_some());
        }
        assert!(read(&serde_json::json!({"token": "t", "expires_in": 1.5})).is_some());
    }

    #[test]
    fn the_first_in_the_queue_asks_for_all() {
        let desk = Desk::default();
        let scopes: Vec<_> = (0..30).map(|i| Scope::pull(&format!("r{i:02}"))).collect();
        for scope in &scopes {
            desk.want(scope);
        }
        let own = &scopes[29];
        let taken = desk.take(own, MAX_SCOPES);
        assert_eq!((taken.len(), &taken[0]), (MAX_SCOPES, own));
        assert_eq!(desk.take(&scopes[0], MAX_SCOPES).len(), 30 - MAX_SCOPES + 1);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(body: Vec<u8>, text: String) {
            let _ = Token::read(&body, false, Instant::now());
            let _ = covered(&text);
            let _ = covered(&format!("a.{text}.b"));
        }
    }
}
