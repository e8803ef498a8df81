//! Registries in, tag sets out.

mod blocks;
mod budget;
mod client;
mod credentials;
mod discovery;
mod error;
#[doc(hidden)]
pub mod foreign_bytes;
mod manifest;
mod names;
mod proxy;
mod registries;
mod revision;
mod scan;
mod scanner;
mod schedule;
mod settings;
mod single_flight;
mod store;
mod sync;
mod tag_set;
mod target;
mod target_key;
pub mod tls;
mod varint;

pub use blocks::LiftedBlock;
pub use budget::{BudgetLimits, BudgetName, BudgetStatus, Priority};
pub use credentials::{
    CloudOptions, CloudProvider, Credential, CredentialError, CredentialIdentity, CredentialSource,
    ProvideCredentials, UnknownProvider,
};
pub use discovery::{
    Discovered, DiscoveryError, FoundImage, ImageFilter, ImageText, InvalidImageText, Place,
    images_in_manifests, images_in_text,
};
pub use error::{Operation, Problem, ScanError, Unreachable};
pub use manifest::{ImageDetails, Manifest, Platform};
pub use names::{Addresses, ResolveNames};
pub use proxy::{InvalidProxy, ProxySettings};
pub use revision::Revision;
pub use scan::{RequestCounts, RequestKind, Scan, ScanMode, ScanOutcome};
pub use scanner::{ScanRequest, Scanner};
pub use schedule::{
    Outcome, Ready, ReadyReason, Schedule, ScheduleOptions, ScheduleStats, TargetPlan,
};
pub use settings::{
    AnswerLimits, Clock, InvalidRate, RegistryPattern, RegistrySettings, RequestRate,
    ScannerOptions,
};
pub use single_flight::SingleFlight;
#[doc(hidden)]
pub use store::read_any_bytes as read_any_stored_bytes;
pub use store::{
    Batch, Due, LastError, LaterPage, ListingOrder, PartialListing, RegistryMemory, StateTable,
    StoreCheck, StoreError, StoreOptions, StoreStats, StoredTags, TagDigest, TagStore,
    TargetRecord,
};
pub use tag_set::{InvalidTagSet, Merged, TagCursor, TagSet, TagSetBuilder, UnpackedTags};
pub use target::{Access, ScanTarget};
pub use target_key::{AccessId, InvalidTargetKey, TargetKey};
pub use tls::{InvalidTls, TlsSettings};
