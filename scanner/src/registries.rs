//! What is safe for the registries everybody knows, and for all others.
//!
//! The rates stay well below what the registries document or have been seen to answer 429 to; `Settings` and
//! `--registry-rps` change them.

use crate::budget::BudgetLimits;
use crate::settings::{RequestRate, glob_matches};
use std::num::NonZeroU32;
use std::time::Duration;
use tagline_policy::Registry;

/// Defaults for one kind of registry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct KnownRegistry {
    /// For tables and documentation.
    pub(crate) name: &'static str,
    /// Host globs; an empty list matches every registry.
    hosts: &'static [&'static str],
    /// What it is asked at most.
    pub(crate) limits: BudgetLimits,
    /// The page size to begin with.
    pub(crate) page_size: NonZeroU32,
}

/// The longest a request may take from its start to the answer's headers, and between two parts of its body.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Tags a page where nothing else is known: most registries allow as many, and say so where they do not.
const PAGE_SIZE: NonZeroU32 = at_least_one(1000);

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

const fn known(
    name: &'static str,
    hosts: &'static [&'static str],
    per_second: f64,
    burst: u32,
    in_flight: u32,
    page_size: NonZeroU32,
) -> KnownRegistry {
    KnownRegistry {
        name,
        hosts,
        limits: BudgetLimits {
            rate: RequestRate::known(per_second),
            burst: at_least_one(burst),
            in_flight: at_least_one(in_flight),
        },
        page_size,
    }
}

/// The table. The first entry that matches counts; the last one matches everything.
pub(crate) const KNOWN: &[KnownRegistry] = &[
    // Tag lists are not pulls, but there is an abuse limit per address, of which the size is not published.
    known("Docker Hub", &["index.docker.io"], 5.0, 10, 4, PAGE_SIZE),
    // Answers 429 above 44,000 requests a minute.
    known(
        "GitHub",
        &["ghcr.io", "*.ghcr.io"],
        50.0,
        100,
        16,
        PAGE_SIZE,
    ),
    // A few requests per second and address; refuses pages above 100 with TOO_MANY_TAGS_REQUESTED.
    known("Quay", &["quay.io"], 5.0, 10, 4, at_least_one(100)),
    // 50,000 requests in 10 minutes and address.
    known(
        "Google Container Registry",
        &["gcr.io", "*.gcr.io"],
        40.0,
        80,
        16,
        PAGE_SIZE,
    ),
    // 60,000 requests a minute and project.
    known(
        "Google Artifact Registry",
        &["*-docker.pkg.dev"],
        50.0,
        100,
        16,
        PAGE_SIZE,
    ),
    // 1 unauthenticated, 10 authenticated list requests per second.
    known(
        "Amazon ECR Public",
        &["public.ecr.aws", "ecr-public.aws.com"],
        1.0,
        5,
        2,
        PAGE_SIZE,
    ),
    // 20 ListTags and 200 token requests per second, account and region.
    known(
        "Amazon ECR",
        &[
            "*.dkr.ecr.*.amazonaws.com",
            "*.dkr.ecr.*.amazonaws.com.cn",
            "*.dkr.ecr-fips.*.amazonaws.com",
            "*.dkr-ecr.*.on.aws",
            "*.dkr.ecr.*.amazonaws.eu",
        ],
        15.0,
        20,
        8,
        PAGE_SIZE,
    ),
    // 1,000 reads a minute in the smallest tier.
    known(
        "Azure Container Registry",
        &[
            "*.azurecr.io",
            "*.azurecr.cn",
            "*.azurecr.de",
            "*.azurecr.us",
        ],
        10.0,
        20,
        8,
        PAGE_SIZE,
    ),
    // 2,000 requests a minute and user on gitlab.com; the token endpoint counts too.
    known("GitLab", &["registry.gitlab.com"], 15.0, 30, 8, PAGE_SIZE),
    // Harbor says ENHANCE_YOUR_CALM when it is pressed; its host names are anybody's.
    known(
        "Harbor",
        &["harbor.*", "*.harbor.*", "demo.goharbor.io"],
        20.0,
        40,
        8,
        at_least_one(100),
    ),
    known(
        "Microsoft Container Registry",
        &["mcr.microsoft.com"],
        20.0,
        40,
        8,
        PAGE_SIZE,
    ),
    known(
        "Kubernetes",
        &["registry.k8s.io", "k8s.gcr.io"],
        20.0,
        40,
        8,
        PAGE_SIZE,
    ),
    // This machine's own: only its speed matters.
    known(
        "local",
        &["localhost", "127.*", "[::1]"],
        1000.0,
        1000,
        32,
        PAGE_SIZE,
    ),
    // Flux v1's --registry-rps and --registry-burst are 50 and 125.
    known("other", &["*"], 20.0, 40, 8, PAGE_SIZE),
];

/// What is known about a registry.
pub(crate) fn defaults(registry: &Registry) -> KnownRegistry {
    let matching = KNOWN.iter().find(|known| {
        known
            .hosts
            .iter()
            .any(|host| glob_matches(host, registry.host()))
    });
    // The last entry matches every host.
    matching
        .or(KNOWN.last())
        .copied()
        .unwrap_or(known("other", &[], 1.0, 1, 1, PAGE_SIZE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_its_defaults() {
        for (host, name, page_size) in [
            ("docker.io", "Docker Hub", 1000),
            ("ghcr.io", "GitHub", 1000),
            ("quay.io", "Quay", 100),
            ("eu.gcr.io", "Google Container Registry", 1000),
            ("europe-docker.pkg.dev", "Google Artifact Registry", 1000),
            ("public.ecr.aws", "Amazon ECR Public", 1000),
            (
                "012345678901.dkr.ecr.eu-central-1.amazonaws.com",
                "Amazon ECR",
                1000,
            ),
            ("me.azurecr.io", "Azure Container Registry", 1000),
            ("registry.gitlab.com", "GitLab", 1000),
            ("harbor.corp.example", "Harbor", 100),
            ("127.0.0.1:5000", "local", 1000),
            ("localhost:5000", "local", 1000),
            ("registry.example.com:5000", "other", 1000),
        ] {
            let known = defaults(&Registry::new(host).unwrap());
            assert_eq!(
                (known.name, known.page_size.get()),
                (name, page_size),
                "{host}"
            );
            assert!(known.limits.rate.as_per_second().is_some());
        }
    }
}
