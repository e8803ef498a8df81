//! `tagline select`: which tag does a policy choose, and why.

mod answers;
mod questions;
mod written_policy;

use super::input::InputArgs;
use crate::cli::GlobalArgs;
use crate::exit::{BadInput, Exit};
use crate::output::{Format, Output};
use crate::resources::Kind;
use crate::settings::RateArgs;
use answers::Answer;
use tagline_policy::{InvalidPolicy, Policy, PolicySpec, Tag};
use written_policy::WrittenPolicy;

/// Flags of `tagline select`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tagline select --semver '>=1.0.0' --tags tags.txt\n  tagline tags ghcr.io/org/app | tagline select --filter '^main-[a-f0-9]+-(?P<ts>[0-9]+)' --extract '$ts' --numerical asc --tags -\n  tagline select -f policies/ --policy apps/podinfo --explain\n  tagline select --suggest --tags tags.txt\n  tagline select --semver 1.x --together --image ghcr.io/org/api --image ghcr.io/org/web"
)]
pub(crate) struct SelectArgs {
    #[command(flatten)]
    input: InputArgs,
    /// The ImagePolicy of -f to ask, as NAME or NAMESPACE/NAME; all of them where absent
    #[arg(long, value_name = "NAME", requires = "filename")]
    policy: Option<String>,
    #[command(flatten)]
    written: WrittenPolicy,
    /// Tags to choose from: a file, or - for standard input; needs no network. May be repeated; with -f, POLICY=FILE is the
    /// list of one policy
    #[arg(long, value_name = "FILE")]
    tags: Vec<String>,
    /// An image whose tags are scanned now; may be repeated
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["tags", "filename"])]
    image: Vec<String>,
    /// Of several --image or --tags choose the newest version that all have
    #[arg(long, conflicts_with_all = ["filename", "suggest"])]
    together: bool,
    /// Show the verdict for every tag, or for one
    #[arg(long, value_name = "TAG", num_args = 0..=1)]
    #[expect(
        clippy::option_option,
        reason = "absent, without a tag, with one: as clap has it"
    )]
    explain: Option<Option<String>>,
    /// Look at the tags and propose policies for them
    #[arg(long, conflicts_with_all = ["filename", "explain"])]
    suggest: bool,
    /// The tag in use now, for --never-downgrade and --same-shape
    #[arg(long, value_name = "TAG")]
    current: Option<String>,
    /// Allow plain http for --image
    #[arg(long, requires = "image")]
    insecure: bool,
    #[command(flatten)]
    registry: RateArgs,
}

/// Selects.
pub(crate) fn run(args: &SelectArgs, global: &GlobalArgs, output: &Output) -> anyhow::Result<Exit> {
    let ended = select(args, global, output);
    let Some(invalid) = ended
        .as_ref()
        .err()
        .and_then(|error| error.downcast_ref::<InvalidPolicy>())
    else {
        return ended;
    };
    output.error(&invalid.to_string());
    if output.format() != Format::Table {
        let answer = Answer::none("invalid-policy", invalid.message());
        answers::print_one(&answer, output)?;
    }
    Ok(Exit::BadInput)
}

fn select(args: &SelectArgs, global: &GlobalArgs, output: &Output) -> anyhow::Result<Exit> {
    let written = args.written.to_spec()?;
    if args.input.is_given() && written.is_some() {
        return Err(BadInput::error(
            "give either -f or a policy as flags (--semver and the like), not both",
        ));
    }
    if args.suggest {
        return suggest(args, global, output);
    }
    let current = args
        .current
        .as_deref()
        .map(Tag::new)
        .transpose()
        .map_err(|error| BadInput::error(format!("--current: {error}")))?;
    let mut refused = false;
    let questions = if let Some(spec) = written {
        questions::of_flags(&spec, current.as_ref(), args, global, output)?
    } else if args.input.is_given() {
        let resources = args.input.load(output)?;
        refused = args.policy.is_none()
            && resources
                .refused
                .iter()
                .any(|refused| refused.key.kind == Kind::ImagePolicy);
        questions::of_files(&resources, current.as_ref(), args, global, output)?
    } else {
        return Err(BadInput::error(
            "no policy: give -f with an ImagePolicy, or one of --semver, --alphabetical, --numerical, --glob, --natural, --created, --first-seen, --sortable (or --suggest)",
        ));
    };
    let mut answers: Vec<Answer> = answers::ask(&questions, args.explain.is_some())
        .into_iter()
        .zip(&questions)
        .filter(|(_, question)| question.wanted)
        .map(|(answer, _)| answer)
        .collect();
    if let Some(Some(only)) = &args.explain {
        keep_verdicts_of(only, &mut answers)?;
    }
    let failed = answers.iter().any(|answer| answer.tag.is_none());
    if let [answer] = answers.as_mut_slice() {
        answer.policy = None;
        answers::print_one(answer, output)?;
    } else {
        answers::print_several(&answers, output)?;
    }
    Ok(match (refused, failed) {
        (true, _) => Exit::BadInput,
        (false, true) => Exit::Failed,
        (false, false) => Exit::Done,
    })
}

fn keep_verdicts_of(tag: &str, answers: &mut [Answer]) -> anyhow::Result<()> {
    let mut found = false;
    for verdicts in answers
        .iter_mut()
        .filter_map(|answer| answer.verdicts.as_mut())
    {
        verdicts.retain(|verdict| verdict.tag.as_str() == tag);
        found |= !verdicts.is_empty();
    }
    if found || answers.iter().all(|answer| answer.verdicts.is_none()) {
        return Ok(());
    }
    Err(BadInput::error(format!(
        "--explain {tag}: no such tag in the list"
    )))
}

fn suggest(args: &SelectArgs, global: &GlobalArgs, output: &Output) -> anyhow::Result<Exit> {
    // Any policy will do: it only says which times are looked up.
    let any = Policy::compile(&PolicySpec::semver("*"))
        .map_err(|error| BadInput::error(error.to_string()))?;
    let lists = questions::lists_of_flags(&any, args, global, output)?;
    match lists.as_slice() {
        [(_, Ok(tags))] => super::suggest::run(tags, output),
        [(_, Err(no_tags))] => Err(anyhow::anyhow!("{}", no_tags.message)),
        _ => Err(BadInput::error("--suggest looks at one list of tags")),
    }
}
