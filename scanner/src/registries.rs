//! What is safe for the registries everybody knows, and for all others.
//!
//! The rates stay below what the registries document or have been seen to answer 429 to, with room for somebody else at
//! the same address; `Settings` and
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
///
/// What the vendors document was looked up in November 2026; where they document nothing, it is said.
pub(crate) const KNOWN: &[KnownRegistry] = &[
    // docs.docker.com/docker-hub/usage: all requests together, per IPv4 address or IPv6 /64, "in the order of
    // thousands of requests per minute", varying with load, the same for every account. Lists are no pulls.
    known("Docker Hub", &["index.docker.io"], 5.0, 10, 4, PAGE_SIZE),
    // Not documented. Its 429s say "allowed: 44000/minute" (falcosecurity/plugins#1069), formerly and for uploads
    // "allowed: 2000/minute" (chainguard-images/images#173): below the smaller.
    known("GitHub", &["ghcr.io", "*.ghcr.io"], 20.0, 60, 16, PAGE_SIZE),
    // access.redhat.com/solutions/6218921: "a few requests per second" per address and endpoint, with some burst.
    // Pages above 100 are refused with TOO_MANY_TAGS_REQUESTED.
    known("Quay", &["quay.io"], 3.0, 10, 4, at_least_one(100)),
    // cloud.google.com/container-registry/quotas: per address 50,000 requests in 10 minutes, and 1,000,000 a day:
    // the latter are 11.5 per second.
    known(
        "Google Container Registry",
        &["gcr.io", "*.gcr.io"],
        10.0,
        80,
        16,
        PAGE_SIZE,
    ),
    // cloud.google.com/artifact-registry/quotas: 60,000 requests a minute per project and region. (There too: lists
    // of more than 10,000 tags are incomplete.)
    known(
        "Google Artifact Registry",
        &["*-docker.pkg.dev"],
        50.0,
        100,
        16,
        PAGE_SIZE,
    ),
    // docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html counts pulls, per second 1 without and
    // 10 with a login, and says nothing of lists: as if they were pulls without one.
    known(
        "Amazon ECR Public",
        &["public.ecr.aws", "ecr-public.aws.com"],
        1.0,
        5,
        2,
        PAGE_SIZE,
    ),
    // docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html has rates for tokens (200 per second and
    // region, later more), manifests and layers, and none for lists, which are throttled nevertheless: as much as its
    // smallest documented rate, that of finishing an upload.
    known(
        "Amazon ECR",
        &[
            "*.dkr.ecr.*.amazonaws.com",
            "*.dkr.ecr.*.amazonaws.com.cn",
            "*.dkr.ecr-fips.*.amazonaws.com",
            "*.dkr-ecr.*.on.aws",
            "*.dkr.ecr.*.amazonaws.eu",
        ],
        10.0,
        20,
        8,
        PAGE_SIZE,
    ),
    // learn.microsoft.com/azure/container-registry/container-registry-skus: 1,000 reads a minute in the smallest tier
    // (3,000 and 10,000 in the others), as long as the page gave figures.
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
    // docs.gitlab.com/user/gitlab_com: 500 requests a minute per address without and 2,000 with a login, and the
    // token endpoint is a part of gitlab.com.
    known("GitLab", &["registry.gitlab.com"], 5.0, 20, 8, PAGE_SIZE),
    // No limit of its own; it is what its operator makes of it, and so is its name. Pages of at most 100.
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
