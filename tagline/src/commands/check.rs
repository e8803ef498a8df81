//! `tagline check`: everything that can be found wrong without any network.

use super::input::{FormatArgs, InputArgs};
use crate::exit::{BadInput, Exit};
use crate::manifest::{Place, Position, Problem, Severity, nearest};
use crate::output::{BAD, GOOD, Output, counted_noun};
use crate::resources::{
    GitRepositorySpec, ImageUpdateAutomationSpec, Kind, Object, ObjectName, Resources, into_itself,
    load,
};
use crate::service::registry_access::{self, CloudLogins};
use crate::service::{Failure, forge_access, git_access};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tagline_scanner::Clock;
use tagline_updater::directory::{self, DirectoryOptions};
use tagline_updater::edit::{EditOptions, Formats, Skip, SkipReason};
use tagline_updater::forge::Forges;
use tagline_updater::{Choices, PolicyName};

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
    #[command(flatten)]
    formats: FormatArgs,
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
    problems.extend(unusable_access(&resources));
    if let Some(path) = &args.path {
        problems.extend(markers(path, &resources, args.formats.resolve(&resources))?);
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
        writeln!(out, "{}: {what}", counted_noun(report.files, "file"))?;
        let others: usize = report.passed_over.values().sum();
        if others > 0 {
            writeln!(
                out,
                "{} of other kinds passed over",
                counted_noun(others, "document")
            )?;
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
    if count == 0 {
        String::new()
    } else {
        format!(": {}", counted_noun(count, what))
    }
}

/// Secrets that cannot be used as what an object refers to them for. References that lead nowhere have been told.
fn unusable_access(resources: &Resources) -> Vec<Problem> {
    let (forges, clock) = (Forges::default(), Arc::new(Timestamp::now) as Clock);
    let clouds = CloudLogins::new(Arc::clone(&clock));
    let mut problems = Vec::new();
    for object in resources
        .image_repositories
        .values()
        .filter(|object| all_there(object, resources))
    {
        if let Err(failure) = registry_access::access(object, resources, &clouds) {
            problems.push(access_problem(object, &failure));
        }
    }
    for object in resources
        .git_repositories
        .values()
        .filter(|object| all_there(object, resources))
    {
        let timeout = Duration::from_mins(1);
        if let Err(failure) = git_access::access(object, resources, timeout, &forges, &clock) {
            problems.push(access_problem(object, &failure));
        }
    }
    problems.extend(unusable_forges(resources, &forges, &clock));
    problems
}

/// Pull requests whose forge cannot be told, or whose Secret cannot be used there.
fn unusable_forges(resources: &Resources, forges: &Forges, clock: &Clock) -> Vec<Problem> {
    let mut problems = Vec::new();
    for object in resources
        .automations
        .values()
        .filter(|object| all_there(object, resources))
    {
        let own = object.key.name.namespace.as_str();
        let source = &object.spec.source_ref;
        let source = ObjectName::new(
            source.namespace.as_deref().unwrap_or(own),
            source.name.as_str(),
        );
        let spec = object.spec.git.as_ref();
        let Some(spec) = spec.and_then(|git| git.pull_request.as_ref()) else {
            continue;
        };
        let Some(repository) = resources
            .git_repositories
            .get(&source)
            .filter(|repository| all_there(repository, resources))
        else {
            continue;
        };
        if let Some(message) = merges_into_itself(object, repository) {
            problems.push(Problem::error(object.place.clone(), message).of(&object.key).help(
                "name a branch of its own in spec.git.push.branch, or leave it out for tagline/NAMESPACE/NAME",
            ));
        }
        if let Err(failure) =
            forge_access::connection(object, spec, repository, resources, forges, clock)
        {
            let secret = object
                .references
                .iter()
                .find(|reference| reference.field.contains("pullRequest"));
            let place = match secret.or(object.references.first()) {
                Some(reference) => Place::new(Arc::clone(&object.place.file), reference.at),
                None => object.place.clone(),
            };
            problems.push(Problem::error(place, failure.message).of(&object.key));
        }
    }
    problems
}

/// Whether the push branch is what the `GitRepository` checks out; one object alone has been looked at when it was read.
fn merges_into_itself(
    automation: &Object<ImageUpdateAutomationSpec>,
    repository: &Object<GitRepositorySpec>,
) -> Option<String> {
    let git = automation.spec.git.as_ref()?;
    let named = git.pull_request.as_ref()?.base.is_some() || git.checkout.is_some();
    let checkout = repository.spec.reference.as_ref()?.branch.as_deref()?;
    let push = git.push.as_ref()?.branch.as_deref()?;
    (!named && push == checkout).then(|| format!("spec.git.push.branch: {}", into_itself(push)))
}

fn all_there<S>(object: &Object<S>, resources: &Resources) -> bool {
    object
        .references
        .iter()
        .all(|reference| resources.contains(&reference.target))
}

fn access_problem<S>(object: &Object<S>, failure: &Failure) -> Problem {
    let place = match object.references.first() {
        Some(reference) => Place::new(Arc::clone(&object.place.file), reference.at),
        None => object.place.clone(),
    };
    Problem::error(place, failure.message.clone()).of(&object.key)
}

/// The sentence of an error that begins with its own place.
fn without_place(detail: &str) -> &str {
    detail
        .split_once(": ")
        .map_or(detail, |(_, sentence)| sentence)
}

/// Markers in a directory that name no policy, and files that cannot be edited.
fn markers(path: &Path, resources: &Resources, formats: Formats) -> anyhow::Result<Vec<Problem>> {
    let mut choices = Choices::new();
    let refused = resources.refused.iter().map(|refused| &refused.key);
    let policies = resources.image_policies.values().map(|policy| &policy.key);
    let mut known: Vec<String> = Vec::new();
    for key in policies
        .chain(refused)
        .filter(|key| key.kind == Kind::ImagePolicy)
    {
        choices.insert_undecided(PolicyName::new(
            key.name.namespace.as_str(),
            key.name.name.as_str(),
        ));
        known.push(format!("{}:{}", key.name.namespace, key.name.name));
    }
    let options = DirectoryOptions {
        dry_run: true,
        edit: EditOptions {
            formats,
            ..EditOptions::default()
        },
        ..DirectoryOptions::default()
    };
    let update = directory::update(path, &choices, &options)
        .map_err(|error| BadInput::error(format!("--path {:#}", anyhow::Error::from(error))))?;
    let whole_directory = path.is_dir();
    let problem = |(file, skip): (String, Skip)| {
        let file = if whole_directory {
            path.join(file)
        } else {
            path.to_owned()
        };
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let at = Position {
            line: count(skip.line),
            column: count(skip.column),
        };
        let place = Place::new(file, at);
        let problem = match skip.reason {
            // Every policy is undecided here: this one is known.
            SkipReason::NoChoice => return None,
            SkipReason::UnknownPolicy => {
                let setter = skip.setter.unwrap_or_default();
                let name: String = setter.splitn(3, ':').take(2).collect::<Vec<_>>().join(":");
                let help = match nearest(&name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => "add the ImagePolicy to the files given with -f, or correct the marker"
                        .to_owned(),
                };
                Problem::error(
                    place,
                    format!("the marker names ImagePolicy {name:?}, which does not exist"),
                )
                .help(help)
            }
            SkipReason::Unparsable => Problem::error(place, without_place(&skip.detail))
                .help("correct the syntax; until then the file's markers are not followed"),
            SkipReason::MalformedMarker => Problem::error(place, skip.detail)
                .help("write for example # {\"$imagepolicy\": \"namespace:policy\"}"),
            _ => Problem::warning(place, skip.detail),
        };
        Some(problem)
    };
    Ok(update.skipped.into_iter().filter_map(problem).collect())
}
