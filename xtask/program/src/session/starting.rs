//! Stops what is deployed to an environment of this machine, and starts it again as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use vocabulary::model::{Lifetime, ServiceId, Unit};
use vocabulary::problem::listing;

use super::deployer;
use super::deploying::By;
use super::opened::Opened;
use super::{dry_run, fetched_certificate, running};
use crate::context::Context;
use crate::deployment::history::{self, Change, Entry, Outcome};
use crate::deployment::releases::Installed;
use crate::deployment::{Deployed, STATE};
use crate::engines::roll::running::Running;
use crate::engines::{Data, Intent, running as running_in};
use foundation::clock::{millis, now_ms, utc};
use foundation::exit::refused;
use foundation::files;
use foundation::interrupt::Interrupt;
use foundation::program_name::PROGRAM;
use foundation::stdout;
use runner::plan::show::Show;
use runner::supervisor::Client;
use runner::supervisor::protocol::{HealthState, State};
use serde_json::json;

/// Ends every service, those that use others first: requests and tasks are finished. Data and releases stay.
///
/// # Errors
/// Another command changes the environment, or a service cannot be ended.
pub fn stop(context: &Context, deployed: &Deployed, by: &By, only_show: bool) -> Result<()> {
    let name = &deployed.name;
    let place = Context::deployed(context.root.clone(), deployed.state.clone(), context);
    let plan = || running::plan_down(&place, name, Data::Stay);
    if only_show {
        return dry_run::show(&place, &plan()?);
    }
    let _lock = deployer::hold_off(deployed)?;
    let (show, begun) = (Show::on_stderr(), Instant::now());
    running::recover(&place, name, &show)?;
    // The supervisor ends last: while it is there, an earlier run was killed before it was done.
    let is_left = running::record(&place, name)?.is_some();
    if running_in(context.platform, &deployed.folder())?.is_empty() && !is_left {
        return said(context, name, false, &format!("nothing of {name} runs\n"));
    }
    let plan = plan()?;
    let kept = deployed.site().and_then(|site| {
        let environment = deployed.judged(context.platform, files::read(&site, files::TEXT)?.bytes)?;
        fetched_certificate::keep(context.platform, &environment, &deployed.folder())
    });
    if let Err(error) = kept {
        show.say(&format!("warning: the certificate that the edge has renewed is not kept: {error:#}"));
    }
    let ended = running::take_down(&place, &plan, &show, &Interrupt::listen()?);
    record(deployed, Change::Stop, by, begun, &ended)?;
    ended?;
    said(context, name, true, &format!("{name} is stopped; `{PROGRAM} start {name}` starts it again\n"))
}

/// Starts the release that ran last, with the settings that it was deployed with, by its own program. It has proved itself
/// before: there is no smoke, which would keep it down while a provider does not answer.
///
/// # Errors
/// Refused when nothing was deployed, its files were changed, or a part of it runs; otherwise when it cannot be started.
pub fn start(context: &Context, deployed: &Deployed, by: &By) -> Result<()> {
    let (name, site) = (&deployed.name, deployed.site()?);
    let entries = history::read(&deployed.folder())?;
    let current = history::current(&entries)
        .ok_or_else(|| refused(format!("no deploy to {name} has succeeded; deploy a release first")))?;
    let installed = Installed::at(&deployed.releases(), current);
    let problems = installed.problems();
    if !problems.is_empty() {
        return Err(refused(format!("{name} was not started:\n{}", listing(&problems))));
    }
    if context.root.canonicalize()? != installed.tree().canonicalize()? {
        let mut command = Command::new(installed.program());
        command.arg("--root").arg(installed.tree()).args(["start", name]).args(by.words());
        let error = command.args(context.json.then_some("--json")).env(STATE, &deployed.state).exec();
        return Err(error).with_context(|| format!("cannot start {}", installed.program().display()));
    }
    let environment = deployed.judged(context.platform, files::read(&site, files::TEXT)?.bytes)?;
    let _lock = deployer::hold_off(deployed)?;
    let place = Context::deployed(installed.tree(), deployed.state.clone(), context);
    let (show, begun) = (Show::on_stderr(), Instant::now());
    running::recover(&place, name, &show)?;
    let intent = Intent::BringUp { watches: false, inspect: None };
    let opened = Opened::deployed(&place, environment, &installed.identity()?, intent)?;
    if runs(&opened, deployed)? && (!opened.in_containers() || are_followed(&place, deployed)?) {
        return said(context, name, false, &format!("{name} already runs {current}\n"));
    }
    // A container may run and wait: its engine's plan decides.
    for unit in opened.units().iter().filter(|_| !opened.in_containers()) {
        // A deploy that ended with the machine may have left them.
        files::remove(&opened.instance.held(&unit.name()))?;
        files::remove(&opened.instance.withdrawn(&unit.name()))?;
    }
    let report = running::bring_up(&place, &opened, &opened.plan(), &show, &Interrupt::listen()?)?;
    let ended = report.into_result();
    record(deployed, Change::Start, by, begun, &ended)?;
    ended?;
    let took = begun.elapsed().as_secs_f64();
    said(context, name, true, &format!("{name} runs {current} (took {took:.1} s)\n"))
}

fn said(context: &Context, environment: &str, changed: bool, text: &str) -> Result<()> {
    if context.json {
        return stdout::json(&json!({ "environment": environment, "changed": changed }));
    }
    stdout::text(text)
}

/// Whether everything runs and is healthy, wherever a roll has put the replicas.
///
/// # Errors
/// Refused when a process that is a replica runs in a place of its own, and something else does not.
fn runs(opened: &Opened, deployed: &Deployed) -> Result<bool> {
    let running = running_in(opened.platform, &deployed.folder())?;
    let (units, slots) = (opened.units(), opened.slots());
    let is_well = |unit: &Unit<'_>| {
        running.get(&unit.name()).is_some_and(|Running { status, held, .. }| {
            status.state == State::Running && status.health == HealthState::Healthy && !held
        })
    };
    let mut wanted = BTreeMap::<ServiceId, usize>::new();
    for unit in units.iter().filter(|unit| unit.service.lifetime != Lifetime::OneShot) {
        *wanted.entry(unit.service.id).or_default() += 1;
    }
    let well = |id: ServiceId| slots.iter().filter(|slot| slot.service.id == id && is_well(slot)).count();
    if wanted.iter().all(|(id, wanted)| well(*id) >= *wanted) {
        return Ok(true);
    }
    let names: BTreeSet<String> = units.iter().map(Unit::name).collect();
    let mut spare = slots.iter().map(Unit::name).filter(|name| !names.contains(name));
    let elsewhere = spare.find(|name| running.contains_key(name));
    match elsewhere {
        Some(replica) if !opened.in_containers() => Err(refused(format!(
            "{replica} runs, and others do not: `{PROGRAM} down {0}` first, then `{PROGRAM} start {0}`",
            deployed.name
        ))),
        _ => Ok(false),
    }
}

/// Whether the supervisor has all containers: those that the engine has started again are followed by nobody.
fn are_followed(place: &Context, deployed: &Deployed) -> Result<bool> {
    let Some(client) = Client::connect(&running::supervisor(place, &deployed.name))? else {
        return Ok(false);
    };
    let followed: BTreeSet<String> = client.status()?.0.into_iter().map(|service| service.name.0).collect();
    Ok(running_in(place.platform, &deployed.folder())?.keys().all(|name| followed.contains(name)))
}

fn record(deployed: &Deployed, change: Change, by: &By, begun: Instant, ended: &Result<()>) -> Result<()> {
    let folder = deployed.folder();
    let entries = history::read(&folder)?;
    // Without one, nobody could tell what was stopped.
    let Some(current) = history::current(&entries) else { return Ok(()) };
    let typed_by = by.who();
    let (who, host) = typed_by.rsplit_once('@').unwrap_or((&typed_by, ""));
    let entry = Entry {
        at: utc(now_ms() / 1000),
        who: who.to_owned(),
        host: host.to_owned(),
        command: by.command(),
        change,
        from: Some(current.to_owned()),
        to: current.to_owned(),
        digest: Installed::at(&deployed.releases(), current).digest()?,
        migrations: Vec::new(),
        settings: None,
        result: if ended.is_ok() { Outcome::Done } else { Outcome::Failed },
        why: ended.as_ref().err().map(|error| format!("{error:#}")),
        duration_ms: millis(begun.elapsed()),
    };
    history::append(&folder, &entry)
}
