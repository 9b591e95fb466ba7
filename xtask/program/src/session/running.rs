//! Starts and stops a platform, and finds the running one.

use std::path::PathBuf;

use anyhow::{Result, bail};

use vocabulary::model::environment::{EngineKind, Environment};

use super::deployer;
use super::natives;
use super::opened::{Opened, recorded};
use super::rolling;
use super::secret_audit;
use crate::context::Context;
use crate::engines::process::instance::Ports;
use crate::engines::process::instance::{Record, supervisor_of};
use crate::engines::process::lower::BringUp;
use crate::engines::process::secret_files;
use crate::engines::roll::places;
use crate::engines::{self, Data, Intent, Place, running as running_in};
use foundation::exit::refused;
use foundation::interrupt::Interrupt;
use foundation::program_name::PROGRAM;
use runner::plan::lock;
use runner::plan::mask::Mask;
use runner::plan::perform::StepContext;
use runner::plan::report::{Outcome, Report};
use runner::plan::runner::Runner;
use runner::plan::service::ServiceName;
use runner::plan::show::Show;
use runner::plan::step::Plan;
use runner::supervisor::{Client, Link, Recovered, recover as recover_supervisor};

/// Milliseconds that the programs of a plan's steps get to exit.
const GRACE_MS: u64 = 5_000;

/// The folder of the supervisor of a target.
pub fn supervisor(context: &Context, target: &str) -> PathBuf {
    supervisor_of(&context.state().join(target))
}

/// Ends what a killed supervisor has left, and reports it.
///
/// # Errors
/// When something cannot be ended.
pub fn recover(context: &Context, target: &str, show: &Show) -> Result<Recovered> {
    let recovered = recover_supervisor(&supervisor(context, target))?;
    if let Recovered::Ended(names) = &recovered {
        show.say(&format!("the supervisor was killed; stopped what it left: {}", names.join(", ")));
    }
    Ok(recovered)
}

/// The record of the platform that runs under a target; none when none runs.
///
/// # Errors
/// When the supervisor cannot be asked.
pub fn record(context: &Context, target: &str) -> Result<Option<Record>> {
    if Client::connect(&supervisor(context, target))?.is_none() {
        return Ok(None);
    }
    Ok(recorded(context, target)?.map(|(_, record)| record))
}

/// # Errors
/// When another run holds the target; the error names it.
pub fn refuse_held(context: &Context, target: &str) -> Result<()> {
    lock::refuse_held(&lock::path_in(&context.state().join(target)))
}

/// Ends what another engine than the wanted one still runs of a platform.
///
/// # Errors
/// Refused when it still runs there; otherwise when it cannot be ended.
pub fn leave_other_engine(
    context: &Context,
    target: &str,
    wanted: Option<EngineKind>,
    running: Option<&Record>,
    show: &Show,
) -> Result<()> {
    if let (Some(wanted), Some(running)) = (wanted, running)
        && wanted != running.engine
    {
        return Err(refused(format!(
            "{target} runs on the {} engine; stop it first with `{PROGRAM} down`, then start it on {wanted}",
            running.engine
        )));
    }
    let left = recorded(context, target)?.map(|(_, record)| record.engine);
    if running.is_none() && left == Some(EngineKind::Compose) && wanted != left {
        bring_down(context, target, show, &Interrupt::listen()?)?;
    }
    Ok(())
}

/// Connects to the supervisor of a target that must be running.
///
/// # Errors
/// Refused when none runs, with the command that starts one.
pub fn client(context: &Context, target: &str) -> Result<Client> {
    Client::connect(&supervisor(context, target))?.ok_or_else(|| {
        let environment = if target == super::DEFAULT { String::new() } else { format!(" {target}") };
        refused(format!("{target} does not run here; start it with `{PROGRAM} dev{environment}`"))
    })
}

/// Executes a plan of [`Opened::plan`], then removes services that the platform no longer has.
///
/// # Errors
/// Refused when a secret that the site must provide is missing; otherwise when the target is locked or its folder cannot
/// be used.
pub fn bring_up(
    context: &Context,
    opened: &Opened,
    plan: &Plan<BringUp>,
    show: &Show,
    interrupt: &Interrupt,
) -> Result<Report> {
    secret_files::given(&opened.resolver(&opened.units()))?;
    let report = carry_out(context, opened, plan, show, interrupt)?;
    if let Err(error) = secret_audit::export(opened) {
        show.say(&format!("warning: the monitoring is not told how old the secrets are: {error:#}"));
    }
    if report.outcome == Outcome::Done
        && let Err(error) = remove_others(context, opened, show, interrupt)
    {
        // What was wanted runs: nothing is undone for that.
        show.say(&format!("warning: a service that is no longer used still runs: {error:#}"));
    }
    Ok(report)
}

/// Executes a plan of [`Opened::plan`].
///
/// # Errors
/// When the target is locked or its folder cannot be used.
pub fn carry_out(
    context: &Context,
    opened: &Opened,
    plan: &Plan<BringUp>,
    show: &Show,
    interrupt: &Interrupt,
) -> Result<Report> {
    let native = |action: &BringUp, step: &StepContext| natives::perform(opened, action, step);
    let mask = Mask::default();
    opened.resolver(&opened.units()).secret_places().iter().try_for_each(|place| mask.follow(place))?;
    let with_mask = Runner { mask, ..Runner::new(context.target(), interrupt.clone(), &native) };
    runner(with_mask, show).run(plan)
}

fn remove_others(context: &Context, opened: &Opened, show: &Show, interrupt: &Interrupt) -> Result<()> {
    let Some(client) = Client::connect(&supervisor(context, &opened.target))? else { return Ok(()) };
    let mut wanted: Vec<_> = opened.slots().iter().map(vocabulary::model::Unit::name).collect();
    if opened.instance.release.is_some() {
        let running = running_in(opened.platform, &opened.instance.folder)?;
        let idle = places::idle(opened.platform, &opened.environment, &running);
        wanted.retain(|name| !idle.contains(name));
    }
    let is_other = |name: &ServiceName| name.0 != deployer::NAME && !wanted.contains(&name.0);
    let mut supervised: Vec<_> = client.status()?.0.into_iter().map(|service| service.name).collect();
    supervised.retain(is_other);
    let plan = opened.others();
    if supervised.is_empty() && plan.steps.is_empty() {
        return Ok(());
    }
    rolling::await_old_edge(opened);
    if !plan.steps.is_empty() {
        carry_out(context, opened, &plan, show, interrupt)?.into_result()?;
    }
    for name in supervised {
        show.say(&format!("{name} is no longer used: stopped"));
        client.remove(&name)?;
    }
    Ok(())
}

/// Stops a platform, if it runs.
///
/// # Errors
/// When it cannot be ended.
pub fn bring_down(context: &Context, target: &str, show: &Show, interrupt: &Interrupt) -> Result<()> {
    let plan = plan_down(context, target, Data::Stay)?;
    take_down(context, &plan, show, interrupt)
}

/// The engine on which a target was last started.
///
/// # Errors
/// When its record cannot be read.
pub fn engine(context: &Context, target: &str) -> Result<EngineKind> {
    Ok(recorded(context, target)?.map(|(_, record)| record.engine).unwrap_or_default())
}

/// The plan that stops the platform of a target on the engine that started it.
///
/// # Errors
/// When its record cannot be read, or its engine does not answer.
pub fn plan_down(context: &Context, target: &str, data: Data) -> Result<Plan<BringUp>> {
    let platform = context.platform;
    // The environment file may have been removed or changed since.
    let environment =
        Environment { name: target.to_owned(), engine: engine(context, target)?, ..Environment::default() };
    let place = Place { context, target, ports: &Ports::new(), release: None };
    let intent = Intent::BringDown { data };
    let lowered = engines::engine(environment.engine)?.observe(&place, &intent, platform, &environment)?;
    Ok(lowered.plan(platform, &environment))
}

/// Executes a plan of [`plan_down`].
///
/// # Errors
/// When something cannot be ended.
pub fn take_down(context: &Context, plan: &Plan<BringUp>, show: &Show, interrupt: &Interrupt) -> Result<()> {
    let native = |action: &BringUp, _: &StepContext| bail!("{action:?} is no part of taking a platform down");
    runner(Runner::new(context.target(), interrupt.clone(), &native), show).run(plan)?.into_result()
}

fn runner<'a, N>(runner: Runner<'a, N>, show: &Show) -> Runner<'a, N> {
    // Most steps do not wait for a processor.
    let jobs = runner.jobs.max(4);
    Runner { jobs, grace_ms: GRACE_MS, show: show.clone(), supervision: Some(&Link), ..runner }
}
