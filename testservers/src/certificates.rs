//! Certificates for TLS servers and clients, made for one test.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair as SigningKey, KeyUsagePurpose,
};

/// A certificate authority that lives as long as the test.
#[derive(Debug)]
pub struct CertificateAuthority {
    certificate: Certificate,
    issuer: Issuer<'static, SigningKey>,
}

/// A certificate with its private key, both PEM.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PKCS #8 PEM.
    pub key: String,
}

impl CertificateAuthority {
    /// An authority of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = SigningKey::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// The authority's own certificate, PEM: what a client must trust.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A server certificate for host names and IP addresses.
    #[must_use]
    pub fn server(&self, hosts: &[&str]) -> KeyPair {
        self.issue(hosts, "server", ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A server certificate for `127.0.0.1` and `localhost`.
    #[must_use]
    pub fn loopback_server(&self) -> KeyPair {
        self.server(&["127.0.0.1", "localhost"])
    }

    /// A client certificate with that common name.
    #[must_use]
    pub fn client(&self, name: &str) -> KeyPair {
        self.issue(&[], name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, hosts: &[&str], name: &str, usage: ExtendedKeyUsagePurpose) -> KeyPair {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).expect("legal names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = SigningKey::generate().expect("a key");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("a signed certificate");
        KeyPair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}
