//! Keeps one service: starts it, looks after its health, restarts it by its policy, ends it.
//!
//! One thread a service takes orders one after the other. Nothing else touches its process.

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::children::{Children, MARK, RecordedChild};
use super::events::Events;
use super::inherited;
use super::protocol::{EventKind, HealthState, ServiceStatus, State};
use super::rotate::RotatingLog;
use super::stamp::Stamp;
use crate::plan::child::{Child, Command, Inherits, Sink};
use crate::plan::mask::Mask;
use crate::plan::probe;
use crate::plan::service::{Health, ProcessSpec, RestartPolicy, ServiceName, StopSignal};
use foundation::clock::{now_ms, spell, utc};
use foundation::processes;
use foundation::processes::describe;

/// What the rest of a group may take to end after its leader has, milliseconds from TERM to KILL.
const REST_GRACE: Duration = Duration::from_secs(1);

/// What a worker is told.
pub enum Order {
    /// Starts the process unless it runs. Answers when it has started or could not.
    Start(Sender<Result<()>>),
    Restart(Sender<Result<()>>),
    /// Ends the process; answers with its name when it has ended.
    Stop(Sender<ServiceName>),
    /// Ends the worker; the process must have been stopped.
    Leave,
    /// The process of this generation has ended by itself.
    ChildEnded(u64),
    /// A look at the health of the process of this generation; an error says why not.
    Looked(u64, Result<(), String>),
}

/// The signal that a spec asks for.
pub fn signal_of(signal: StopSignal) -> Signal {
    match signal {
        StopSignal::Term => Signal::TERM,
        StopSignal::Int => Signal::INT,
        StopSignal::Quit => Signal::QUIT,
        StopSignal::Usr1 => Signal::USR1,
    }
}

/// What workers share.
#[derive(Clone)]
pub struct Shared {
    pub events: Arc<Events>,
    pub children: Arc<Mutex<Children>>,
}

struct Worker {
    spec: ProcessSpec,
    /// Hides the values of [`ProcessSpec::secrets`].
    mask: Mask,
    shared: Shared,
    status: Arc<Mutex<ServiceStatus>>,
    orders: Sender<Order>,
    generation: u64,
    running: Option<Running>,
    /// Starts of the last window, made by the policy.
    restarts: VecDeque<Instant>,
    restart_at: Option<Instant>,
}

struct Running {
    child: Child,
    since: Instant,
    failed_looks: u32,
    /// Milliseconds since 1970: the first of the failed looks.
    failing_since_ms: u64,
    /// Dropping it ends the thread that looks.
    _looking: Option<Sender<()>>,
}

/// The status of a service that has not started yet.
pub fn new_status(spec: &ProcessSpec) -> ServiceStatus {
    ServiceStatus {
        name: spec.name.clone(),
        state: State::Stopped,
        health: HealthState::None,
        pid: None,
        started_ms: None,
        restarts: 0,
        reason: None,
        ports: spec.ports.clone(),
        log: spec.log.path.clone(),
    }
}

/// Starts the thread that keeps a service; its orders go to what is returned.
///
/// # Errors
/// When the system refuses a thread.
pub fn spawn(
    spec: ProcessSpec,
    mask: Mask,
    shared: Shared,
    status: Arc<Mutex<ServiceStatus>>,
) -> Result<Sender<Order>> {
    let (orders, inbox) = channel();
    let name = format!("keep {}", spec.name);
    let worker = Worker {
        spec,
        mask,
        shared,
        status,
        orders: orders.clone(),
        generation: 0,
        running: None,
        restarts: VecDeque::new(),
        restart_at: None,
    };
    thread::Builder::new().name(name).spawn(move || worker.work(&inbox)).context("cannot start a thread")?;
    Ok(orders)
}

impl Worker {
    fn work(mut self, inbox: &Receiver<Order>) {
        loop {
            let order = match self.restart_at {
                Some(at) => match inbox.recv_timeout(at.saturating_duration_since(Instant::now())) {
                    Err(RecvTimeoutError::Timeout) => {
                        self.restart_at = None;
                        if let Err(error) = self.start() {
                            self.after_end(None, &format!("{error:#}"));
                        }
                        continue;
                    }
                    order => order.ok(),
                },
                None => inbox.recv().ok(),
            };
            match order {
                None | Some(Order::Leave) => return,
                Some(Order::Start(reply)) => {
                    let _ = reply.send(if self.running.is_some() { Ok(()) } else { self.start_afresh() });
                }
                Some(Order::Restart(reply)) => {
                    self.stop();
                    let _ = reply.send(self.start_afresh());
                }
                Some(Order::Stop(reply)) => {
                    self.stop();
                    let _ = reply.send(self.spec.name.clone());
                }
                Some(Order::ChildEnded(generation)) if generation == self.generation => {
                    self.ended_by_itself()
                }
                Some(Order::Looked(generation, looked)) if generation == self.generation => {
                    self.looked(looked)
                }
                Some(Order::ChildEnded(_) | Order::Looked(..)) => {}
            }
        }
    }

    fn note(&self, kind: EventKind, text: impl Into<String>) {
        self.shared.events.note(Some(&self.spec.name), kind, text);
    }

    fn set(&self, change: impl FnOnce(&mut ServiceStatus)) {
        if let Ok(mut status) = self.status.lock() {
            change(&mut status);
        }
    }

    fn start_afresh(&mut self) -> Result<()> {
        self.restarts.clear();
        self.restart_at = None;
        self.set(|status| status.restarts = 0);
        self.start().inspect_err(|error| {
            let reason = format!("{error:#}");
            self.set(|status| (status.state, status.reason) = (State::Failed, Some(reason.clone())));
            self.note(EventKind::Failed, reason);
        })
    }

    fn start(&mut self) -> Result<()> {
        let mask = self.mask.clone();
        let none = BTreeMap::new();
        let mut env = BTreeMap::new();
        for (name, arg) in &self.spec.env {
            env.insert(name.clone(), mask.resolve(arg, &none)?);
        }
        let argv = self.spec.argv.iter().map(|arg| mask.resolve(arg, &none)).collect::<Result<_>>()?;
        env.insert(MARK.to_owned(), mask.resolve(&self.mark().into(), &none)?);
        let log = RotatingLog::open(&self.spec.log)
            .with_context(|| format!("cannot write the log {}", self.spec.log.path.display()))?;
        let labels = &self.spec.log.labels;
        let stamp = (!labels.is_empty()).then(|| Stamp::new(&self.spec.name, now_ms(), labels));
        let log = Mutex::new((log, stamp));
        let sink: Sink = Arc::new(move |line| {
            if let Ok(mut log) = log.lock() {
                let (log, stamp) = &mut *log;
                // A full disk must not stop the service.
                let _ = match stamp {
                    Some(stamp) => log.line(&stamp.line(line)),
                    None => log.line(line),
                };
            }
        });
        let command = Command {
            argv,
            env,
            inherits: Inherits::Only(inherited::SERVICES.iter().map(|name| (*name).to_owned()).collect()),
            cwd: Some(self.spec.cwd.clone()),
            stdin: None,
            mask: mask.clone(),
        };
        let child = command.start(&sink, None)?;
        let pid = child.pid;
        // Should it have ended already, its id is still its own: it is not reaped.
        let process = processes::identify(pid);
        if let (Some(process), Ok(mut children)) = (process, self.shared.children.lock()) {
            let recorded = children.add(&self.spec.name, RecordedChild { process, stop: self.spec.stop });
            if let Err(error) = recorded {
                drop(children);
                let _ = child.reap(REST_GRACE);
                return Err(error);
            }
        }
        self.generation += 1;
        let (generation, orders) = (self.generation, self.orders.clone());
        thread::Builder::new().name(format!("end of {pid}")).spawn(move || {
            let _ = processes::await_end(pid);
            let _ = orders.send(Order::ChildEnded(generation));
        })?;
        let looking = self.spec.health.clone().map(|health| self.look_after(health, mask)).transpose()?;
        let health = if looking.is_some() { HealthState::Starting } else { HealthState::Healthy };
        self.set(|status| {
            status.state = State::Running;
            status.health = health;
            status.pid = Some(pid);
            status.started_ms = Some(now_ms());
            status.reason = None;
        });
        self.running = Some(Running {
            child,
            since: Instant::now(),
            failed_looks: 0,
            failing_since_ms: 0,
            _looking: looking,
        });
        self.note(EventKind::Started, format!("started as process {pid}"));
        if health == HealthState::Healthy {
            self.note(EventKind::Healthy, "running; it has no health check");
        }
        Ok(())
    }

    /// Looks at the health again and again until what is returned is dropped.
    fn look_after(&self, health: Health, mask: Mask) -> Result<Sender<()>> {
        let (looking, leave) = channel::<()>();
        let (generation, orders) = (self.generation, self.orders.clone());
        thread::Builder::new().name(format!("health {}", self.spec.name)).spawn(move || {
            let mut interval = Duration::from_millis(health.start_interval_ms);
            loop {
                let left = || matches!(leave.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
                let looked =
                    probe::look(&health.probe, Duration::from_millis(health.timeout_ms), &mask, &left);
                if looked.is_ok() {
                    interval = Duration::from_millis(health.interval_ms);
                }
                let looked = looked.map_err(|error| mask.hide(&format!("{error:#}")).into_owned());
                if orders.send(Order::Looked(generation, looked)).is_err()
                    || leave.recv_timeout(interval) == Err(RecvTimeoutError::Disconnected)
                {
                    return;
                }
            }
        })?;
        Ok(looking)
    }

    fn looked(&mut self, looked: Result<(), String>) {
        let (Some(running), Some(health)) = (&mut self.running, &self.spec.health) else { return };
        let before = self.status.lock().map_or(HealthState::None, |status| status.health);
        let since = running.since.elapsed();
        match looked {
            Ok(()) => {
                running.failed_looks = 0;
                if before != HealthState::Healthy {
                    self.set(|status| (status.health, status.reason) = (HealthState::Healthy, None));
                    let text = match before {
                        HealthState::Unhealthy => "healthy again".to_owned(),
                        _ => format!("healthy after {}", spell(since)),
                    };
                    self.note(EventKind::Healthy, text);
                }
            }
            Err(reason) => {
                let early =
                    since < Duration::from_millis(health.start_period_ms) && before == HealthState::Starting;
                if early {
                    self.set(|status| status.reason = Some(reason));
                    return;
                }
                if running.failed_looks == 0 {
                    running.failing_since_ms = now_ms();
                }
                running.failed_looks += 1;
                if running.failed_looks >= health.retries {
                    let text = format!("since {}: {reason}", utc(running.failing_since_ms / 1000));
                    if before != HealthState::Unhealthy {
                        self.note(EventKind::Unhealthy, format!("unhealthy {text}"));
                    }
                    self.set(|status| (status.health, status.reason) = (HealthState::Unhealthy, Some(text)));
                }
            }
        }
    }

    fn mark(&self) -> String {
        self.shared.children.lock().map(|children| children.mark_of(&self.spec.name)).unwrap_or_default()
    }

    /// Ends what the service started and what has left its group since, such as a daemon with a session of its own.
    fn end_strays(&self) {
        let mark = format!("{MARK}={}", self.mark());
        let strays = || processes::with_environment(|word| word == mark.as_bytes());
        let kill_at = Instant::now() + REST_GRACE;
        let mut signal = Signal::TERM;
        while Instant::now() < kill_at + REST_GRACE {
            let left = strays();
            if left.is_empty() {
                return;
            }
            if Instant::now() >= kill_at {
                signal = Signal::KILL;
            }
            left.into_iter().for_each(|pid| {
                processes::signal_process(pid, signal);
            });
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn forget_child(&self) {
        if let Ok(mut children) = self.shared.children.lock()
            && let Err(error) = children.remove(&self.spec.name)
        {
            // A record of an ended process harms nobody: its start time tells it apart.
            eprintln!("{}: {error:#}", self.spec.name);
        }
    }

    fn ended_by_itself(&mut self) {
        let Some(running) = self.running.take() else { return };
        let ran = running.since.elapsed();
        let status = running.child.reap(REST_GRACE);
        self.end_strays();
        self.forget_child();
        match status {
            Ok(status) => {
                self.after_end(Some(status), &format!("{} after {}", describe(status), spell(ran)));
            }
            Err(error) => self.after_end(None, &format!("{error:#}")),
        }
    }

    /// Decides what follows an end that nobody asked for; no status means that it could not start again.
    fn after_end(&mut self, status: Option<ExitStatus>, how: &str) {
        let restart = self.spec.restart;
        let success = status.is_some_and(|status| status.success());
        let again = match restart.policy {
            RestartPolicy::Never => false,
            RestartPolicy::OnFailure => !success,
            RestartPolicy::Always => true,
        };
        let window = Duration::from_millis(restart.window_ms);
        let now = Instant::now();
        self.restarts.retain(|at| now.duration_since(*at) < window);
        let (state, kind, text) = if !again && success {
            (State::Ended, EventKind::Ended, how.to_owned())
        } else if !again {
            (State::Failed, EventKind::Failed, how.to_owned())
        } else if self.restarts.len() >= restart.max_restarts as usize {
            let tried = format!("given up after {} restarts within {}", self.restarts.len(), spell(window));
            (State::Failed, EventKind::Failed, format!("{how}; {tried}"))
        } else {
            let wait = backoff(restart.backoff_ms, restart.backoff_max_ms, self.restarts.len());
            self.restarts.push_back(now);
            self.restart_at = Some(now + wait);
            (State::BackingOff, EventKind::Crashed, format!("{how}; restarting in {}", spell(wait)))
        };
        self.set(|status| {
            status.state = state;
            status.health = HealthState::None;
            status.pid = None;
            status.started_ms = None;
            status.restarts += u32::from(state == State::BackingOff);
            status.reason = Some(text.clone());
        });
        self.note(kind, text);
    }

    fn stop(&mut self) {
        self.restart_at = None;
        let Some(Running { child, _looking, .. }) = self.running.take() else {
            self.set(|status| {
                if status.state == State::BackingOff {
                    status.state = State::Stopped;
                }
            });
            return;
        };
        self.generation += 1;
        drop(_looking);
        self.set(|status| status.state = State::Stopping);
        let begun = Instant::now();
        processes::signal_process(child.pid, signal_of(self.spec.stop.signal));
        let in_time = child.wait(Duration::from_millis(self.spec.stop.grace_ms));
        let how = match child.reap(REST_GRACE) {
            Ok(status) => describe(status),
            Err(error) => format!("{error:#}"),
        };
        self.end_strays();
        self.forget_child();
        self.set(|status| {
            status.state = State::Stopped;
            status.health = HealthState::None;
            status.pid = None;
            status.started_ms = None;
            status.reason = None;
        });
        let killed = if in_time { "" } else { "; it did not stop in time and was killed" };
        self.note(EventKind::Stopped, format!("stopped in {}: {how}{killed}", spell(begun.elapsed())));
    }
}

/// The wait before the restart that follows `before` others.
fn backoff(first_ms: u64, longest_ms: u64, before: usize) -> Duration {
    let doubled =
        first_ms.saturating_mul(1_u64.checked_shl(u32::try_from(before).unwrap_or(63)).unwrap_or(u64::MAX));
    Duration::from_millis(doubled.min(longest_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let waits: Vec<_> =
            [0, 1, 2, 10, 63, 64, 1000].map(|before| backoff(100, 5_000, before).as_millis()).into();
        assert_eq!(waits, [100, 200, 400, 5_000, 5_000, 5_000, 5_000]);
    }
}
