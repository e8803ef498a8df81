//! `tagline run`: the service on manifest files.

use super::input::InputArgs;
use crate::cli::GlobalArgs;
use crate::exit::{BadInput, Exit};
use crate::manifest::Severity;
use crate::output::{BAD, Column, DIM, GOOD, Output, Table, WARN, colored_diff, counted_noun};
use crate::resources::FileWatch;
use crate::service::{ObjectState, Report, Service};
use crate::settings::{RegistryArgs, ServiceArgs, SettingsSource};
use crate::shutdown;
use std::io::Write;

/// Flags of `tagline run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tagline run -f clusters/prod\n  tagline run --once -f clusters/prod -o json\n  kubectl kustomize DIR | tagline run -f -"
)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Ask every target now, write what is to be written, print what was done, and end
    #[arg(long)]
    once: bool,
    /// With --once: scan and choose, but push nothing and change no pull request; print what would be
    #[arg(long, requires = "once")]
    dry_run: bool,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Runs.
pub(crate) fn run(args: &RunArgs, global: &GlobalArgs, output: &Output) -> anyhow::Result<Exit> {
    if !args.input.is_given() {
        return Err(BadInput::error(
            "nothing to run: give files or directories with -f",
        ));
    }
    let sources = args.input.sources()?;
    let watch = (!args.once).then(|| FileWatch::start(&sources));
    let resources = args.input.load_from(&sources, output);
    if resources.is_empty() && args.once {
        return Err(BadInput::error(
            "there is no usable object in the files given with -f",
        ));
    }
    let faulty = resources
        .problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    let source = SettingsSource {
        global: global.clone(),
        service: args.service.clone(),
        registry: args.registry.clone(),
    };
    let settings = source.resolve(&resources)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let load_options = args.input.load_options();
    let store = super::ad_hoc::open_store(&settings.storage_path)?;
    runtime.block_on(async {
        let cancel = shutdown::on_signal()?;
        let mut service = Service::open(
            settings,
            store,
            sources,
            load_options,
            resources,
            cancel.clone(),
        )?;
        if !args.once {
            service.follow_settings(source);
            if let Some(watch) = watch {
                service.follow_files(watch);
            }
            tracing::info!("running; send SIGTERM or press Ctrl-C to end");
            service.run().await?;
            return Ok(Exit::Done);
        }
        if args.dry_run {
            service.only_look();
        }
        service
            .run_once(|total| output.progress().bar("scanning", total))
            .await?;
        if cancel.is_cancelled() {
            return Err(anyhow::anyhow!("interrupted before the pass was complete"));
        }
        let report = service.report();
        output.print(&report, |out, _| table(&report, out))?;
        Ok(if faulty || report.has_failures() {
            Exit::Failed
        } else {
            Exit::Done
        })
    })
}

/// Writes one row per object.
pub(crate) fn table(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    let mut table = Table::new([
        Column::Left("KIND"),
        Column::Left("NAME"),
        Column::Left("STATE"),
        Column::Left("REASON"),
        Column::Flexible("RESULT"),
        Column::Flexible("MESSAGE"),
    ]);
    for object in &report.objects {
        let (word, style) = match object.state {
            ObjectState::Ready => ("Ready", GOOD),
            ObjectState::Failed => ("Failed", BAD),
            ObjectState::Unknown => ("Unknown", WARN),
            ObjectState::Suspended => ("Suspended", DIM),
            ObjectState::LeftOut => ("LeftOut", DIM),
        };
        table
            .row()
            .cell(object.kind.as_str())
            .cell(format!("{}/{}", object.namespace, object.name))
            .styled(word, style)
            .cell(&object.reason)
            .cell(&object.result)
            .cell(if object.state == ObjectState::Ready {
                ""
            } else {
                &object.message
            });
    }
    table.write(out)?;
    let others: usize = report.passed_over.values().sum();
    if others > 0 {
        let others = counted_noun(others, "document");
        writeln!(out, "{DIM}{others} of other kinds passed over{DIM:#}")?;
    }
    for object in &report.objects {
        for push in &object.pushes {
            if let Some(patch) = &push.patch {
                writeln!(
                    out,
                    "\nwould be pushed to {} of {}:",
                    push.branch, push.remote
                )?;
                colored_diff(out, patch)?;
            }
        }
        for action in &object.pull_request_plan {
            writeln!(out, "would {action}")?;
        }
    }
    Ok(())
}
