//! The native actions of a roll: they ask replicas, the supervisor and the edge, and act on what they answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;
use vocabulary::model::{EdgePolicy, PortRef, Unit};

use super::deployed;
use super::fetched_certificate;
use super::opened::Opened;
use super::operations::Target;
use crate::deployment::releases::Installed;
use crate::engines::process::instance::{ADDRESS, ReleaseId};
use crate::engines::roll::edge::RELOAD_PENDING;
use crate::engines::roll::edge_socket::{EdgeSocket, Server, ServerState};
use crate::engines::roll::{Replica, Roll, old_edge_ends_ms};
use foundation::files;
use runner::plan::mask::Outputs;
use runner::plan::perform::{StepContext, Stopped};
use runner::plan::service::ServiceName;
use runner::supervisor::protocol::{HealthState, ServiceStatus, State};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(50);
/// So many requests that fail at the new replicas while they are watched are no accident.
const ERRORS: u64 = 5;
/// How long the edge may take until the supervisor has started it again.
const EDGE_RESTART: Duration = Duration::from_secs(3);
/// How long a replica or the edge may take to answer.
pub(super) const ANSWER: Duration = Duration::from_secs(3);

/// Carries one action of a roll out.
///
/// # Errors
/// Why the roll cannot go on.
pub fn perform(opened: &Opened, action: &Roll, step: &StepContext) -> Result<Outputs> {
    match action {
        Roll::Verify(replica) => verify(opened, replica, step)?,
        Roll::Smoke(replica) => smoke(opened, replica, step)?,
        Roll::Admit(replica) => admit(opened, replica, step)?,
        Roll::Drain { replica, instead } => {
            serve(opened, instead, step)?;
            drain(opened, replica, step)?;
        }
        Roll::Withdraw(replica) => drain(opened, replica, step)?,
        Roll::ReloadEdge => reload_edge(opened, step)?,
        Roll::FetchCertificate => fetched_certificate::fetch(opened, step)?,
        Roll::RestoreEdge { path, contents } => {
            files::write::whole(path, 0o644, contents)?;
            reload_edge(opened, step)?;
        }
        Roll::Return(replica) => {
            serves(opened, replica, step)?;
            smoke(opened, replica, step)?;
            join_edge(opened, replica, step)?;
        }
        Roll::Watch { replicas, seconds } => watch(opened, replicas, Duration::from_secs(*seconds), step)?,
    }
    Ok(Outputs::new())
}

/// What a replica says of its health.
#[derive(Debug, Deserialize)]
struct Said {
    status: String,
    #[serde(default)]
    reason: Option<String>,
    /// The revision of the flows that it runs; none before they do.
    #[serde(default)]
    rev: Option<String>,
    #[serde(default)]
    release: Option<String>,
    #[serde(default)]
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    status: String,
    #[serde(default)]
    error: Option<String>,
}

impl Said {
    /// What keeps it from being ready besides being held.
    fn failed(&self) -> Vec<String> {
        let bad = self.checks.iter().filter(|check| check.status != "ok");
        bad.map(|Check { name, error, .. }| format!("{name}: {}", error.as_deref().unwrap_or("failed")))
            .collect()
    }
}

fn verify(opened: &Opened, replica: &Replica, step: &StepContext) -> Result<()> {
    let wanted = &identity(opened, replica)?;
    let mut last = "no answer yet".to_owned();
    until(step, &mut || {
        let status = opened.status(&replica.name)?;
        if status.restarts > 0 || matches!(status.state, State::Failed | State::Ended | State::Stopped) {
            let reason = status.reason.unwrap_or_else(|| "it ended".to_owned());
            bail!("{} exited or restarted: {reason}; see its log: {}", replica.name, status.log.display());
        }
        let Ok(said) = ask(opened, replica, step) else { return Ok(Some(last.clone())) };
        let failed = said.failed();
        let runs = said.rev.as_deref().filter(|_| failed.is_empty());
        if let Some(rev) = runs
            && (rev != wanted.flows_rev || said.release.as_deref() != Some(&wanted.id))
        {
            bail!(
                "{} reports release {} with flows {}; expected {} with {}",
                replica.name,
                said.release.as_deref().unwrap_or("none"),
                short(rev),
                wanted.id,
                short(&wanted.flows_rev)
            );
        }
        last = format!("{}: {}", said.status, failed.join("; "));
        Ok(if said.status == "held" && runs.is_some() { None } else { Some(last.clone()) })
    })
    .with_context(|| format!("{} did not pass its health checks", replica.name))?;
    step.log.line(&format!("{} runs {} with flows {}", replica.name, wanted.id, short(&wanted.flows_rev)));
    Ok(())
}

/// What the release of a replica says of itself.
fn identity(opened: &Opened, replica: &Replica) -> Result<ReleaseId> {
    let own = opened.instance.release.as_ref().context("nothing is deployed")?;
    if own.id == replica.release {
        return Ok(own.clone());
    }
    Installed::at(&opened.instance.releases(), &replica.release).identity()
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn smoke(opened: &Opened, replica: &Replica, step: &StepContext) -> Result<()> {
    let url = url(opened, replica, opened.platform.workers.operations, "")?;
    let token = opened.instance.secret(opened.platform.workers.operations_token);
    let table = Target::at(&url, &token).prove(opened.platform, step.stop)?;
    table.lines().for_each(|line| step.log.line(line));
    Ok(())
}

fn admit(opened: &Opened, replica: &Replica, step: &StepContext) -> Result<()> {
    serves(opened, replica, step)?;
    join_edge(opened, replica, step)
}

/// Nothing holds it back any more, and it is ready and healthy. One that was just started may not answer yet.
fn serves(opened: &Opened, replica: &Replica, step: &StepContext) -> Result<()> {
    files::remove(&opened.instance.held(&replica.name))?;
    until(step, &mut || {
        let said = match ask(opened, replica, step) {
            Ok(said) => said,
            Err(error) => return Ok(Some(format!("{error:#}"))),
        };
        if said.status != "ready" {
            return Ok(Some(said.reason.unwrap_or(said.status)));
        }
        let status = opened.status(&replica.name)?;
        Ok((status.health != HealthState::Healthy)
            .then(|| status.reason.unwrap_or_else(|| "it is not healthy yet".to_owned())))
    })
    .with_context(|| format!("{} did not become ready for requests", replica.name))
}

/// The edge of this environment, where one runs.
pub(super) fn edge(opened: &Opened) -> Option<EdgeSocket> {
    let slots = opened.slots();
    let edge = slots.iter().find(|unit| opened.platform.is_edge(unit))?;
    Some(EdgeSocket { folder: opened.instance.volume(edge, opened.platform.edge.folder), limit: ANSWER })
}

fn reload_edge(opened: &Opened, step: &StepContext) -> Result<()> {
    let edge = edge(opened).context("no edge runs")?;
    // The master of one that was just started executes itself again, and does not listen meanwhile.
    until(step, &mut || Ok(edge.processes().err().map(|error| format!("{error:#}"))))?;
    edge.reload()?;
    files::remove(&edge.folder.join(RELOAD_PENDING))
}

/// Changes what the edge sends a replica; an edge that is just being started again is waited for.
fn tell_edge(opened: &Opened, replica: &Replica, state: ServerState, step: &StepContext) -> Result<()> {
    let Some(edge) = edge(opened) else { return Ok(()) };
    // Before the edge sends it anything.
    files::remove(&opened.instance.withdrawn(&replica.name))?;
    until(step, &mut || {
        let told = edge.set_state(EdgePolicy::BACKEND, &replica.name, state);
        Ok(told.err().map(|error| format!("{error:#}")))
    })
}

fn join_edge(opened: &Opened, replica: &Replica, step: &StepContext) -> Result<()> {
    tell_edge(opened, replica, ServerState::Ready, step)?;
    let Some(edge) = edge(opened) else { return Ok(()) };
    until(step, &mut || Ok(not_up(&edge, replica)))
        .with_context(|| format!("the edge sends no requests to {}", replica.name))
}

/// Why the edge sends it nothing; none when it does. An edge that is just being started again says nothing.
fn not_up(edge: &EdgeSocket, replica: &Replica) -> Option<String> {
    match server(edge, replica) {
        Ok(found) if found.status.starts_with("UP") => None,
        Ok(found) => Some(format!("the edge considers it {}", found.status)),
        Err(error) => Some(format!("{error:#}")),
    }
}

fn server(edge: &EdgeSocket, replica: &Replica) -> Result<Server> {
    let servers = edge.servers()?.into_iter();
    let mut found =
        servers.filter(|server| server.backend == EdgePolicy::BACKEND && server.name == replica.name);
    found.next().with_context(|| format!("the edge has no server {}", replica.name))
}

/// Those that took requests so far still do: otherwise nothing leaves for them.
fn serve(opened: &Opened, replicas: &[Replica], step: &StepContext) -> Result<()> {
    let edge = edge(opened);
    for replica in replicas {
        let said = ask(opened, replica, step)?;
        if said.status != "ready" {
            let reason = said.reason.unwrap_or(said.status);
            bail!("{} became unready after it had started to take requests: {reason}", replica.name);
        }
        let Some(edge) = &edge else { continue };
        let until_it_is_noticed = Instant::now() + EDGE_RESTART;
        while let Some(reason) = not_up(edge, replica) {
            if Instant::now() >= until_it_is_noticed {
                bail!("{} had started to take requests, and now does not: {reason}", replica.name);
            }
            pause(step)?;
        }
    }
    Ok(())
}

/// The edge sends it nothing new. A worker of an earlier configuration may still do so: it is waited for.
fn drain(opened: &Opened, replica: &Replica, step: &StepContext) -> Result<()> {
    tell_edge(opened, replica, ServerState::Drain, step)?;
    let Some(edge) = edge(opened) else { return Ok(()) };
    until(step, &mut || Ok(still_ending(&edge).unwrap_or_else(|error| Some(format!("{error:#}")))))?;
    files::write::whole(&opened.instance.withdrawn(&replica.name), 0o600, "")
}

/// Which workers of an earlier configuration there still are; none when there is none.
fn still_ending(edge: &EdgeSocket) -> Result<Option<String>> {
    let found = edge.processes()?;
    // After a reload that failed, some versions call the worker that serves an old one.
    let ended = found.old_workers.is_empty() || found.failed_reloads > 0;
    Ok((!ended).then(|| {
        format!("{} old edge processes are still finishing their connections", found.old_workers.len())
    }))
}

/// Waits until no edge sends anything to replicas that are not in its configuration any more.
pub(super) fn await_old_edge(opened: &Opened) {
    let Some(edge) = edge(opened) else { return };
    let limit = Duration::from_millis(old_edge_ends_ms(opened.platform, &opened.environment));
    let ends = Instant::now() + limit;
    while Instant::now() < ends && matches!(still_ending(&edge), Ok(Some(_))) {
        std::thread::sleep(INTERVAL);
    }
}

/// Until the window is over, every replica stays the process that it is, and healthy.
fn watch(opened: &Opened, replicas: &[Replica], window: Duration, step: &StepContext) -> Result<()> {
    let ends = Instant::now() + window;
    let pids = |statuses: &[ServiceStatus]| {
        statuses.iter().map(|status| (status.name.clone(), status.pid)).collect::<BTreeMap<ServiceName, _>>()
    };
    let mut first = None;
    let edge = edge(opened);
    // None while the edge is being started again, which also begins to count anew.
    let errors = || -> Option<u64> {
        let edge = edge.as_ref()?;
        let of_one = |replica: &Replica| {
            let found = server(edge, replica).ok()?;
            Some(found.server_errors + found.connection_errors + found.response_errors)
        };
        replicas.iter().map(of_one).sum()
    };
    let errors_before = errors().unwrap_or_default();
    loop {
        let statuses: Vec<_> =
            replicas.iter().map(|replica| opened.status(&replica.name)).collect::<Result<_>>()?;
        let before = first.get_or_insert_with(|| pids(&statuses));
        for status in &statuses {
            if before.get(&status.name) != Some(&status.pid) {
                let reason = status.reason.clone().unwrap_or_default();
                bail!("{} restarted during the watch time: {reason}", status.name);
            }
            if status.health != HealthState::Healthy {
                let reason = status.reason.clone().unwrap_or_else(|| "it does not answer".to_owned());
                bail!("{} became unhealthy during the watch time: {reason}", status.name);
            }
        }
        let errors = errors().unwrap_or_default().saturating_sub(errors_before);
        if errors >= ERRORS {
            bail!("{errors} requests to the new replicas failed during the watch time");
        }
        if Instant::now() >= ends {
            // The supervisor may not have noticed yet what happened last.
            return serve(opened, replicas, step);
        }
        pause(step)?;
    }
}

/// Looks until `look` finds nothing more that is missing.
///
/// # Errors
/// As `look`, or with what it said last when the step's time is over.
pub(super) fn until(step: &StepContext, look: &mut dyn FnMut() -> Result<Option<String>>) -> Result<()> {
    let mut last = String::new();
    loop {
        let Some(missing) = look()? else { return Ok(()) };
        if missing != last {
            step.log.line(&missing);
            last = missing;
        }
        if Instant::now() >= step.deadline {
            return Err(anyhow!("timed out: {last}"));
        }
        pause(step)?;
    }
}

fn pause(step: &StepContext) -> Result<()> {
    if (step.stop)() {
        return Err(Stopped.into());
    }
    std::thread::sleep(INTERVAL);
    Ok(())
}

fn ask(opened: &Opened, replica: &Replica, step: &StepContext) -> Result<Said> {
    let service = opened.status(&replica.name)?;
    let until = step.deadline.min(Instant::now() + ANSWER);
    let said = deployed::ask(opened.platform, &service, until, step.stop)?;
    serde_json::from_value(said).with_context(|| format!("{}: cannot parse its health report", replica.name))
}

fn url(opened: &Opened, replica: &Replica, port: PortRef, path: &str) -> Result<String> {
    let slots = opened.platform.slots(&opened.environment);
    let unit: Option<&Unit<'_>> = slots.iter().find(|unit| unit.name() == replica.name);
    let number = unit.and_then(|unit| opened.resolver(&slots).own_port(unit, port));
    let number = number.with_context(|| format!("{} has no port {}", replica.name, port.name))?;
    Ok(format!("http://{ADDRESS}:{number}{path}"))
}
