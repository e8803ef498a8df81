//! Which images there are to scan: images named in Kubernetes manifests, under include and exclude globs.

mod error;
mod filter;
mod helm;
mod image_text;
mod kustomization;
mod manifests;
mod overlays;
mod workload;
mod yaml;

pub use error::DiscoveryError;
pub use filter::ImageFilter;
pub use image_text::{ImageText, InvalidImageText};
pub use manifests::{Discovered, FoundImage, Place, images_in_manifests, images_in_text};
