//! What can go wrong while images are looked for. Each stops only its own file, document or image.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::image_text::InvalidImageText;
use super::manifests::Place;

/// Something in the manifests that could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiscoveryError {
    /// A file or directory cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A file is too large to be a manifest.
    #[error("{} is larger than {limit} bytes and passed over", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// A file is not YAML; its documents before this place were read.
    #[error("{place}: not YAML: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        message: String,
    },
    /// A document is not read to its end, because its lists or aliases multiply beyond all measure.
    #[error("{place}: too many objects in one file; only the first {limit} were read")]
    TooMany {
        /// Where.
        place: Place,
        /// The limit.
        limit: usize,
    },
    /// An image field does not hold an image.
    #[error("{place}: {source}")]
    Image {
        /// Where.
        place: Place,
        /// What is wrong with it.
        source: InvalidImageText,
    },
}

impl DiscoveryError {
    /// A machine word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Read { .. } => "Unreadable",
            Self::TooLarge { .. } => "TooLarge",
            Self::Syntax { .. } => "InvalidYaml",
            Self::TooMany { .. } => "TooManyObjects",
            Self::Image { .. } => "InvalidImage",
        }
    }
}
