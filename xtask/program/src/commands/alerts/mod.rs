//! `cargo xtask alerts`: the alert rules, judged by promtool, what their tests are worth, who is told of an alert, and what fires.

mod collector;
mod fire;
mod mutants;
mod open;
mod promtool;
mod route;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use vocabulary::model::{Alert, Service};

use crate::context::Context;
use foundation::columns;
use foundation::exit::{Reported, refused};
use foundation::nearest::closest_hint;
use foundation::stdout;
use promtool::Promtool;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask alerts list
  cargo xtask alerts list --json | jq '.[] | select(.severity == \"critical\") | .name'
  cargo xtask alerts list production
  cargo xtask alerts check
  cargo xtask alerts test
  cargo xtask alerts test --mutants           every fault that somebody could make in a rule
  cargo xtask alerts test --mutants=100       a hundred of them
  cargo xtask alerts test --mutants QueueOld
  cargo xtask alerts route production alertname=PostgresDown
  cargo xtask alerts route production severity=warning instance=node-red-a
  cargo xtask alerts fire PostgresDown TargetDown
  cargo xtask alerts fire --json              all of them; it takes about half an hour

Exit code 0 when nothing is found; 1 when a rule is refused, a test fails, too few faults are noticed, an alert does not \
reach its receivers or a page cannot be ended; 2 when there is no such alert.")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the alerts, or those that fire in an environment
    List(ListOptions),
    /// Have promtool check the rules in ops/monitoring, and the log collector its configuration
    Check,
    /// Have promtool run the tests of the rules
    Test(TestOptions),
    /// Show who would be told of an alert with these labels, and what would keep it from being told
    Route(route::RouteOptions),
    /// Cause the real fault of each alert on a platform of its own, and see who is told and when
    Fire(fire::FireOptions),
}

#[derive(Debug, Args)]
struct ListOptions {
    /// What fires in this environment, and the pages that may be open although nothing fires any more
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    /// End these pages at PagerDuty
    #[arg(long, requires = "environment")]
    resolve: bool,
}

#[derive(Debug, Args)]
struct TestOptions {
    /// Only these alerts or recording rules
    #[arg(value_name = "RULE")]
    rules: Vec<String>,
    /// Make faults in the rules, at most so many, and count those that the tests notice
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    mutants: Option<String>,
}

impl Options {
    /// See [`runner::plan::register`].
    pub fn is_registered(&self) -> bool {
        !matches!(self.what, What::List(_))
    }
}

/// # Errors
/// Reported when promtool finds something; refused when an alert is unknown.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    match &options.what {
        What::List(ListOptions { environment: Some(environment), resolve }) => {
            open::run(context, environment, *resolve)
        }
        What::List(_) => list(context),
        What::Check => check(context),
        What::Test(options) => test(context, options),
        What::Route(options) => route::run(context, options),
        What::Fire(options) => fire::run(context, options),
    }
}

fn alerts(context: &Context) -> impl Iterator<Item = (&'static Service, &'static Alert)> {
    let services = context.platform.services.iter();
    services.flat_map(|service| service.alerts.iter().map(move |alert| (service, alert)))
}

fn list(context: &Context) -> Result<()> {
    if context.json {
        let all = alerts(context).map(|(service, alert)| {
            json!({
                "name": alert.name,
                "severity": alert.severity,
                "service": service.id,
                "for_minutes": alert.for_minutes,
                "owner": alert.owner,
                "expression": alert.expression,
                "meaning": alert.meaning,
                "runbook": artifacts::alert_rules::runbook(alert),
                "tests": alert.tests.len(),
            })
        });
        return stdout::json(&all.collect::<Vec<_>>());
    }
    let head = ["alert", "severity", "about", "after", "owner", "tests"].map(str::to_owned);
    let row = |(service, alert): (&Service, &Alert)| {
        [
            alert.name.to_owned(),
            alert.severity.name().to_owned(),
            service.id.to_string(),
            format!("{} min", alert.for_minutes),
            alert.owner.to_owned(),
            alert.tests.len().to_string(),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(alerts(context).map(row)).collect();
    stdout::text(&columns::table(&rows))
}

fn check(context: &Context) -> Result<()> {
    let promtool = Promtool::open(context)?;
    let files = promtool::files(context, "rules")?;
    promtool.must_refuse_a_fault()?;
    let mut judged = promtool.run("check", &files)?;
    judged.findings.extend(collector::judge(context)?);
    let rules = alerts(context).count() + context.platform.recordings.len();
    if context.json {
        stdout::json(&json!({
            "promtool": promtool.version,
            "files": files.len(),
            "rules": rules,
            "findings": judged.findings,
        }))?;
    }
    if !judged.findings.is_empty() {
        judged.findings.iter().for_each(|finding| eprintln!("{finding}"));
        return Err(Reported.into());
    }
    if !context.json {
        stdout::text(&format!(
            "promtool {} accepts {rules} rules in {} files, and the log collector its configuration\n",
            promtool.version,
            files.len()
        ))?;
    }
    Ok(())
}

fn test(context: &Context, options: &TestOptions) -> Result<()> {
    let names: Vec<&str> = alerts(context)
        .map(|(_, alert)| alert.name)
        .chain(context.platform.recordings.iter().map(|recording| recording.name.0))
        .collect();
    for rule in &options.rules {
        if !names.contains(&rule.as_str()) {
            return Err(refused(format!(
                "there is no rule {rule}{}; `cargo xtask alerts list` lists the alerts",
                closest_hint(rule, names.iter().copied())
            )));
        }
    }
    let promtool = Promtool::open(context)?;
    let most = match options.mutants.as_deref() {
        None => None,
        Some("all") => Some(usize::MAX),
        Some(number) => match number.parse() {
            Ok(number) if number > 0 => Some(number),
            _ => return Err(refused(format!("--mutants={number}: expected a number above 0, or nothing"))),
        },
    };
    if let Some(most) = most {
        return mutants::run(context, &promtool, &options.rules, most);
    }
    let (what, judged) = if options.rules.is_empty() {
        let files = promtool::files(context, "tests")?;
        (format!("the tests of {} rules", names.len()), promtool.run("test", &files)?)
    } else {
        let wanted = mutants::rules(context, &options.rules);
        let folder = foundation::files::temporary::folder("flowship-alerts-")?;
        let files =
            wanted.iter().map(|rule| rule.write(folder.path(), rule.name())).collect::<Result<Vec<_>>>()?;
        (format!("the tests of {}", options.rules.join(", ")), promtool.run("test", &files)?)
    };
    if context.json {
        stdout::json(&json!({ "promtool": promtool.version, "findings": judged.findings }))?;
    }
    if !judged.findings.is_empty() {
        judged.findings.iter().for_each(|finding| eprintln!("{finding}"));
        return Err(Reported.into());
    }
    if judged.passed.is_empty() {
        bail!("promtool ran no test");
    }
    if !context.json {
        stdout::text(&format!("promtool {}: {what} pass\n", promtool.version))?;
    }
    Ok(())
}
