//! `cargo xtask status`: what runs here.

mod deployed;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use vocabulary::model::Platform;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::engines::process::editor_link::editor_link;
use crate::session::deployed::report;
use crate::session::opened::recorded;
use crate::session::{DEFAULT, host, running};
use foundation::escape;
use foundation::exit::Reported;
use foundation::stdout;
use judges::site;
use runner::supervisor::protocol::{HealthState, ServiceStatus};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask status
  cargo xtask status --json
  cargo xtask status production    a deployed environment, here or on its host

Exit code 0 when every service is healthy, 1 when one is not or a deploy was interrupted, 2 when nothing runs.")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV", default_value = DEFAULT)]
    environment: String,
}

/// # Errors
/// Refused when nothing runs; reported when a service is not healthy.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    if let Some(done) = host::forwarded(context, &options.environment, &[]) {
        return done;
    }
    if let Some(deployed) = Deployed::found(&options.environment) {
        return deployed::show(context, &deployed);
    }
    site::named(&context.root, &options.environment)?;
    let (services, _) = running::client(context, &options.environment)?.status()?;
    let editors = editors(context, &options.environment, &services)?;
    let refusals: BTreeMap<&str, Refusal> = services
        .iter()
        .filter_map(|service| Some((service.name.0.as_str(), refusal(context.platform, service)?)))
        .collect();
    if context.json {
        let described = services.iter().map(|service| {
            let mut described = serde_json::json!(service);
            if let Some(link) = editors.get(&service.name.0) {
                described["editor"] = link.as_str().into();
            }
            if let Some(refusal) = refusals.get(service.name.0.as_str()) {
                described["refused"] = serde_json::json!(refusal);
            }
            described
        });
        stdout::json(&described.collect::<Vec<_>>())?;
    } else {
        let links = editors.values().map(|link| format!("\neditor  {link}\n"));
        let refused = refusals.iter().map(|(name, refusal)| format!("\n{name}: {refusal}\n"));
        stdout::text(&(table(&services) + &refused.collect::<String>() + &links.collect::<String>()))?;
    }
    let well = services.iter().all(|service| service.health == HealthState::Healthy);
    if well { Ok(()) } else { Err(Reported.into()) }
}

/// The last change of the flows that was not taken; the flows before it run.
#[derive(Debug, Serialize, Deserialize)]
struct Refusal {
    /// RFC 3339.
    at: String,
    /// `flows.json`, as somebody saved it, or `Deploy`, of the editor.
    what: String,
    reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, what, reason } = self;
        let at = at.split_once('T').map_or("", |(_, time)| time.get(..8).unwrap_or(time));
        let reason = escape::text(reason).replace('\n', "\n  ");
        write!(out, "{what} was refused at {at} UTC; the previous flows keep running\n  {reason}")
    }
}

/// What a service says of itself. One that cannot be asked is not healthy, and its reason is shown instead.
fn refusal(platform: &Platform, service: &ServiceStatus) -> Option<Refusal> {
    let mut said = report(platform, service)?;
    serde_json::from_value(said["refused"].take()).ok()
}

/// The link that opens the editor, by the service that serves it.
fn editors(
    context: &Context,
    environment: &str,
    services: &[ServiceStatus],
) -> Result<BTreeMap<String, String>> {
    let Some((folder, _)) = recorded(context, environment)? else { return Ok(BTreeMap::new()) };
    let token = folder.join("secrets").join(context.platform.workers.operations_token.0);
    let link = |service: &ServiceStatus| {
        let port = service.ports.get(context.platform.workers.editor.name)?;
        Some(editor_link(*port, &token).map(|link| (service.name.0.clone(), link)))
    };
    services.iter().filter_map(link).collect()
}

fn table(services: &[ServiceStatus]) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().replace('_', " ");
    let mut out =
        format!("{:<18} {:<12} {:<10} {:>8} {:>8}  PORTS\n", "SERVICE", "STATE", "HEALTH", "PID", "RESTARTS");
    for service in services {
        let ports: Vec<_> = service.ports.iter().map(|(name, port)| format!("{name}={port}")).collect();
        let state = word(serde_json::json!(service.state));
        let health = word(serde_json::json!(service.health));
        let pid = service.pid.map_or("-".to_owned(), |pid| pid.to_string());
        out.push_str(&format!(
            "{:<18} {state:<12} {health:<10} {pid:>8} {:>8}  {}\n",
            service.name.0,
            service.restarts,
            ports.join(" ")
        ));
        if let Some(reason) = service.reason.as_ref().filter(|_| service.health != HealthState::Healthy) {
            out.push_str(&format!("{:<18} {reason}\n", ""));
        }
    }
    out
}
