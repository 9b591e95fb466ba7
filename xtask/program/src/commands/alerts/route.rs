//! `cargo xtask alerts route`: who would be told of an alert, as amtool reads the environment's routes, and what would keep it
//! from being told.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use artifacts::monitoring::notifications::{self, FILE, Inhibition};
use serde_json::json;
use vocabulary::model::environment::Environment;

use crate::context::Context;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::exit::refused;
use foundation::files::temporary;
use foundation::stdout;
use judges::site;

#[derive(Debug, clap::Args)]
pub struct RouteOptions {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: String,
    /// Labels of the alert; what the definition of alertname=NAME says of it is known
    #[arg(value_name = "LABEL=VALUE", required = true)]
    labels: Vec<String>,
}

/// # Errors
/// Refused when a label cannot be read or there is no such environment.
pub fn run(context: &Context, options: &RouteOptions) -> Result<()> {
    let platform = context.platform;
    if platform.monitoring.is_none() {
        return Err(refused("the platform has no monitoring, so there are no routes"));
    }
    let environment = site::load(&context.root, &options.environment, &site::known(platform))?;
    let labels = labels(context, &environment, &options.labels)?;
    let rendered = artifacts::render(platform, &environment)
        .map_err(|problems| refused(vocabulary::problem::listing(&problems)))?;
    let ending = format!("/{FILE}");
    let rendered = rendered.iter().find(|one| one.path.ends_with(&ending));
    let folder = temporary::folder("flowship-route-")?;
    let file = folder.path().join(FILE);
    std::fs::write(&file, &rendered.context("no configuration of the notifier is rendered")?.contents)?;
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::Prometheus], progress::on_stderr().as_ref())?;
    let words = ["config", "routes", "test", "--config.file"].map(std::ffi::OsString::from);
    let pairs = labels.iter().map(|(name, value)| format!("{name}={value}").into());
    let argv = toolbox.invocation(Program::Amtool)?.argv(words.into_iter().chain([file.into()]).chain(pairs));
    let output =
        duct::cmd(&argv[0], &argv[1..]).stdin_null().stderr_to_stdout().stdout_capture().unchecked().run()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        bail!("amtool config routes test ended with {}: {said}", output.status);
    }
    let receivers: Vec<&str> =
        said.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()).collect();
    let told: Vec<_> =
        receivers.iter().map(|name| (*name, notifications::told(&environment, name))).collect();
    let inhibited: Vec<String> = notifications::INHIBITIONS
        .iter()
        .filter(|one| one.concerns(&labels))
        .map(|one| why(one, &labels))
        .collect();
    let quiet = notifications::quiet(&environment, &labels);
    if context.json {
        let told: Vec<_> =
            told.iter().map(|(name, channels)| json!({ "receiver": name, "channels": channels })).collect();
        return stdout::json(&json!({
            "labels": labels, "told": told, "not_while": inhibited, "not_during": quiet,
        }));
    }
    for (name, channels) in told {
        let channels =
            if channels.is_empty() { "nobody: no contact is set".to_owned() } else { channels.join(", ") };
        stdout::text(&format!("receiver {name}: {channels}\n"))?;
    }
    let shown: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    stdout::text(&format!("why: amtool sends {{{}}} there\n", shown.join(", ")))?;
    for reason in inhibited {
        stdout::text(&format!("not while: {reason}\n"))?;
    }
    quiet.map_or(Ok(()), |hours| stdout::text(&format!("not during: {hours} UTC; delivered afterwards\n")))
}

fn labels(
    context: &Context,
    environment: &Environment,
    given: &[String],
) -> Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::from([("environment".to_owned(), environment.name.clone())]);
    let mut own = BTreeMap::new();
    for label in given {
        let pair = label.split_once('=').filter(|(name, _)| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        let Some((name, value)) = pair else {
            return Err(refused(format!("{label}: expected LABEL=VALUE, such as severity=critical")));
        };
        own.insert(name.to_owned(), value.to_owned());
    }
    let known =
        own.get("alertname").and_then(|name| super::alerts(context).find(|(_, alert)| alert.name == *name));
    if let Some((service, alert)) = known {
        let added =
            artifacts::alert_rules::added(alert, artifacts::alert_rules::area(context.platform, service.id));
        labels.extend(added.map(|(name, value)| (name.to_owned(), value)));
    }
    labels.extend(own);
    Ok(labels)
}

fn why(one: &Inhibition, labels: &BTreeMap<String, String>) -> String {
    let same: Vec<_> = one
        .equal
        .iter()
        .map(|name| {
            let value = labels.get(*name).map_or("", String::as_str);
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("an alert with {} fires for {}", one.source.join(", "), same.join(", "))
}
