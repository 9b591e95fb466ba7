//! `cargo xtask status`: what runs here.

use anyhow::Result;

use super::dev::{DEFAULT, running};
use crate::context::Context;
use crate::engines::process::supervisor::protocol::{HealthState, ServiceStatus};
use crate::exit::Reported;
use crate::site;
use crate::stdout;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask status\n  cargo xtask status --json\n\nExit code 1 when a service is not healthy, 2 \
                        when nothing runs."
)]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV", default_value = DEFAULT)]
    environment: String,
}

/// # Errors
/// Refused when nothing runs; reported when a service is not healthy.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    site::named(&context.root, &options.environment)?;
    let (services, _) = running::client(context, &options.environment)?.status()?;
    if context.json {
        stdout::json(&services)?;
    } else {
        stdout::text(&table(&services))?;
    }
    let well = services.iter().all(|service| service.health == HealthState::Healthy);
    if well { Ok(()) } else { Err(Reported.into()) }
}

fn table(services: &[ServiceStatus]) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().replace('_', " ");
    let mut out =
        format!("{:<16} {:<12} {:<10} {:>8} {:>8}  PORTS\n", "SERVICE", "STATE", "HEALTH", "PID", "RESTARTS");
    for service in services {
        let ports: Vec<_> = service.ports.iter().map(|(name, port)| format!("{name}={port}")).collect();
        let state = word(serde_json::json!(service.state));
        let health = word(serde_json::json!(service.health));
        let pid = service.pid.map_or("-".to_owned(), |pid| pid.to_string());
        out.push_str(&format!(
            "{:<16} {state:<12} {health:<10} {pid:>8} {:>8}  {}\n",
            service.name.0,
            service.restarts,
            ports.join(" ")
        ));
        if let Some(reason) = service.reason.as_ref().filter(|_| service.health != HealthState::Healthy) {
            out.push_str(&format!("{:<16} {reason}\n", ""));
        }
    }
    out
}
