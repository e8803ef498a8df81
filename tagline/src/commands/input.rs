//! `-f`: the manifests a command works on.

use crate::exit::BadInput;
use crate::output::Output;
use crate::resources::{DEFAULT_NAMESPACE, LoadOptions, Resources, Source, load};
use tagline_updater::edit::{Format, Formats};

/// Where manifests come from.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct InputArgs {
    /// Manifests: a file, a directory (read recursively), or - for standard input; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    pub(crate) filename: Vec<String>,
    /// Namespace of objects that name none
    #[arg(short, long, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE, env = "TAGLINE_NAMESPACE")]
    pub(crate) namespace: String,
}

/// `--formats`: the kinds of files that a command on a directory looks at.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FormatArgs {
    /// Kinds of files to look at: yaml, json, hcl, dockerfile, dotenv, template (YAML that a template engine
    /// completes, read line by line); those of the `ImageUpdateAutomation`s given with -f where absent, else yaml
    #[arg(long, value_name = "FORMAT,...", value_delimiter = ',')]
    formats: Vec<Format>,
}

impl FormatArgs {
    /// What the flag says, else what the automations say.
    pub(crate) fn resolve(&self, resources: &Resources) -> Formats {
        if !self.formats.is_empty() {
            return self.formats.iter().copied().collect();
        }
        let asked = |format: Format| {
            resources
                .automations
                .values()
                .any(|automation| automation.spec.update.formats().contains(format))
        };
        Format::ALL
            .into_iter()
            .filter(|format| asked(*format))
            .fold(Formats::default(), Formats::with)
    }
}

impl InputArgs {
    /// Whether any manifests were named.
    pub(crate) fn is_given(&self) -> bool {
        !self.filename.is_empty()
    }

    /// The sources, with standard input read to its end.
    pub(crate) fn sources(&self) -> anyhow::Result<Vec<Source>> {
        if self.filename.iter().filter(|name| *name == "-").count() > 1 {
            return Err(BadInput::error(
                "-f - can be given only once: standard input can be read only once",
            ));
        }
        self.filename
            .iter()
            .map(|argument| {
                Source::from_argument(argument).map_err(|error| {
                    BadInput::error(format!("standard input cannot be read: {error}"))
                })
            })
            .collect()
    }

    /// How the sources are read.
    pub(crate) fn load_options(&self) -> LoadOptions {
        LoadOptions {
            default_namespace: self.namespace.clone(),
        }
    }

    /// Reads everything and tells what is wrong with it.
    pub(crate) fn load(&self, output: &Output) -> anyhow::Result<Resources> {
        Ok(self.load_from(&self.sources()?, output))
    }

    /// Reads everything from sources that are open already, and tells what is wrong with it.
    pub(crate) fn load_from(&self, sources: &[Source], output: &Output) -> Resources {
        let resources = load(sources, &self.load_options());
        for problem in &resources.problems {
            output.problem(problem);
        }
        resources
    }
}
