//! The service: keeps scanning, choosing and committing as the manifests ask.
//!
//! One task owns all state and decides; scans, evaluations and runs of the updater are tasks of their own
//! that report back to it. Nothing is locked.
//!
//! ```text
//! reload ─> schedule ─> scan ─> evaluate ─> publish ─> propose
//!    files     due         registry  policy      git       forge
//! ```

pub(crate) mod access_rules;
mod back_off;
mod created_times;
mod evaluate;
mod evaluate_group;
pub(crate) mod forge_access;
mod garbage;
pub(crate) mod git_access;
mod image_sources;
mod proposing;
mod publish;
mod publish_run;
mod publishing;
mod pull_requests;
mod push_branches;
pub(crate) mod registry_access;
mod reload;
mod report;
pub(crate) mod requests;
mod scan_mode;
mod scanning;
mod selecting;
mod settings_change;
mod state;
mod status;
mod steering;
mod targets;
mod timers;

pub(crate) use created_times::{candidate, created_times};
pub(crate) use report::{ObjectState, Report};
pub(crate) use status::Failure;

use crate::output::Bar;
use crate::resources::{
    CannotWatch, FileWatch, Groups, Kind, LoadOptions, ObjectName, Resources, Source, load,
};
use crate::settings::{Settings, SettingsSource};
use image_sources::ImageSources;
use jiff::{SignedDuration, Timestamp};
use state::{AutomationState, Done, States, StatusMemory};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tagline_scanner::{Batch, Clock, Scanner, Schedule, TagStore, TargetKey};
use tagline_updater::forge::Forges;
use tagline_updater::git::Mirrors;
use targets::Targets;
use timers::Timers;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// Evaluations at the same time: they hold tag lists in memory.
const EVALUATIONS_AT_ONCE: usize = 32;
/// Runs of the updater at the same time.
const PUBLISHES_AT_ONCE: usize = 4;
/// How long a clean end may take before what still runs is dropped.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// The running service.
pub(crate) struct Service {
    settings: Settings,
    /// Where changed settings come from; `None` where they do not change.
    settings_source: Option<SettingsSource>,
    /// When to look for what nobody asks for any more.
    next_collection: Timestamp,
    sources: Vec<Source>,
    watch: Option<Result<FileWatch, CannotWatch>>,
    load_options: LoadOptions,
    clock: Clock,
    scanner: Scanner,
    store: TagStore,
    memory: StatusMemory,
    resources: Arc<Resources>,
    targets: Targets,
    /// Policies that move together.
    groups: Groups,
    schedule: Schedule,
    states: States,
    timers: Timers,
    /// Changes of a target's tags that this process has seen.
    tag_versions: HashMap<TargetKey, u64>,
    /// Policies that are to be evaluated.
    dirty_policies: BTreeSet<ObjectName>,
    /// Tags that came and went with a target's last change, until its policies have seen them.
    last_changes: HashMap<TargetKey, scanning::LastChange>,
    /// Automations that are to run.
    due_automations: BTreeSet<ObjectName>,
    mirrors: Mirrors,
    /// Remotes that a run is working on.
    busy_remotes: BTreeSet<String>,
    tasks: JoinSet<Done>,
    task_subjects: HashMap<Id, Subject>,
    evaluations: usize,
    publishes: usize,
    /// Automations whose pull requests are being worked on.
    proposals: usize,
    /// Nothing is pushed, no pull request changed, and nothing of it remembered.
    dry_run: bool,
    forges: Forges,
    image_sources: ImageSources,
    unwritten: Batch,
    writing: bool,
    /// Requests of other processes that are being followed.
    taken: steering::Taken,
    cancel: CancellationToken,
    pass: Option<Pass>,
}

/// What a task is about, to know what to do when it panics.
enum Subject {
    /// Policies that are evaluated together.
    Policies(Vec<ObjectName>),
    Target(TargetKey),
    /// Automations that run together.
    Automations {
        names: Vec<ObjectName>,
        remote: String,
    },
    /// The pull requests of an automation.
    PullRequests(ObjectName),
    Store,
    Garbage,
}

/// One full pass: what is left of it.
struct Pass {
    /// Targets that are still to be scanned.
    targets: BTreeSet<TargetKey>,
    /// Automations have been started.
    automations_started: bool,
    bar: Bar,
}

impl Service {
    /// Reads what the last run left in the store, and takes over what the manifests say.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn open(
        settings: Settings,
        store: TagStore,
        sources: Vec<Source>,
        load_options: LoadOptions,
        resources: Resources,
        cancel: CancellationToken,
    ) -> anyhow::Result<Self> {
        let clock: Clock = Arc::clone(&settings.scanner.clock);
        let now = clock();
        let schedule_options = settings_change::schedule_options(&settings);
        let scanner = Scanner::new(settings.scanner.clone(), store.clone());
        let image_sources = ImageSources::new(scanner.clone(), &store);
        let mut service = Self {
            sources,
            watch: None,
            load_options,
            clock,
            scanner,
            memory: StatusMemory::new(&store),
            store,
            resources: Arc::new(Resources::default()),
            targets: Targets::default(),
            groups: Groups::default(),
            schedule: Schedule::new(schedule_options, now),
            states: States::default(),
            timers: Timers::default(),
            tag_versions: HashMap::new(),
            dirty_policies: BTreeSet::new(),
            last_changes: HashMap::new(),
            due_automations: BTreeSet::new(),
            mirrors: Mirrors::new(&settings.storage_path),
            busy_remotes: BTreeSet::new(),
            tasks: JoinSet::new(),
            task_subjects: HashMap::new(),
            evaluations: 0,
            publishes: 0,
            proposals: 0,
            dry_run: false,
            forges: Forges::default(),
            image_sources,
            unwritten: Batch::new(),
            writing: false,
            taken: steering::Taken::default(),
            cancel,
            pass: None,
            settings,
            settings_source: None,
            next_collection: garbage::first_collection(now),
        };
        service.apply(resources)?;
        Ok(service)
    }

    /// Takes over a watch of the manifests that was started before they were read, so that no change is missed
    /// in between.
    pub(crate) fn follow_files(&mut self, watch: Result<FileWatch, CannotWatch>) {
        self.watch = Some(watch);
    }

    /// Runs until it is cancelled.
    ///
    /// # Errors
    /// When the store fails for good.
    pub(crate) async fn run(&mut self) -> anyhow::Result<()> {
        let watch = self.watch.take();
        let mut watch = watch
            .unwrap_or_else(|| FileWatch::start(&self.sources))
            .inspect_err(|error| tracing::warn!("{error}"))
            .ok();
        // Without it, requests are looked for whenever something is due.
        let mut asked = requests::directory(&self.settings.storage_path)
            .ok()
            .and_then(|directory| FileWatch::start(&[Source::Path(directory)]).ok());
        self.take_requests();
        loop {
            self.start_what_is_due();
            let wakeup = self.next_wakeup();
            let cancel = self.cancel.clone();
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(done) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.take(done),
                () = tokio::time::sleep(wakeup) => if asked.is_none() { self.take_requests() },
                () = changed(&mut asked) => self.take_requests(),
                () = changed(&mut watch) => self.reload().await,
            }
        }
        self.shut_down().await;
        Ok(())
    }

    /// From now on automations say what they would do, and do nothing.
    pub(crate) const fn only_look(&mut self) {
        self.dry_run = true;
    }

    /// Asks every target now, evaluates every policy, runs every automation, and ends.
    ///
    /// # Errors
    /// When the store fails for good.
    pub(crate) async fn run_once(&mut self, bar: impl FnOnce(usize) -> Bar) -> anyhow::Result<()> {
        let now = (self.clock)();
        let targets: BTreeSet<TargetKey> = self.targets.by_key.keys().cloned().collect();
        for key in &targets {
            self.schedule.request(key, now);
        }
        let bar = bar(targets.len());
        self.pass = Some(Pass {
            targets,
            automations_started: false,
            bar,
        });
        self.take_requests();
        self.due_automations.clear();
        loop {
            self.start_what_is_due();
            if self.pass_is_over() {
                break;
            }
            let wakeup = self.next_wakeup();
            let cancel = self.cancel.clone();
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(done) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.take(done),
                () = tokio::time::sleep(wakeup) => {}
            }
        }
        if !self.cancel.is_cancelled() {
            self.start_collection(self.now());
        }
        self.shut_down().await;
        self.pass = None;
        Ok(())
    }

    fn pass_is_over(&mut self) -> bool {
        let scanned_and_chosen = self.evaluations == 0 && self.dirty_policies.is_empty();
        let Some(pass) = &mut self.pass else {
            return false;
        };
        if !pass.targets.is_empty() || !scanned_and_chosen {
            return false;
        }
        if !pass.automations_started {
            pass.automations_started = true;
            self.due_automations = self
                .states
                .automations
                .iter()
                .filter(|(_, state)| !state.object.spec.suspend)
                .map(|(name, _)| name.clone())
                .collect();
            self.start_publishes();
        }
        self.publishes == 0 && self.proposals == 0 && self.due_automations.is_empty()
    }

    fn start_what_is_due(&mut self) {
        let now = (self.clock)();
        self.start_scans(now);
        while let Some(object) = self.timers.pop(now) {
            match object.kind {
                Kind::ImagePolicy => {
                    self.dirty_policies.insert(object.name);
                }
                Kind::ImageUpdateAutomation if self.pass.is_none() => {
                    self.automation_is_due(object.name, now);
                }
                _ => {}
            }
        }
        self.start_evaluations(now);
        if self
            .pass
            .as_ref()
            .is_none_or(|pass| pass.automations_started)
        {
            self.start_publishes();
        }
        if self.pass.is_none() && now >= self.next_collection {
            self.start_collection(now);
        }
        self.start_writing();
    }

    fn next_wakeup(&mut self) -> Duration {
        /// Never sleep longer: a clock that is set back must not stop the service for long.
        const LONGEST: SignedDuration = SignedDuration::from_secs(60);
        let now = (self.clock)();
        let next = [self.schedule.next_wakeup(now), self.timers.next()]
            .into_iter()
            .flatten()
            .min();
        let pause = next
            .map_or(LONGEST, |next| next.duration_since(now))
            .min(LONGEST);
        Duration::try_from(pause)
            .unwrap_or(Duration::ZERO)
            .max(Duration::from_millis(1))
    }

    fn spawn(&mut self, subject: Subject, task: impl Future<Output = Done> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.task_subjects.insert(id, subject);
    }

    fn take(&mut self, done: Result<(Id, Done), tokio::task::JoinError>) {
        match done {
            Ok((id, done)) => {
                self.task_subjects.remove(&id);
                match done {
                    Done::Scanned(key, result) => self.take_scan(&key, result),
                    Done::Evaluated(evaluated) => self.take_evaluations(evaluated),
                    Done::Published(runs, started) => self.take_publish(runs, started),
                    Done::Collected(result) => garbage::tell(&result),
                    Done::Proposed(name, proposed) => self.take_proposal(&name, proposed),
                    Done::Stored(result) => {
                        self.writing = false;
                        match result {
                            Ok(()) => self.taken.stored(),
                            Err(error) => tracing::error!(%error, "state cannot be written"),
                        }
                    }
                }
            }
            Err(error) => self.take_panic(&error),
        }
    }

    /// A task that panicked is a defect of ours; the rest goes on, and its object is tried again.
    fn take_panic(&mut self, error: &tokio::task::JoinError) {
        let Some(subject) = self.task_subjects.remove(&error.id()) else {
            return;
        };
        match subject {
            Subject::Target(key) => {
                tracing::error!(target = %key, %error, "the scan stopped unexpectedly; please report this");
                self.scan_stopped(&key);
            }
            Subject::Policies(policies) => {
                let names: Vec<String> = policies.iter().map(ToString::to_string).collect();
                tracing::error!(policies = names.join(", "), %error, "the evaluation stopped unexpectedly; please report this");
                self.evaluations -= 1;
                let failure = Failure::retried("Failure", "the work stopped unexpectedly");
                for policy in &policies {
                    self.policy_failed(policy, &failure);
                }
            }
            Subject::Automations { names, remote } => {
                tracing::error!(%remote, %error, "the run stopped unexpectedly; please report this");
                self.publishes -= 1;
                self.busy_remotes.remove(&remote);
                let failure = Failure::retried("Failure", "the run stopped unexpectedly");
                for name in names {
                    self.automation_failed(&name, &failure);
                }
            }
            Subject::PullRequests(name) => {
                let object = state::automation_key(&name);
                tracing::error!(%object, %error, "the work on pull requests stopped unexpectedly; please report this");
                self.proposal_stopped(&name);
            }
            Subject::Store => self.writing = false,
            Subject::Garbage => {
                tracing::error!(%error, "forgetting stopped unexpectedly; please report this");
            }
        }
    }

    fn start_writing(&mut self) {
        if self.writing || self.unwritten.is_empty() {
            return;
        }
        self.writing = true;
        self.taken.store();
        let batch = std::mem::take(&mut self.unwritten);
        let store = self.store.clone();
        self.spawn(Subject::Store, async move {
            Done::Stored(store.write(batch).await)
        });
    }

    fn write(&mut self, change: impl FnOnce(Batch) -> Batch) {
        let batch = std::mem::take(&mut self.unwritten);
        self.unwritten = change(batch);
    }

    async fn shut_down(&mut self) {
        let interrupted = self.cancel.is_cancelled();
        let deadline = tokio::time::Instant::now() + SHUTDOWN_PATIENCE;
        if interrupted {
            tracing::info!(running = self.tasks.len(), "waiting for what is running");
        }
        loop {
            self.start_writing();
            if self.tasks.is_empty() {
                return;
            }
            match tokio::time::timeout_at(deadline, self.tasks.join_next_with_id()).await {
                Ok(Some(done)) => self.take(done),
                Ok(None) => return,
                Err(_) => {
                    tracing::warn!(
                        running = self.tasks.len(),
                        "ending without waiting any longer"
                    );
                    self.tasks.abort_all();
                    return;
                }
            }
        }
    }

    async fn reload(&mut self) {
        let (sources, options) = (self.sources.clone(), self.load_options.clone());
        match tokio::task::spawn_blocking(move || load(&sources, &options)).await {
            Ok(resources) => {
                for problem in &resources.problems {
                    match problem.severity {
                        crate::manifest::Severity::Error => tracing::error!("{problem}"),
                        crate::manifest::Severity::Warning => tracing::warn!("{problem}"),
                    }
                }
                if let Err(error) = self.apply(resources) {
                    tracing::error!("the changed files cannot be taken over: {error:#}");
                }
            }
            Err(error) => tracing::error!(%error, "the changed files cannot be read"),
        }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn automation_mut(&mut self, name: &ObjectName) -> Option<&mut AutomationState> {
        self.states.automations.get_mut(name)
    }
}

async fn changed(watch: &mut Option<FileWatch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}
