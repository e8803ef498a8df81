//! Which cloud, and which registries are its own.

use std::fmt;
use std::str::FromStr;
use tagline_policy::Registry;

/// A cloud whose identity stands for registry credentials (Flux: `spec.provider`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloudProvider {
    /// Amazon Web Services: ECR and `public.ecr.aws`.
    Aws,
    /// Microsoft Azure: Azure Container Registry.
    Azure,
    /// Google Cloud: Artifact Registry and `gcr.io`.
    Gcp,
}

/// A provider that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a provider: expected aws, azure or gcp (or generic, for none)")]
pub struct UnknownProvider {
    text: String,
}

impl CloudProvider {
    /// The name that Flux uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }

    /// Whether the registry belongs to the provider, by the host patterns that Flux uses. A credential goes to no
    /// other.
    #[must_use]
    pub fn serves(self, registry: &Registry) -> bool {
        let host = registry.as_str();
        match self {
            Self::Aws => host == PUBLIC_ECR || EcrHost::parse(host).is_some(),
            Self::Azure => [".azurecr.io", ".azurecr.cn", ".azurecr.de", ".azurecr.us"]
                .iter()
                .any(|suffix| {
                    host.strip_suffix(suffix)
                        .is_some_and(|name| !name.is_empty())
                }),
            Self::Gcp => {
                host == "gcr.io"
                    || host.ends_with(".gcr.io")
                    || host.ends_with("-docker.pkg.dev")
                    || host == "docker.s3nsregistry.fr"
            }
        }
    }

    /// Its registries, for error messages.
    pub(super) const fn registries(self) -> &'static str {
        match self {
            Self::Aws => "<account>.dkr.ecr.<region>.amazonaws.com, public.ecr.aws",
            Self::Azure => "<name>.azurecr.io",
            Self::Gcp => "gcr.io, <region>.gcr.io, <region>-docker.pkg.dev",
        }
    }
}

/// The registry of public images; its credentials come from the region `us-east-1`.
pub(super) const PUBLIC_ECR: &str = "public.ecr.aws";

/// Domains under which ECR lives, in all partitions.
const ECR_DOMAINS: [&str; 8] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "sc2s.sgov.gov",
    "c2s.ic.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    "on.aws",
];

/// The parts of a private ECR host, `<account>.dkr.ecr[-fips].<region>.<domain>` (also `.dkr-ecr.`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EcrHost<'a> {
    pub(super) region: &'a str,
}

impl<'a> EcrHost<'a> {
    pub(super) fn parse(host: &'a str) -> Option<Self> {
        let (account, rest) = host.split_once('.')?;
        if account.is_empty() || !account.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let rest = ["dkr.ecr.", "dkr-ecr.", "dkr.ecr-fips.", "dkr-ecr-fips."]
            .iter()
            .find_map(|prefix| rest.strip_prefix(prefix))?;
        let (region, domain) = rest.split_once('.')?;
        let known = !region.is_empty() && ECR_DOMAINS.contains(&domain);
        known.then_some(Self { region })
    }
}

impl fmt::Display for CloudProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for CloudProvider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        [Self::Aws, Self::Azure, Self::Gcp]
            .into_iter()
            .find(|provider| provider.as_str() == text)
            .ok_or_else(|| UnknownProvider {
                text: text.chars().take(100).collect(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_registries_and_no_others() {
        for (provider, host, serves) in [
            (
                CloudProvider::Aws,
                "123456789012.dkr.ecr.us-east-1.amazonaws.com",
                true,
            ),
            (
                CloudProvider::Aws,
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                true,
            ),
            (
                CloudProvider::Aws,
                "123456789012.dkr-ecr.eu-west-1.on.aws",
                true,
            ),
            (
                CloudProvider::Aws,
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                true,
            ),
            (CloudProvider::Aws, "public.ecr.aws", true),
            (
                CloudProvider::Aws,
                "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.io",
                false,
            ),
            (
                CloudProvider::Aws,
                "a.dkr.ecr.us-east-1.amazonaws.com",
                false,
            ),
            (CloudProvider::Aws, "ecr.us-east-1.amazonaws.com", false),
            (CloudProvider::Azure, "team.azurecr.io", true),
            (CloudProvider::Azure, "azurecr.io", false),
            (CloudProvider::Azure, "team.azurecr.io.evil.io", false),
            (CloudProvider::Gcp, "gcr.io", true),
            (CloudProvider::Gcp, "eu.gcr.io", true),
            (CloudProvider::Gcp, "europe-west1-docker.pkg.dev", true),
            (CloudProvider::Gcp, "notgcr.io", false),
            (CloudProvider::Gcp, "docker.pkg.dev", false),
        ] {
            let registry = Registry::new(host).unwrap();
            assert_eq!(provider.serves(&registry), serves, "{provider} {host}");
        }
    }

    #[test]
    fn names_are_those_of_flux() {
        assert_eq!("aws".parse(), Ok(CloudProvider::Aws));
        assert!("AWS".parse::<CloudProvider>().is_err());
    }
}
