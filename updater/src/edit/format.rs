//! Which kinds of files are edited, and how a file's name tells its kind.

use std::fmt;
use std::str::FromStr;

/// A kind of file that can hold markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `.yaml`, `.yml`, `Kustomization`: what Flux reads.
    Yaml,
    /// `.json`, `.jsonc`, `.json5`: markers in a sibling key, in a comment, or in a
    /// [`MarkerMap`](super::MarkerMap).
    Json,
    /// `.tf`, `.tfvars`, `.hcl`: the marker behind the value or above its line.
    Hcl,
    /// `Dockerfile`, `Containerfile`: the marker above the `FROM`, `ARG` or `ENV` line.
    Dockerfile,
    /// `.env`: the marker behind the value or above its line.
    Dotenv,
    /// YAML with `{{ … }}` that is no YAML before a template engine ran (Helm): line by line.
    Template,
}

/// The kinds of files that an update may touch. YAML only, unless others are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats(u8);

/// A word that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown file format {0:?}: expected one of yaml, json, hcl, dockerfile, dotenv, template")]
pub struct UnknownFormat(String);

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Yaml,
        Self::Json,
        Self::Hcl,
        Self::Dockerfile,
        Self::Dotenv,
        Self::Template,
    ];

    /// The word for it in options.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Hcl => "hcl",
            Self::Dockerfile => "dockerfile",
            Self::Dotenv => "dotenv",
            Self::Template => "template",
        }
    }

    /// The kind that a file of this path is, by its name.
    pub(super) fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        match (stem, extension) {
            ("Kustomization", "") | (_, "yaml" | "yml") => Some(Self::Yaml),
            (_, "json" | "jsonc" | "json5") => Some(Self::Json),
            (_, "tf" | "tfvars" | "hcl") => Some(Self::Hcl),
            ("Dockerfile" | "Containerfile", _) | (_, "dockerfile" | "Dockerfile") => {
                Some(Self::Dockerfile)
            }
            (_, "env") | (".env", _) => Some(Self::Dotenv),
            (_, "tpl" | "tmpl" | "gotmpl") => Some(Self::Template),
            _ => None,
        }
    }
}

impl Formats {
    /// Every format.
    #[must_use]
    pub fn all() -> Self {
        Format::ALL.into_iter().collect()
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, format: Format) -> Self {
        Self(self.0 | 1 << format as u8)
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn contains(self, format: Format) -> bool {
        self.0 & 1 << format as u8 != 0
    }
}

impl FromIterator<Format> for Formats {
    fn from_iter<I: IntoIterator<Item = Format>>(formats: I) -> Self {
        formats.into_iter().fold(Self(0), Self::with)
    }
}

impl Default for Formats {
    fn default() -> Self {
        Self(0).with(Format::Yaml)
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, Formats};

    #[test]
    fn the_name_tells_the_kind() {
        for (path, format) in [
            ("a/b.yaml", Some(Format::Yaml)),
            ("a.b/Kustomization", Some(Format::Yaml)),
            ("Kustomization.txt", None),
            ("docker-compose.yml", Some(Format::Yaml)),
            ("a.YAML", None),
            ("values.json", Some(Format::Json)),
            ("main.tf", Some(Format::Hcl)),
            ("build/Dockerfile", Some(Format::Dockerfile)),
            ("Dockerfile.prod", Some(Format::Dockerfile)),
            ("app.dockerfile", Some(Format::Dockerfile)),
            (".env", Some(Format::Dotenv)),
            (".env.prod", Some(Format::Dotenv)),
            ("prod.env", Some(Format::Dotenv)),
            ("templates/_helpers.tpl", Some(Format::Template)),
            ("README.md", None),
            (".gitignore", None),
        ] {
            assert_eq!(Format::of(path), format, "{path}");
        }
        assert!(!Formats::default().contains(Format::Json));
        assert!(Formats::all().contains(Format::Template));
        assert_eq!("hcl".parse(), Ok(Format::Hcl));
        assert!("toml".parse::<Format>().is_err());
    }
}
