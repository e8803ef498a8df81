//! `tagline reconcile`: asks the service of a storage path to do something now.

use crate::cli::GlobalArgs;
use crate::exit::{BadInput, Exit};
use crate::output::Output;
use crate::resources::{DEFAULT_NAMESPACE, Span};
use crate::service::requests::{self, Answer, Request, Steered};
use crate::settings::default_storage_path;
use anyhow::Context as _;
use serde::Serialize;
use std::time::{Duration, Instant};
use tagline_updater::{PolicyName, ReleaseHolds};

/// How often an answer is looked for.
const POLL: Duration = Duration::from_millis(20);
/// What `--release-hold` without a policy means.
const ALL: &str = "*";

/// Flags of `tagline reconcile`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The service is the one that runs on --storage-path. While none runs, the request waits there for the \
                  next `tagline run`, also one with --once.\n\nExamples:\n  tagline reconcile update fleet -n apps\n  \
                  tagline reconcile update fleet -n apps --release-hold=web"
)]
pub(crate) struct ReconcileArgs {
    /// What sort of object
    kind: Steered,
    /// The object's name
    name: String,
    /// The object's namespace
    #[arg(short, long, default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    /// Write again what a person took back in git; with =POLICY only what that policy chose
    #[arg(
        long,
        value_name = "POLICY",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ALL
    )]
    release_hold: Vec<String>,
    /// How long to wait for a running service to take the request
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = span)]
    timeout: Span,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Result {
    kind: &'static str,
    namespace: String,
    name: String,
    /// Whether a running service has taken it; it waits otherwise.
    taken: bool,
}

/// Hands the request in and waits for a moment.
pub(crate) fn run(
    args: &ReconcileArgs,
    global: &GlobalArgs,
    output: &Output,
) -> anyhow::Result<Exit> {
    let storage = global
        .storage_path
        .clone()
        .unwrap_or_else(default_storage_path);
    if !storage.is_dir() {
        return Err(BadInput::error(format!(
            "--storage-path {}: there is no such directory, so no service has run there yet",
            storage.display()
        )));
    }
    let request = Request {
        kind: args.kind,
        namespace: args.namespace.clone(),
        name: args.name.clone(),
        release_holds: release(args)?,
    };
    let submitted = requests::submit(&storage, &request)
        .with_context(|| format!("cannot write a request below {}", storage.display()))?;
    let until = Instant::now() + args.timeout.0;
    let answer = loop {
        let answer = submitted.answer().context("the answer cannot be read")?;
        if answer.is_some() || Instant::now() >= until {
            break answer;
        }
        std::thread::sleep(POLL);
    };
    if let Some(Answer::Refused(reason)) = answer {
        return Err(BadInput::error(reason));
    }
    let result = Result {
        kind: args.kind.kind().as_str(),
        namespace: request.namespace,
        name: request.name,
        taken: answer.is_some(),
    };
    output.print(&result, |out, _| {
        let object = format!("{} {}/{}", result.kind, result.namespace, result.name);
        if result.taken {
            writeln!(out, "{object}: the service is working on it")
        } else {
            writeln!(
                out,
                "{object}: no service has taken the request on {} yet; it waits there for the next one",
                storage.display()
            )
        }
    })?;
    Ok(Exit::Done)
}

fn span(text: &str) -> std::result::Result<Span, String> {
    Span::parse_with_days(text).map_err(|error| error.to_string())
}

fn release(args: &ReconcileArgs) -> anyhow::Result<ReleaseHolds> {
    if args.release_hold.is_empty() {
        return Ok(ReleaseHolds::None);
    }
    if args.kind != Steered::Update {
        return Err(BadInput::error(
            "--release-hold: only an update holds something back; write: tagline reconcile update NAME --release-hold",
        ));
    }
    if args.release_hold.iter().any(|policy| policy == ALL) {
        return Ok(ReleaseHolds::All);
    }
    let policies = args.release_hold.iter().map(|policy| {
        let (namespace, name) = policy
            .split_once('/')
            .unwrap_or((args.namespace.as_str(), policy));
        PolicyName::new(namespace, name)
    });
    Ok(ReleaseHolds::Policies(policies.collect()))
}
