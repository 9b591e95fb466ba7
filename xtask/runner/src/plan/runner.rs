//! Carries a plan out: the one place where steps act.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use super::action::{Action, Native, NoNative};
use super::audit;
use super::fingerprint;
use super::journal::{Done, Journal};
use super::leftovers;
use super::lock::{self, Holder, Lock, user_name};
use super::log::{self, StepLog};
use super::mask::{Mask, Outputs};
use super::perform::{Perform, StepContext, Stopped, Supervision, perform};
use super::report::{Outcome, Report, Status, StepReport};
use super::show::Show;
use super::step::{OnFailure, Plan, Step, StepId};
use super::target::Target;
use foundation::clock::{millis, now_ms, utc};
use foundation::exit::refused;
use foundation::files;
use foundation::interrupt::Interrupt;
use foundation::processes::host_name;
use foundation::program_name::command_line;

/// How plans are carried out. Write `Runner { jobs: .., ..Runner::new(target, interrupt, native) }`.
pub struct Runner<'a, N = NoNative> {
    pub target: &'a Target,
    /// The command as typed, for the lock and the audit log.
    pub command: String,
    /// At most so many steps at the same time; [`cores`] is a good number.
    pub jobs: usize,
    /// After a failure, steps that do not need the failed one still run.
    pub keep_going: bool,
    /// Milliseconds from TERM to KILL for the programs of steps.
    pub grace_ms: u64,
    /// [`Interrupt::listen`], or one of a test.
    pub interrupt: Interrupt,
    pub show: Show,
    /// Carries out the native actions of the plan.
    pub native: &'a Perform<'a, N>,
    /// None where no step asks a supervisor.
    pub supervision: Option<&'a dyn Supervision>,
    /// Secrets that programs of steps read themselves are hidden by it too.
    pub mask: Mask,
}

/// The number of processors that this process may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

/// What a step's thread tells when it ends.
struct Ended {
    index: usize,
    result: Result<Outputs>,
    log: Option<Arc<StepLog>>,
    duration: Duration,
}

/// The state of a run between its steps.
struct Run<'a, N> {
    plan: &'a Plan<N>,
    folder: PathBuf,
    journal: Journal,
    mask: Mask,
    /// Of every step that is good, or that failed but put something out.
    outputs: BTreeMap<StepId, Outputs>,
    /// Of the steps that ran or were skipped as already done.
    fingerprints: BTreeMap<StepId, String>,
    reports: Vec<StepReport>,
    waiting: BTreeSet<usize>,
    running: BTreeSet<usize>,
    /// In the order of their start: what an undo takes back.
    touched: Vec<usize>,
    failed: bool,
    begun: Instant,
}

impl<'a> Runner<'a> {
    /// Carries out plans without native actions.
    pub fn without_native(target: &'a Target, interrupt: Interrupt) -> Self {
        Self::new(target, interrupt, &|native, _| match *native {})
    }
}

impl<'a, N: Native> Runner<'a, N> {
    /// One step for each processor; after a failure nothing new begins; programs have ten seconds to end; shows on
    /// standard error.
    pub fn new(target: &'a Target, interrupt: Interrupt, native: &'a Perform<'a, N>) -> Self {
        Self {
            target,
            command: command_line(),
            jobs: cores(),
            keep_going: false,
            grace_ms: 10_000,
            interrupt,
            show: Show::on_stderr(),
            native,
            supervision: None,
            mask: Mask::default(),
        }
    }

    /// Carries `plan` out and tells how each step went. A failed step is shown and is not an error of this function.
    ///
    /// # Errors
    /// Refused (exit 2) when the plan is wrong or its target is another machine; otherwise when the target is locked by a
    /// living process, or its state folder cannot be used.
    pub fn run(&self, plan: &Plan<N>) -> Result<Report> {
        if let Target::Host { address, .. } = self.target {
            return Err(refused(format!("the plan to {} is for {address}; run it there", plan.intent)));
        }
        let problems = plan.validate();
        if !problems.is_empty() {
            return Err(refused(format!(
                "the plan to {} is invalid:\n  {}",
                plan.intent,
                problems.join("\n  ")
            )));
        }
        if plan.steps.iter().any(|step| matches!(step.action, Action::Exec(_))) {
            // Before any of it: not in the middle, and not in the words of whatever program fails for it.
            files::temporary::usable()?;
        }
        let begun = Instant::now();
        let folder = self.target.state().join(&plan.target);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder.join("log"))
            .with_context(|| format!("cannot make the state folder {}", folder.display()))?;
        let lock = Lock::take(&lock::path_in(&folder), &Holder::this(&self.command))?;
        if let Some(dead) = &lock.reclaimed_from {
            self.show.say(&format!("an earlier run was interrupted ({dead}); continuing it"));
            let ended = leftovers::end(&dead.process, Duration::from_millis(self.grace_ms))?;
            if ended > 0 {
                self.show.say(&format!("stopped {ended} processes that it left running"));
            }
        }
        let mut run = Run::new(plan, folder, &self.mask, begun)?;
        self.carry_out(&mut run)?;
        let signal = self.interrupt.signal();
        let outcome = match signal {
            Some(signal) if run.reports.iter().any(|step| !step.status.is_good()) => {
                Outcome::Interrupted(signal)
            }
            _ if run.failed => Outcome::Failed,
            _ => Outcome::Done,
        };
        if outcome == Outcome::Done {
            run.journal.note_finished()?;
        } else if plan.on_failure == OnFailure::Undo {
            self.undo(&mut run)?;
        }
        let report = Report {
            intent: plan.intent.clone(),
            target: plan.target.clone(),
            outcome,
            duration_ms: millis(begun.elapsed()),
            steps: run.reports,
        };
        self.note_audit(plan, &report)?;
        drop(lock);
        Ok(report)
    }

    fn note_audit(&self, plan: &Plan<N>, report: &Report) -> Result<()> {
        let entry = audit::Entry {
            at: utc(now_ms() / 1000),
            who: user_name(),
            host: host_name(),
            command: self.command.clone(),
            intent: plan.intent.clone(),
            target: plan.target.clone(),
            plan: fingerprint::of_plan(plan)?,
            outcome: report.outcome_words(),
            duration_ms: report.duration_ms,
        };
        audit::append(&self.target.state().join("audit.jsonl"), &entry)
    }

    fn carry_out(&self, run: &mut Run<N>) -> Result<()> {
        // Ends waits, which may have a long way to go, once another step has failed.
        let halt = AtomicBool::new(false);
        let (sender, ended) = channel::<Ended>();
        thread::scope(|scope| -> Result<()> {
            loop {
                while !self.closed(run) && run.running.len() < self.jobs.max(1) {
                    let Some(index) = run.next_ready() else { break };
                    if let Err(error) = self.start(run, index, scope, &sender, &halt) {
                        halt.store(true, Ordering::SeqCst);
                        run.fail_unstarted(index, &error, &self.show);
                    }
                }
                if run.running.is_empty() {
                    if self.closed(run) || run.next_ready().is_none() {
                        break;
                    }
                    continue;
                }
                let end = match ended.recv_timeout(self.show.silence()) {
                    Ok(end) => end,
                    Err(RecvTimeoutError::Timeout) => {
                        self.show.still(&run.under_way());
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                let failed = self.settle(run, end)?;
                if failed && !self.keep_going {
                    halt.store(true, Ordering::SeqCst);
                }
            }
            Ok(())
        })
    }

    fn closed(&self, run: &Run<N>) -> bool {
        self.interrupt.raised() || (run.failed && !self.keep_going)
    }

    /// Starts a step in a thread of its own, or settles it at once when there is nothing to do.
    fn start<'scope, 'run: 'scope>(
        &'scope self,
        run: &mut Run<'run, N>,
        index: usize,
        scope: &'scope thread::Scope<'scope, '_>,
        sender: &Sender<Ended>,
        halt: &'scope AtomicBool,
    ) -> Result<()> {
        let plan: &'run Plan<N> = run.plan;
        let step = &plan.steps[index];
        run.waiting.remove(&index);
        if step.unless_exists.as_ref().is_some_and(|path| path.exists()) {
            run.reports[index].status = Status::AlreadyThere;
            run.outputs.insert(step.id.clone(), Outputs::new());
            self.show.ended(step, &run.reports[index], &[]);
            return Ok(());
        }
        let needed: Vec<&str> =
            step.needs.iter().filter_map(|need| run.fingerprints.get(need).map(String::as_str)).collect();
        let print = fingerprint::of_step(step, &run.outputs, &needed)?;
        if step.journaled {
            run.fingerprints.insert(step.id.clone(), print.clone());
            let there = step.makes.iter().all(|path| path.exists());
            if let Some(done) = run.journal.done(&step.id).filter(|done| there && done.fingerprint == print) {
                run.outputs.insert(step.id.clone(), done.outputs.clone());
                run.reports[index].outputs = done.outputs.clone();
                run.reports[index].status = Status::AlreadyDone;
                run.touched.push(index);
                self.show.ended(step, &run.reports[index], &[]);
                return Ok(());
            }
            run.journal.note_started(&step.id, &print)?;
        }
        // A step before may have made secrets.
        run.mask.refresh();
        let log = {
            let (show, id) = (self.show.clone(), step.id.clone());
            let path = log::path_in(&run.folder, &step.id);
            Arc::new(StepLog::create(&path, &run.mask, step.sensitive, move |line| show.line(&id, line))?)
        };
        self.show.started(step);
        run.reports[index].started_ms = millis(run.begun.elapsed());
        run.running.insert(index);
        run.touched.push(index);
        let (mask, outputs, sender) = (run.mask.clone(), run.outputs.clone(), sender.clone());
        scope.spawn(move || {
            let begun = Instant::now();
            let waits = matches!(step.action, Action::WaitFor(_));
            let stop = || self.interrupt.raised() || (waits && halt.load(Ordering::SeqCst));
            let acting = || self.act(&step.action, step, &mask, &outputs, &log, &stop);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(acting))
                .unwrap_or_else(|_| Err(anyhow!("a bug in this program: the step panicked")));
            // The other end lives as long as this scope.
            let _ = sender.send(Ended { index, result, log: Some(log), duration: begun.elapsed() });
        });
        Ok(())
    }

    fn act(
        &self,
        action: &Action<N>,
        step: &Step<N>,
        mask: &Mask,
        outputs: &BTreeMap<StepId, Outputs>,
        log: &Arc<StepLog>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Outputs> {
        if let Target::Recorded { recording, .. } = self.target {
            return recording.perform(action, step);
        }
        let context = StepContext {
            mask,
            outputs,
            log: Arc::clone(log),
            deadline: Instant::now() + Duration::from_millis(step.time_limit_ms),
            stop,
            grace: Duration::from_millis(self.grace_ms),
            show: &self.show,
            supervision: self.supervision,
        };
        perform(action, &context, self.native)
    }

    /// Notes how a step ended; whether it failed.
    fn settle(&self, run: &mut Run<N>, end: Ended) -> Result<bool> {
        let step = &run.plan.steps[end.index];
        run.running.remove(&end.index);
        let report = &mut run.reports[end.index];
        report.duration_ms = millis(end.duration);
        report.log = end.log.as_ref().map(|log| log.path.clone());
        let mut failed = false;
        match end.result {
            Ok(outputs) => {
                report.status = Status::Done;
                if step.sensitive {
                    outputs.values().for_each(|value| run.mask.add(value));
                } else {
                    let masked =
                        outputs.iter().map(|(key, value)| (key.clone(), run.mask.hide(value).into_owned()));
                    report.outputs = masked.collect();
                }
                if let Some(print) = run.fingerprints.get(&step.id) {
                    // An output that holds a secret is not kept: better to do the step again than to go on with stars.
                    if step.sensitive || report.outputs == outputs {
                        let done = Done {
                            fingerprint: print.clone(),
                            outputs: report.outputs.clone(),
                            duration_ms: report.duration_ms,
                        };
                        run.journal.note_done(&step.id, done)?;
                    }
                }
                run.outputs.insert(step.id.clone(), outputs);
            }
            Err(error) if error.downcast_ref::<Stopped>().is_some() => {
                report.status = Status::Interrupted;
                failed = true;
            }
            Err(error) => {
                report.status = Status::Failed;
                report.error = Some(run.mask.hide(&format!("{error:#}")).into_owned());
                failed = true;
            }
        }
        run.failed |= failed;
        let told = end.log.map(|log| log.told()).unwrap_or_default();
        self.show.ended(step, &run.reports[end.index], &told);
        Ok(failed)
    }

    /// Takes back what was touched, the last started first. A second signal ends this too.
    fn undo(&self, run: &mut Run<N>) -> Result<()> {
        let interrupt = self.interrupt.heeded();
        let stop = || interrupt.raised();
        for index in std::mem::take(&mut run.touched).into_iter().rev() {
            let step = &run.plan.steps[index];
            let Some(undo) = &step.undo else { continue };
            if stop() {
                self.show.say(&format!("! {}: not undone", step.title));
                run.reports[index].undone = Some(false);
                continue;
            }
            let path = run.folder.join("log").join(format!("{}.undo.log", step.id));
            let log = Arc::new(StepLog::create(&path, &run.mask, step.sensitive, |_| {})?);
            let result = self.act(undo, step, &run.mask, &run.outputs, &log, &stop);
            run.reports[index].undone = Some(result.is_ok());
            match result {
                Ok(_) => {
                    run.journal.note_undone(&step.id)?;
                    self.show.say(&format!("↩ {}: undone", step.title));
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    self.show.say(&format!(
                        "! {}: undo failed: {}\n    log: {}",
                        step.title,
                        run.mask.hide(&error),
                        path.display()
                    ));
                }
            }
        }
        Ok(())
    }
}

impl<'a, N> Run<'a, N> {
    fn new(plan: &'a Plan<N>, folder: PathBuf, mask: &Mask, begun: Instant) -> Result<Self> {
        let reports = plan.steps.iter().map(|step| StepReport {
            id: step.id.clone(),
            title: step.title.clone(),
            status: Status::NotStarted,
            started_ms: 0,
            duration_ms: 0,
            error: None,
            log: None,
            outputs: Outputs::new(),
            undone: None,
        });
        Ok(Self {
            journal: Journal::open(&folder.join("journal.jsonl"), &plan.intent)?,
            reports: reports.collect(),
            plan,
            folder,
            mask: mask.clone(),
            outputs: BTreeMap::new(),
            fingerprints: BTreeMap::new(),
            waiting: (0..plan.steps.len()).collect(),
            running: BTreeSet::new(),
            touched: Vec::new(),
            failed: false,
            begun,
        })
    }

    /// The titles of the steps that run, and for how long.
    fn under_way(&self) -> Vec<(&'a str, Duration)> {
        let now = self.begun.elapsed();
        let one = |index: &usize| {
            let started = Duration::from_millis(self.reports[*index].started_ms);
            (self.plan.steps[*index].title.as_str(), now.saturating_sub(started))
        };
        self.running.iter().map(one).collect()
    }

    fn next_ready(&self) -> Option<usize> {
        let good =
            |need: &StepId| self.reports.iter().any(|report| report.id == *need && report.status.is_good());
        let ready = |index: &usize| {
            let step = &self.plan.steps[*index];
            step.needs.iter().all(good) && !step.after.iter().any(|earlier| self.is_open(earlier))
        };
        self.waiting.iter().copied().find(ready)
    }

    /// Whether a step runs, or may still start.
    fn is_open(&self, id: &StepId) -> bool {
        let Some(index) = self.plan.steps.iter().position(|step| step.id == *id) else { return false };
        if self.running.contains(&index) {
            return true;
        }
        let needs_fail = |need: &StepId| {
            !self.is_open(need)
                && self.reports.iter().any(|report| report.id == *need && !report.status.is_good())
        };
        self.waiting.contains(&index) && !self.plan.steps[index].needs.iter().any(needs_fail)
    }

    fn fail_unstarted(&mut self, index: usize, error: &anyhow::Error, show: &Show) {
        self.waiting.remove(&index);
        self.failed = true;
        self.reports[index].status = Status::Failed;
        self.reports[index].error = Some(self.mask.hide(&format!("{error:#}")).into_owned());
        show.ended(&self.plan.steps[index], &self.reports[index], &[]);
    }
}
