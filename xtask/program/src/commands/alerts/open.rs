//! `cargo xtask alerts list ENV`: what fires there, and what PagerDuty may still have open.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::json;
use vocabulary::model::Monitoring;
use vocabulary::model::environment::Environment;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::engines::process::instance::ADDRESS;
use crate::engines::record_in;
use crate::open_pages::{EVENTS, Firing, look, resolve};
use crate::session::deployed::{State, folder_of};
use crate::session::host;
use foundation::columns;
use foundation::exit::{Reported, refused};
use foundation::program_name::PROGRAM;
use foundation::stdout;
use judges::site;

/// # Errors
/// Refused when no such environment runs its monitoring here; reported when a page cannot be ended.
pub fn run(context: &Context, name: &str, resolves: bool) -> Result<()> {
    if let Some(done) = host::forwarded(context, name, &[]) {
        return done;
    }
    let monitoring = context.platform.monitoring.context("the platform has no monitoring")?;
    let folder = folder_of(context, name)?;
    let environment = environment_of(context, name)?;
    let port =
        record_in(&folder)?.and_then(|record| record.ports.get(&monitoring.notifier.to_string()).copied());
    let port = port.ok_or_else(|| {
        refused(format!(
            "{name} runs no {} here; `{PROGRAM} status {name}` shows what runs",
            monitoring.notifier.service
        ))
    })?;
    let seen = look(context.platform, name, &format!("http://{ADDRESS}:{port}"))?;
    let mut failed = Vec::new();
    if resolves {
        let (url, key) = pager(&environment, &folder, monitoring)?;
        for area in &seen.left_open {
            if let Err(error) = resolve(&url, &key, name, area) {
                eprintln!("{area}: {error:#}");
                failed.push(*area);
            }
        }
    }
    if context.json {
        stdout::json(&json!({
            "firing": seen.firing, "may_be_open": seen.left_open, "resolved": resolves, "failed": failed,
        }))?;
    } else {
        show(name, &seen.firing, &seen.left_open, resolves, &failed)?;
    }
    if failed.is_empty() { Ok(()) } else { Err(Reported.into()) }
}

fn environment_of(context: &Context, name: &str) -> Result<Environment> {
    match Deployed::found(name) {
        Some(deployed) => Ok(State::of(context, &deployed)?.environment),
        None => site::load(&context.root, name, &site::known(context.platform)),
    }
}

/// Where events go, and the key that they carry.
fn pager(
    environment: &Environment,
    folder: &std::path::Path,
    monitoring: Monitoring,
) -> Result<(String, String)> {
    let contacts = environment.contacts.as_ref().filter(|contacts| contacts.pagerduty_service.is_some());
    let contacts = contacts.ok_or_else(|| {
        refused(format!("{} pages nobody: contacts.pagerduty_service is not set", environment.name))
    })?;
    let file = folder.join("secrets").join(monitoring.paging_key.0);
    let key = fs::read_to_string(&file).map_err(|error| {
        refused(format!("{}: {error}; expected the routing key of PagerDuty", file.display()))
    })?;
    Ok((contacts.pagerduty_url.clone().unwrap_or_else(|| EVENTS.to_owned()), key.trim().to_owned()))
}

fn show(name: &str, firing: &[Firing], left_open: &[&str], resolves: bool, failed: &[&str]) -> Result<()> {
    if firing.is_empty() {
        stdout::text(&format!("nothing fires in {name}\n"))?;
    } else {
        let head = ["alert", "severity", "instance", "since", "told"].map(str::to_owned);
        let row = |one: &Firing| {
            let label = |name: &str| one.labels.get(name).map_or("-", String::as_str).to_owned();
            let told = match (&one.status.silenced_by[..], &one.status.inhibited_by[..]) {
                ([], []) => "yes",
                ([], _) => "no: inhibited",
                _ => "no: silenced",
            };
            let since = one.since.split('.').next().unwrap_or_default().to_owned();
            [label("alertname"), label("severity"), label("instance"), since, told.to_owned()]
        };
        let rows: Vec<_> = std::iter::once(head).chain(firing.iter().map(row)).collect();
        stdout::text(&columns::table(&rows))?;
    }
    for area in left_open.iter().filter(|area| !failed.contains(area)) {
        let what = if resolves {
            "its page is ended at PagerDuty".to_owned()
        } else {
            format!(
                "PagerDuty may still have its page open: alerts of it were silenced, and none fires any more; `{PROGRAM} \
                 alerts list {name} --resolve` ends the page"
            )
        };
        stdout::text(&format!("{area}: {what}\n"))?;
    }
    Ok(())
}
