//! TLS: one crypto provider (ring), one set of trusted roots, and what an object adds to them.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Makes ring the process's rustls provider. May be called any number of times and by anybody; a provider
/// that is already installed stays.
pub fn install_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race means that another caller has just installed one: the state that is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// What one target's TLS connections trust and present, beyond the machine's own roots.
///
/// The certificates are added to the system's roots, as Flux does with `certSecretRef`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    ca: Option<Arc<[u8]>>,
    client: Option<ClientCertificate>,
}

/// A certificate with its key, shown to registries that ask for one. Compared and hashed by the certificate.
#[derive(Clone)]
struct ClientCertificate {
    chain: Arc<[u8]>,
    key: Arc<SecretString>,
}

/// TLS material that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTls {
    /// No certificate in what was given as CA.
    #[error(
        "the CA file holds no PEM certificate; it must have at least one -----BEGIN CERTIFICATE----- block"
    )]
    NoCa,
    /// A CA certificate that no TLS connection can trust.
    #[error("a CA certificate cannot be used: {reason}")]
    Ca {
        /// What rustls says.
        reason: String,
    },
    /// Broken client certificate or key.
    #[error("the client certificate cannot be used: {reason}")]
    Client {
        /// What is wrong.
        reason: String,
    },
}

impl TlsSettings {
    /// Adds certificate authorities, as PEM.
    ///
    /// # Errors
    /// [`InvalidTls`] when there is no certificate in it or one is broken.
    pub fn with_ca(mut self, pem: impl Into<Vec<u8>>) -> Result<Self, InvalidTls> {
        let pem = pem.into();
        add_ca(&mut RootCertStore::empty(), &pem)?;
        self.ca = Some(pem.into());
        Ok(self)
    }

    /// Sets the client certificate (with its chain) and its key, both as PEM.
    ///
    /// # Errors
    /// [`InvalidTls::Client`] when one of them is broken or they do not belong together.
    pub fn with_client_certificate(
        mut self,
        chain: impl Into<Vec<u8>>,
        key: SecretString,
    ) -> Result<Self, InvalidTls> {
        install_provider();
        let client = ClientCertificate {
            chain: chain.into().into(),
            key: Arc::new(key),
        };
        let (certificates, key) = client.parse()?;
        ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_client_auth_cert(certificates, key)
            .map_err(|error| InvalidTls::Client {
                reason: error.to_string(),
            })?;
        self.client = Some(client);
        Ok(self)
    }

    /// Whether nothing was added to the machine's own settings.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.ca.is_none() && self.client.is_none()
    }

    /// Bytes that tell two settings apart, without the key.
    pub(crate) fn public_parts(&self) -> [&[u8]; 2] {
        [
            self.ca.as_deref().unwrap_or_default(),
            self.client
                .as_ref()
                .map(|client| &*client.chain)
                .unwrap_or_default(),
        ]
    }

    /// The rustls configuration: system roots and those of the settings, HTTP/2 offered first.
    pub(crate) fn config(&self) -> Result<ClientConfig, InvalidTls> {
        install_provider();
        let mut roots = system_roots().clone();
        if let Some(ca) = &self.ca {
            add_ca(&mut roots, ca)?;
        }
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match &self.client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let (chain, key) = client.parse()?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| InvalidTls::Client {
                        reason: error.to_string(),
                    })?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The machine's roots, read once. A machine without any can still talk http and to registries with their own CA.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (_, unusable) = roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            tracing::warn!(unusable, "no trusted certificates on this machine: https works only for registries with a CA of their own; install ca-certificates");
        }
        roots
    })
}

fn add_ca(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), InvalidTls> {
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let unusable = |reason: String| InvalidTls::Ca { reason };
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
        found = true;
    }
    if found { Ok(()) } else { Err(InvalidTls::NoCa) }
}

impl ClientCertificate {
    fn parse(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), InvalidTls> {
        let broken = |reason: String| InvalidTls::Client { reason };
        let chain = CertificateDer::pem_slice_iter(&self.chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| broken(error.to_string()))?;
        if chain.is_empty() {
            return Err(broken(
                "there is no -----BEGIN CERTIFICATE----- block in it".to_owned(),
            ));
        }
        // The parser's error may quote the input: the key's text must not get into a message.
        let key = PrivateKeyDer::from_pem_slice(self.key.expose_secret().as_bytes())
            .map_err(|_| broken("its key is not a PEM private key".to_owned()))?;
        Ok((chain, key))
    }
}

impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain && self.key.expose_secret() == other.key.expose_secret()
    }
}

impl Eq for ClientCertificate {}

impl std::hash::Hash for ClientCertificate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.chain.hash(state);
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("ca", &self.ca.is_some())
            .field("client_certificate", &self.client.is_some())
            .finish()
    }
}
