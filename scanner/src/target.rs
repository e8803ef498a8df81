//! What is scanned: an image and the way to reach it.

use crate::credentials::CredentialSource;
use crate::proxy::ProxySettings;
use crate::target_key::{AccessId, TargetKey};
use crate::tls::TlsSettings;
use tagline_policy::ImageName;

/// One repository to scan. Objects that give the same target share one scan; its [`TargetKey`] tells.
#[derive(Debug, Clone)]
pub struct ScanTarget {
    /// Registry and repository.
    pub image: ImageName,
    /// How to reach it.
    pub access: Access,
}

/// How a repository is reached: all that makes the same name another target.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Where credentials come from; anonymous by default.
    pub credentials: CredentialSource,
    /// Additional roots and a client certificate.
    pub tls: TlsSettings,
    /// The object's own proxy. Without one, the registry's settings and then the environment decide.
    pub proxy: Option<ProxySettings>,
    /// Allow plain http (https is tried first).
    pub insecure: bool,
}

impl ScanTarget {
    /// A target with the given access.
    #[must_use]
    pub const fn new(image: ImageName, access: Access) -> Self {
        Self { image, access }
    }

    /// A public repository over https.
    #[must_use]
    pub fn anonymous(image: ImageName) -> Self {
        Self::new(image, Access::default())
    }

    /// The target's name in the store and in the schedule.
    #[must_use]
    pub fn key(&self) -> TargetKey {
        TargetKey::new(&self.image, self.access.id())
    }
}

impl Access {
    /// What tells this way of access from others; `None` for anonymous access with nothing set.
    ///
    /// Made of the credential source's label, the proxy's address, certificates and `insecure`, never of a
    /// password: a source whose password changes stays the same target and keeps its history.
    #[must_use]
    pub fn id(&self) -> Option<AccessId> {
        let is_plain = self.credentials.is_anonymous()
            && self.tls.is_default()
            && self.proxy.is_none()
            && !self.insecure;
        if is_plain {
            return None;
        }
        let proxy = self.proxy.as_ref().map(ProxySettings::redacted);
        let [ca, client] = self.tls.public_parts();
        Some(AccessId::of([
            self.credentials.label().as_bytes(),
            proxy.as_deref().unwrap_or_default().as_bytes(),
            &[u8::from(self.insecure)],
            ca,
            client,
        ]))
    }
}
