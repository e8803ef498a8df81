//! `tagline update`: writes chosen tags into a directory, without git.

use super::input::{FormatArgs, InputArgs};
use crate::cli::GlobalArgs;
use crate::exit::{BadInput, Exit};
use crate::output::{Output, counted_noun};
use crate::resources::{Groups, ObjectName, Resources};
use crate::service::Service;
use crate::settings::{RegistryArgs, ServiceArgs, Settings};
use crate::shutdown;
use serde::Serialize;
use std::path::PathBuf;
use tagline_policy::ImageReference;
use tagline_updater::directory::{self, DirectoryOptions, DirectoryUpdate};
use tagline_updater::edit::{EditOptions, SkipReason};
use tagline_updater::{Choices, PolicyName};

/// Flags of `tagline update`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A policy whose manifest has status.latestRef is taken at its word; the images of the others are scanned now.\n\nExamples:\n  tagline update -f policies/ --path .\n  tagline update -f policies/ --path . --dry-run --exit-code\n  kubectl get imagepolicies -A -o yaml | tagline update -f - --path . --offline"
)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    input: InputArgs,
    /// The directory, or one file
    #[arg(long, value_name = "DIR")]
    path: PathBuf,
    #[command(flatten)]
    formats: FormatArgs,
    /// Show what would change, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Exit with 3 when there are changes
    #[arg(long)]
    exit_code: bool,
    /// Scan nothing: policies without status.latestRef choose nothing
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// The result, as other programs rely on it.
#[derive(Debug, Serialize)]
struct Updated {
    changes: Vec<ChangeRow>,
    skipped: Vec<SkipRow>,
}

#[derive(Debug, Serialize)]
struct ChangeRow {
    file: String,
    line: usize,
    policy: String,
    old: String,
    new: String,
}

#[derive(Debug, Serialize)]
struct SkipRow {
    file: String,
    line: usize,
    reason: &'static str,
}

/// Updates.
pub(crate) fn run(args: &UpdateArgs, global: &GlobalArgs, output: &Output) -> anyhow::Result<Exit> {
    if !args.input.is_given() {
        return Err(BadInput::error("no policies: give them with -f"));
    }
    let resources = args.input.load(output)?;
    let formats = args.formats.resolve(&resources);
    let (choices, all_chose) = choices(args, global, resources, output)?;
    let options = DirectoryOptions {
        dry_run: args.dry_run,
        edit: EditOptions {
            formats,
            ..EditOptions::default()
        },
        ..DirectoryOptions::default()
    };
    let update = directory::update(&args.path, &choices, &options)
        .map_err(|error| BadInput::error(format!("--path {:#}", anyhow::Error::from(error))))?;
    tell_skipped(args, &update, output);
    let updated = Updated::new(&update);
    output.print(&updated, |_, output| {
        let mut diffs = update.files.iter().map(|file| file.diff.as_str());
        diffs.try_for_each(|diff| output.print_diff(diff))
    })?;
    if !update.files.is_empty() {
        let (values, files) = (updated.changes.len(), update.files.len());
        let verb = if args.dry_run {
            "would change"
        } else {
            "changed"
        };
        output.note(&format!(
            "{} in {} {verb}",
            counted_noun(values, "value"),
            counted_noun(files, "file")
        ));
    }
    Ok(exit(&update, all_chose, args.exit_code))
}

/// A file that could not be read or written may lack its change: a job must not pass over that.
fn exit(update: &DirectoryUpdate, all_chose: bool, tell_changes: bool) -> Exit {
    let out_of_reach = update
        .skipped
        .iter()
        .any(|(_, skip)| matches!(skip.reason, SkipReason::Unreadable | SkipReason::Unwritable));
    if !all_chose || out_of_reach {
        Exit::Failed
    } else if tell_changes && !update.files.is_empty() {
        Exit::ChangesFound
    } else {
        Exit::Done
    }
}

/// What every policy chose, and whether all did.
fn choices(
    args: &UpdateArgs,
    global: &GlobalArgs,
    mut resources: Resources,
    output: &Output,
) -> anyhow::Result<(Choices, bool)> {
    let mut choices = Choices::new();
    let names: Vec<ObjectName> = resources.image_policies.keys().cloned().collect();
    for refused in &resources.refused {
        if refused.key.kind == crate::resources::Kind::ImagePolicy {
            choices.insert_undecided(policy_name(&refused.key.name));
        }
    }
    let mut given = std::mem::take(&mut resources.given_choices);
    let mut complete = !resources.has_errors();
    let groups = Groups::of(&resources);
    // A group is taken at its word as a whole, or chosen anew as a whole.
    let to_scan: Vec<&ObjectName> = names
        .iter()
        .filter(|name| {
            let refused = groups
                .of_policy(name)
                .is_some_and(|group| !group.refused.is_empty());
            let mut members = groups.evaluated_with(name).into_iter();
            refused || !members.all(|member| given.contains_key(&member))
        })
        .collect();
    given.retain(|name, _| !to_scan.contains(&name));
    for (name, image) in given {
        choices.insert(policy_name(&name), image);
    }
    if to_scan.is_empty() {
        return Ok((choices, complete));
    }
    if args.offline {
        for name in to_scan {
            let whose = match groups.of_policy(name) {
                Some(group) => format!("ImagePolicy {name} or another of group {}", group.name),
                None => format!("ImagePolicy {name}"),
            };
            output.warning(&format!(
                "{whose} has no status.latestRef; its markers stay as they are"
            ));
            choices.insert_undecided(policy_name(name));
        }
        return Ok((choices, complete));
    }
    for (name, chosen) in scan_and_select(args, global, resources, &to_scan, output)? {
        match chosen {
            Ok(image) => choices.insert(policy_name(&name), image),
            Err(message) => {
                output.error(&format!("ImagePolicy {name}: {message}"));
                choices.insert_undecided(policy_name(&name));
                complete = false;
            }
        }
    }
    Ok((choices, complete))
}

type Chosen = Vec<(ObjectName, Result<ImageReference, String>)>;

fn scan_and_select(
    args: &UpdateArgs,
    global: &GlobalArgs,
    mut resources: Resources,
    wanted: &[&ObjectName],
    output: &Output,
) -> anyhow::Result<Chosen> {
    resources.automations.clear();
    resources
        .image_policies
        .retain(|name, _| wanted.contains(&name));
    let settings = Settings::resolve(global, &args.service, &args.registry, &resources)?;
    let store = super::ad_hoc::store(global)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cancel = shutdown::on_signal()?;
        let load_options = args.input.load_options();
        let mut service = Service::open(
            settings,
            store,
            Vec::new(),
            load_options,
            resources,
            cancel.clone(),
        )?;
        service
            .run_once(|total| output.progress().bar("scanning", total))
            .await?;
        if cancel.is_cancelled() {
            anyhow::bail!("interrupted");
        }
        Ok(service.choices())
    })
}

fn policy_name(name: &ObjectName) -> PolicyName {
    PolicyName::new(name.namespace.as_str(), name.name.as_str())
}

fn tell_skipped(args: &UpdateArgs, update: &DirectoryUpdate, output: &Output) {
    for (path, skip) in &update.skipped {
        let file = if args.path.is_dir() {
            args.path.join(path)
        } else {
            args.path.clone()
        };
        let what = match skip.reason {
            SkipReason::Unparsable | SkipReason::Unreadable | SkipReason::Unwritable => {
                "file left alone"
            }
            _ => "marker not followed",
        };
        output.warning(&format!(
            "{}:{}:{}: {what}: {}",
            file.display(),
            skip.line,
            skip.column,
            skip.detail
        ));
    }
}

impl Updated {
    fn new(update: &DirectoryUpdate) -> Self {
        Self {
            changes: update
                .files
                .iter()
                .flat_map(|file| {
                    file.changes.iter().map(|change| ChangeRow {
                        file: file.path.clone(),
                        line: change.line,
                        policy: change.policy.to_string(),
                        old: change.old.clone(),
                        new: change.new.clone(),
                    })
                })
                .collect(),
            skipped: update
                .skipped
                .iter()
                .map(|(file, skip)| SkipRow {
                    file: file.clone(),
                    line: skip.line,
                    reason: skip.reason.as_str(),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tagline_updater::edit::Skip;

    #[test]
    fn a_file_out_of_reach_fails_the_command() {
        let with = |reason| DirectoryUpdate {
            skipped: vec![(
                "a.yaml".to_owned(),
                Skip {
                    line: 1,
                    column: 1,
                    reason,
                    setter: None,
                    detail: String::new(),
                },
            )],
            ..DirectoryUpdate::default()
        };
        for (reason, expected) in [
            (SkipReason::Unwritable, Exit::Failed),
            (SkipReason::Unreadable, Exit::Failed),
            (SkipReason::Unparsable, Exit::Done),
            (SkipReason::UnknownPolicy, Exit::Done),
        ] {
            assert_eq!(exit(&with(reason), true, true), expected, "{reason:?}");
        }
        assert_eq!(exit(&DirectoryUpdate::default(), false, true), Exit::Failed);
    }
}
