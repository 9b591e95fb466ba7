//! The way from a command to the supervisor.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::control;
use super::inherited;
use super::log_lines::short;
use super::protocol::{Event, EventKind, HealthState, Reply, Request, ServiceStatus, State, VERSION};
use super::tail::last_lines;
use crate::plan::lock;
use crate::plan::service::{ProcessSpec, ServiceName};

/// How long a supervisor may take to listen, ending what a killed one has left included.
const STARTING: Duration = Duration::from_secs(60);
/// How long it may take to answer a question that needs no work.
const ANSWERING: Duration = Duration::from_secs(5);
/// How often a wait looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);
/// So many last lines of a service's log come with its failure.
const SHOWN_LINES: usize = 20;

/// The supervisor of one state folder. Each request is a connection of its own, so a client can be shared and outlives
/// a restart of the supervisor.
#[derive(Debug, Clone)]
pub struct Client {
    state: PathBuf,
}

/// The supervisor ended, or was killed, while it was asked.
#[derive(Debug)]
pub struct Gone(PathBuf);

impl std::fmt::Display for Gone {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (state, log) = (self.0.display(), self.0.join("supervisor.log"));
        write!(out, "the supervisor of {state} is gone; see {}", log.display())
    }
}

impl std::error::Error for Gone {}

impl Client {
    /// The supervisor of `state`; `None` when none runs.
    ///
    /// # Errors
    /// When it cannot be asked, or is of another version of this program.
    pub fn connect(state: &Path) -> Result<Option<Self>> {
        if control::connect(state)?.is_none() {
            return Ok(None);
        }
        let client = Self { state: state.to_owned() };
        // Others may take long; this one tells a supervisor that works from one that hangs.
        let answer = match client.ask_within(&Request::Ping, Some(ANSWERING)) {
            // It is just ending, or was killed and is not quite gone.
            Err(error) if error.downcast_ref::<Gone>().is_some() => return Ok(None),
            answer => answer?,
        };
        match answer {
            Reply::Pong { version: VERSION, .. } => Ok(Some(client)),
            Reply::Pong { pid, version } => bail!(
                "the supervisor of {} (process {pid}) has protocol version {version}, this program {VERSION}; stop it \
                 with `kill {pid}` and start again",
                state.display()
            ),
            other => Err(unexpected(&other)),
        }
    }

    /// The supervisor of `state`, started when none runs: detached, its own messages in `supervisor.log`.
    ///
    /// # Errors
    /// When it cannot be started; with the end of its log.
    pub fn start_or_connect(state: &Path) -> Result<Self> {
        Self::start_by(&std::env::current_exe().context("cannot find this program's own file")?, state)
    }

    /// As [`Client::start_or_connect`], with another program of ours that supervises.
    ///
    /// # Errors
    /// As there.
    pub fn start_by(program: &Path, state: &Path) -> Result<Self> {
        let state = &std::path::absolute(state)?;
        let mut command = Command::new(program);
        command.arg("--root").arg(state).arg("supervise").arg("--state").arg(state);
        command.env_clear().envs(inherited::variables());
        Self::start_with(state, command)
    }

    /// As [`Client::start_or_connect`], with the command that supervises.
    ///
    /// # Errors
    /// As there.
    pub fn start_with(state: &Path, mut command: Command) -> Result<Self> {
        if let Some(client) = Self::connect(state)? {
            return Ok(client);
        }
        let place = || format!("cannot start the supervisor in {}", state.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(state).with_context(place)?;
        let log_path = state.join("supervisor.log");
        let log = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&log_path);
        let log = log.with_context(place)?;
        command.current_dir("/").stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
        let mut child = command.spawn().with_context(place)?;
        let give_up = Instant::now() + STARTING;
        loop {
            if let Some(client) = Self::connect(state)? {
                // It is reaped when it ends while this command still runs.
                thread::Builder::new().name("supervisor".into()).spawn(move || child.wait())?;
                return Ok(client);
            }
            if let Some(status) = child.try_wait()? {
                // Another command may have been faster: then its supervisor holds the lock and will listen.
                if lock::holder(&lock::path_in(state))?.is_none() && Self::connect(state)?.is_none() {
                    let said = last_lines(&log_path, 5).join("\n  ");
                    bail!("the supervisor in {} ended ({status}):\n  {said}", state.display());
                }
            }
            if Instant::now() >= give_up {
                bail!("the supervisor in {} does not listen; see {}", state.display(), log_path.display());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// When the supervisor is gone, or answers with an error: its text.
    pub fn ask(&self, request: &Request) -> Result<Reply> {
        self.ask_within(request, None)
    }

    fn ask_within(&self, request: &Request, limit: Option<Duration>) -> Result<Reply> {
        let stream = control::connect(&self.state)?.ok_or_else(|| self.gone())?;
        stream.set_read_timeout(limit)?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let mut answer = String::new();
        let exchange =
            (&stream).write_all(&line).and_then(|()| BufReader::new(&stream).read_line(&mut answer));
        if exchange.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            return Err(self.hangs(limit.unwrap_or_default()));
        }
        if exchange.is_err() || answer.is_empty() {
            return Err(self.gone().into());
        }
        match serde_json::from_str(&answer).context("cannot read the supervisor's answer")? {
            Reply::Error(text) => Err(anyhow!(text)),
            reply => Ok(reply),
        }
    }

    fn hangs(&self, limit: Duration) -> anyhow::Error {
        let state = self.state.display();
        let holder = lock::holder(&lock::path_in(&self.state)).ok().flatten();
        let pid = holder.map_or("PID".to_owned(), |holder| holder.process.pid.to_string());
        anyhow!(
            "the supervisor of {state} (process {pid}) did not answer within {} s: it hangs or is stopped; `kill -CONT \
             {pid}` continues it, `kill -9 {pid}` kills it, and the next command cleans up",
            limit.as_secs()
        )
    }

    fn gone(&self) -> Gone {
        Gone(self.state.clone())
    }

    fn ask_service(&self, request: &Request) -> Result<ServiceStatus> {
        match self.ask(request)? {
            Reply::Service(status) => Ok(*status),
            other => Err(unexpected(&other)),
        }
    }

    /// Every service, and the id of the last event before.
    ///
    /// # Errors
    /// As [`Client::ask`], here and below.
    pub fn status(&self) -> Result<(Vec<ServiceStatus>, u64)> {
        match self.ask(&Request::Status)? {
            Reply::Status { services, last_event } => Ok((services, last_event)),
            other => Err(unexpected(&other)),
        }
    }

    /// How a service was asked to run.
    pub fn spec(&self, name: &ServiceName) -> Result<ProcessSpec> {
        match self.ask(&Request::Spec { name: name.clone() })? {
            Reply::Spec(spec) => Ok(*spec),
            other => Err(unexpected(&other)),
        }
    }

    /// Starts a service; see [`crate::plan::action::ServiceRequest::Start`].
    pub fn start(&self, spec: &ProcessSpec) -> Result<ServiceStatus> {
        self.ask_service(&Request::Start { spec: Box::new(spec.clone()) })
    }

    /// Stops a service and waits for its end.
    pub fn stop(&self, name: &ServiceName) -> Result<ServiceStatus> {
        self.ask_service(&Request::Stop { name: name.clone() })
    }

    /// Restarts a service; does not wait for its health.
    pub fn restart(&self, name: &ServiceName) -> Result<ServiceStatus> {
        self.ask_service(&Request::Restart { name: name.clone() })
    }

    /// Stops a service and forgets it.
    pub fn remove(&self, name: &ServiceName) -> Result<()> {
        self.ask(&Request::Remove { name: name.clone() }).map(|_| ())
    }

    /// Ends everything and waits until the supervisor is gone too.
    pub fn shutdown(&self) -> Result<()> {
        let supervisor = lock::holder(&lock::path_in(&self.state))?;
        self.ask(&Request::Shutdown)?;
        // It gives its lock back a moment before it is gone.
        while supervisor.as_ref().is_some_and(lock::Holder::is_alive) {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Gives `each` the events after `since`, then with `follow` those to come, until it returns false or `stop` holds.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub fn events(
        &self,
        since: u64,
        follow: bool,
        stop: &dyn Fn() -> bool,
        each: &mut dyn FnMut(Event) -> bool,
    ) -> Result<()> {
        let stream = control::connect(&self.state)?.ok_or_else(|| self.gone())?;
        let mut line = serde_json::to_vec(&Request::Events { since, follow })?;
        line.push(b'\n');
        (&stream).write_all(&line).map_err(|_| self.gone())?;
        stream.set_read_timeout(Some(LOOK))?;
        let mut reader = BufReader::new(&stream);
        let mut line = Vec::new();
        while !stop() {
            match reader.read_until(b'\n', &mut line) {
                Ok(0) if !follow => return Ok(()),
                Ok(0) => return Err(self.gone().into()),
                Ok(_) if line.last() == Some(&b'\n') => {
                    if line.len() > 1 && !each(serde_json::from_slice(&line)?) {
                        return Ok(());
                    }
                    line.clear();
                }
                Ok(_) => {}
                // What was read of a line stays in `line`.
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => return Err(self.gone().into()),
            }
        }
        Ok(())
    }

    /// Waits until a service is healthy.
    ///
    /// # Errors
    /// At once when it is given up, or has ended or been stopped; when it is not healthy within `limit`; when `stop`
    /// holds. With the last lines of its log.
    pub fn wait_healthy(
        &self,
        name: &ServiceName,
        limit: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<ServiceStatus> {
        let give_up = Instant::now() + limit;
        loop {
            let (services, last_event) = self.status()?;
            let status = services.into_iter().find(|status| status.name == *name);
            let status = status.with_context(|| format!("there is no service `{name}`"))?;
            if status.health == HealthState::Healthy {
                return Ok(status);
            }
            let reason = status.reason.clone().unwrap_or_else(|| "no answer yet".to_owned());
            if matches!(status.state, State::Failed | State::Ended | State::Stopped) {
                return Err(failure(&status, &format!("{name} has ended: {reason}")));
            }
            if stop() {
                bail!("{name}: nobody waits for it any more");
            }
            if Instant::now() >= give_up {
                return Err(failure(&status, &format!("{name} is not healthy after {limit:?}: {reason}")));
            }
            let over = || stop() || Instant::now() >= give_up;
            self.events(last_event, true, &over, &mut |event| {
                let matters = matches!(
                    event.kind,
                    EventKind::Healthy | EventKind::Failed | EventKind::Ended | EventKind::Stopped
                );
                !(event.service.as_ref() == Some(name) && matters)
            })?;
        }
    }
}

fn failure(status: &ServiceStatus, text: &str) -> anyhow::Error {
    let lines: Vec<_> =
        last_lines(&status.log, SHOWN_LINES).iter().map(|line| format!("\n  | {}", short(line))).collect();
    anyhow!("{text}{}\n  log: {}", lines.concat(), status.log.display())
}

fn unexpected(reply: &Reply) -> anyhow::Error {
    anyhow!("the supervisor gave an unexpected answer: {reply:?}")
}
