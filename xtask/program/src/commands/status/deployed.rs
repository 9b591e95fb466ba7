//! The status of an environment that releases are deployed to.

use anyhow::Result;
use foundation::columns;
use foundation::escape;
use foundation::exit::{Reported, refused};
use foundation::program_name::PROGRAM;
use foundation::stdout;
use runner::plan::lock::Found;
use runner::supervisor::protocol::{HealthState, State as Process};
use serde_json::json;
use vocabulary::model::Platform;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::deployment::history::{self, Entry};
use crate::engines::process::instance::{ADDRESS, serves_others};
use crate::engines::roll::running::Running;
use crate::session::deployed::State;

/// Of https.
const WELL_KNOWN: u16 = 443;

/// # Errors
/// Refused when nothing runs; reported when a service is not healthy or a deploy was interrupted.
pub fn show(context: &Context, deployed: &Deployed) -> Result<()> {
    let state = State::of(context, deployed)?;
    let interrupted = state.interrupted(context.platform);
    let url = url(context.platform, &state);
    if context.json {
        stdout::json(&described(&state, url.as_deref(), interrupted.as_deref()))?;
    } else {
        let workers = state.workers(context.platform);
        let is_worker = |name: &str| workers.contains_key(name);
        stdout::text(&(head(&state, url.as_deref(), interrupted.as_deref()) + &table(&state, &is_worker)))?;
    }
    if state.running.is_empty() {
        let name = &deployed.name;
        return Err(refused(format!("no service of {name} runs; start it with `{PROGRAM} start {name}`")));
    }
    let deploying = matches!(state.lock, Found::Held(_));
    let well =
        |running: &Running| running.status.health == HealthState::Healthy || (deploying && running.held);
    if interrupted.is_none() && state.running.values().all(well) { Ok(()) } else { Err(Reported.into()) }
}

fn described(state: &State, url: Option<&str>, interrupted: Option<&str>) -> serde_json::Value {
    let services = state.running.values().map(|running| {
        let mut service = json!(running.status);
        service["release"] = json!(running.release);
        service["held"] = running.held.into();
        service
    });
    let deploy = match (&state.lock, interrupted) {
        (Found::Held(holder), _) => json!({ "state": "running", "holder": holder }),
        (_, Some(why)) => json!({ "state": "interrupted", "why": why }),
        (_, None) if state.deploying => json!({ "state": "running" }),
        (_, None) => json!({ "state": "none" }),
    };
    json!({
        "environment": state.environment.name,
        "release": history::current(&state.history),
        "url": url,
        "previous": history::previous(&state.history),
        "last": state.history.last(),
        "deploy": deploy,
        "services": services.collect::<Vec<_>>(),
    })
}

fn head(state: &State, url: Option<&str>, interrupted: Option<&str>) -> String {
    let or_none = |release: Option<&str>| release.unwrap_or("none").to_owned();
    let mut rows = vec![
        ("environment", state.environment.name.clone()),
        ("release", or_none(history::current(&state.history))),
        ("previous", or_none(history::previous(&state.history))),
    ];
    rows.extend(state.history.last().map(|entry| ("last change", change(entry))));
    rows.extend(url.map(|url| ("address", url.to_owned())));
    if state.deploying {
        let holder = match &state.lock {
            Found::Held(holder) => holder.to_string(),
            Found::Free | Found::Dead(_) => "a deploy is starting".to_owned(),
        };
        rows.push(("under way", holder));
    }
    rows.extend(interrupted.map(|why| ("INTERRUPTED", why.to_owned())));
    columns::list(rows.iter().map(|(name, about)| (*name, about.as_str())))
}

/// Where clients reach it, while its edge runs.
fn url(platform: &Platform, state: &State) -> Option<String> {
    let port = state.edge_port(platform)?;
    let environment = &state.environment;
    let host = if serves_others(environment) { environment.domain.as_str() } else { ADDRESS };
    Some(if port == WELL_KNOWN { format!("https://{host}") } else { format!("https://{host}:{port}") })
}

fn change(entry: &Entry) -> String {
    let Entry { at, who, host, change, to, result, why, settings, .. } = entry;
    let settings = settings.as_ref().map_or_else(String::new, |why| format!("; {}", escape::text(why)));
    let why = why.as_ref().map_or_else(String::new, |why| format!(", because: {}", escape::text(why)));
    format!("{at} {} of {to} by {who}@{host}: {}{why}{settings}", change.name(), result.words())
}

fn table(state: &State, is_worker: &dyn Fn(&str) -> bool) -> String {
    if state.running.is_empty() {
        return String::new();
    }
    let head = ["SERVICE", "RELEASE", "STATE", "HEALTH", "PID", "RESTARTS"].map(str::to_owned);
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().replace('_', " ");
    let row = |(name, Running { status, release, held, .. }): (&String, &Running)| {
        let state = match status.state {
            Process::Running if *held => "held".to_owned(),
            Process::Running if is_worker(name) => "serving".to_owned(),
            other => word(json!(other)),
        };
        [
            name.clone(),
            release.clone().unwrap_or_else(|| "-".to_owned()),
            state,
            word(json!(status.health)),
            status.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            status.restarts.to_string(),
        ]
    };
    let lines = columns::table(&[vec![head], state.running.iter().map(row).collect()].concat());
    let reason = |running: &Running| {
        let reason = running.status.reason.as_ref().filter(|_| running.status.health != HealthState::Healthy);
        reason.map_or_else(String::new, |reason| format!("    {}\n", escape::text(reason)))
    };
    let reasons = std::iter::once(String::new()).chain(state.running.values().map(reason));
    let shown: String =
        lines.lines().zip(reasons).map(|(line, reason)| format!("{line}\n{reason}")).collect();
    format!("\n{shown}")
}
