//! What the tests of scans share.

use secrecy::SecretString;
use std::num::NonZeroU32;
use std::time::Duration;
use tagline_policy::ImageName;
use tagline_scanner::{
    Access, Credential, CredentialSource, RegistryPattern, RegistrySettings, RequestRate,
    ScanTarget, Scanner, ScannerOptions, StoreOptions, TagSet, TagStore,
};

/// A scanner with a store in memory.
pub(super) fn scanner(options: ScannerOptions) -> Scanner {
    Scanner::new(options, memory())
}

pub(super) fn memory() -> TagStore {
    TagStore::in_memory(&StoreOptions::default()).unwrap()
}

/// Settings for every registry, with times that suit tests.
pub(super) fn everywhere(change: impl FnOnce(&mut RegistrySettings)) -> ScannerOptions {
    let mut settings = RegistrySettings::new(RegistryPattern::new("*"));
    settings.timeout = Some(Duration::from_secs(20));
    settings.rate = Some(RequestRate::UNLIMITED);
    change(&mut settings);
    ScannerOptions {
        registries: vec![settings],
        ..ScannerOptions::default()
    }
}

pub(super) fn page_size(settings: &mut RegistrySettings, size: u32) {
    settings.page_size = NonZeroU32::new(size);
}

pub(super) fn image(authority: &str, repository: &str) -> ImageName {
    ImageName::parse(&format!("{authority}/{repository}")).unwrap()
}

pub(super) fn anonymous(authority: &str, repository: &str) -> ScanTarget {
    ScanTarget::anonymous(image(authority, repository))
}

pub(super) fn with_password(
    authority: &str,
    repository: &str,
    user: &str,
    password: &str,
) -> ScanTarget {
    let credential = Credential::basic(user, SecretString::from(password.to_owned()));
    ScanTarget::new(
        image(authority, repository),
        Access {
            credentials: CredentialSource::fixed("test", credential),
            ..Access::default()
        },
    )
}

/// The tags in ascending order, for messages that can be read.
pub(super) fn ascending(tags: &TagSet) -> Vec<String> {
    let mut all: Vec<_> = tags
        .unpack()
        .iter()
        .map(|(tag, _)| tag.to_string())
        .collect();
    all.reverse();
    all
}
