//! `cargo xtask dashboards`: what Grafana would show of an environment, as pictures, without Grafana.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;
use ureq::Agent;
use vocabulary::model::{Dashboard, Panel, Query};

use crate::context::Context;
use crate::dashboard_pictures::{Drawn, Series, Shown, draw};
use crate::engines::process::instance::ADDRESS;
use crate::engines::record_in;
use crate::session::deployed::folder_of;
use crate::session::{DEFAULT, host};
use foundation::clock::{now_ms, utc};
use foundation::columns;
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::nearest::hint;
use foundation::program_name::PROGRAM;
use foundation::stdout;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask dashboards list
  cargo xtask dashboards draw
  cargo xtask dashboards draw production overview queue --since 6h
  cargo xtask dashboards draw --out pictures --json

Exit code 0; 1 when Prometheus does not answer or refuses a query; 2 when there is no such environment or dashboard, or it \
runs without monitoring.")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the dashboards
    List,
    /// Draw dashboards as SVG, from what the environment's Prometheus answers to their queries
    Draw(DrawOptions),
}

#[derive(Debug, Args)]
struct DrawOptions {
    /// The environment
    #[arg(value_name = "ENV", default_value = DEFAULT)]
    environment: String,
    /// Only these dashboards
    #[arg(value_name = "DASHBOARD")]
    dashboards: Vec<String>,
    /// How far back the curves go: a number and s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    since: u64,
    /// The folder of the pictures [default: dashboards, in the folder of the environment's state]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// # Errors
/// Refused when something named is unknown or nothing is measured; reported when a query fails.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    match &options.what {
        What::List => list(context),
        What::Draw(options) => pictures(context, options),
    }
}

fn list(context: &Context) -> Result<()> {
    let all = &context.platform.dashboards;
    if context.json {
        let row = |one: &Dashboard| {
            let panels: Vec<_> = one.panels.iter().map(|panel| panel.title).collect();
            json!({ "dashboard": one.id, "title": one.title, "about": one.about, "panels": panels })
        };
        return stdout::json(&all.iter().map(row).collect::<Vec<_>>());
    }
    let head = ["dashboard", "panels", "shows"].map(str::to_owned);
    let row = |one: &Dashboard| [one.id.to_owned(), one.panels.len().to_string(), one.about.to_owned()];
    stdout::text(&columns::table(&std::iter::once(head).chain(all.iter().map(row)).collect::<Vec<_>>()))
}

fn pictures(context: &Context, options: &DrawOptions) -> Result<()> {
    let name = options.environment.as_str();
    let dashboards = chosen(context, &options.dashboards)?;
    if let Some(done) = host::forwarded(context, name, &[]) {
        return done;
    }
    let monitoring = context.platform.monitoring.context("the platform has no monitoring")?;
    let folder = folder_of(context, name)?;
    let service = monitoring.scraper.service;
    let port =
        record_in(&folder)?.and_then(|record| record.ports.get(&monitoring.scraper.to_string()).copied());
    let port = port.ok_or_else(|| {
        refused(format!(
            "{name} runs no {service} here, so there is nothing to draw; `{PROGRAM} status {name}` shows what runs, \
             docs/monitoring.md how to add it"
        ))
    })?;
    let source = Source::open(format!("http://{ADDRESS}:{port}")).with_context(|| {
        format!("{service} of {name} does not answer; `{PROGRAM} status {name}` shows what runs")
    })?;

    let to = now_ms() / 1000;
    let time = to.saturating_sub(options.since)..to;
    let step = (options.since / POINTS).max(SHORTEST);
    let footer = format!(
        "Environment {name}, {} to {} (UTC). Drawn from the dashboard's own queries by `{PROGRAM} dashboards draw`.",
        utc(time.start),
        utc(time.end),
    );
    let mut drawn = Vec::new();
    for dashboard in dashboards {
        let panels = dashboard.panels.iter().map(|panel| source.panel(panel, &time, step)).collect();
        let shown = Shown { dashboard, panels, time: time.clone(), step, footer: footer.clone() };
        drawn.push((draw(&shown)?, shown));
    }
    let out = options.out.clone().unwrap_or_else(|| folder.join("dashboards"));
    let mut told = Vec::new();
    let mut failed = false;
    for (svg, shown) in &drawn {
        let path = out.join(format!("{}.svg", shown.dashboard.id));
        files::write::whole(&path, 0o644, svg)?;
        let panels = || shown.dashboard.panels.iter().zip(&shown.panels);
        let empty =
            panels().filter(|(_, drawn)| matches!(drawn, Ok(series) if series.iter().all(Series::is_empty)));
        let failures: Vec<_> =
            panels().filter_map(|(panel, drawn)| Some((panel.title, drawn.as_ref().err()?))).collect();
        for (title, error) in &failures {
            eprintln!("{}: {title}: {error}", shown.dashboard.title);
        }
        failed |= !failures.is_empty();
        if !context.json {
            stdout::text(&format!("{}\n", path.display()))?;
        }
        told.push(json!({
            "dashboard": shown.dashboard.id,
            "path": path,
            "panels": shown.panels.len(),
            "empty": empty.map(|(panel, _)| panel.title).collect::<Vec<_>>(),
            "failed": failures.iter().map(|(title, error)| json!({ "panel": title, "error": error })).collect::<Vec<_>>(),
        }));
    }
    if context.json {
        stdout::json(&json!({
            "environment": name, "from": utc(time.start), "to": utc(time.end), "pictures": told,
        }))?;
    }
    if failed { Err(Reported.into()) } else { Ok(()) }
}

/// So many points have room in a panel.
const POINTS: u64 = 150;
/// Seconds between points: nothing is scraped more often.
const SHORTEST: u64 = 5;
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(30);

fn chosen<'a>(context: &'a Context, names: &[String]) -> Result<Vec<&'a Dashboard>> {
    let all = &context.platform.dashboards;
    let one = |name: &String| {
        all.iter().find(|dashboard| dashboard.id == name).ok_or_else(|| {
            let known: Vec<_> = all.iter().map(|dashboard| dashboard.id).collect();
            let hint = hint(name, known.iter().copied());
            refused(format!("there is no dashboard {name}; expected one of {}{hint}", known.join(", ")))
        })
    };
    if names.is_empty() { Ok(all.iter().collect()) } else { names.iter().map(one).collect() }
}

/// Seconds of `90s`, `30m`, `6h` or `2d`: at least a minute, at most a year.
fn time(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?}: expected a number and s, m, h or d, such as 30m: from 1m to 365d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).filter(|all| (60..=365 * 86_400).contains(all)).ok_or_else(wrong)
}

/// Prometheus's HTTP API: <https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries>.
struct Source {
    url: String,
    agent: Agent,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Curve>,
}

#[derive(Deserialize)]
struct Curve {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

impl Source {
    fn open(url: String) -> Result<Self> {
        let config =
            Agent::config_builder().proxy(None).timeout_global(Some(PATIENCE)).http_status_as_error(false);
        let agent = Agent::from(config.build());
        let ready = format!("{url}/-/ready");
        let status = agent.get(&ready).call().with_context(|| ready.clone())?.status();
        if status != 200 {
            bail!("{ready} answers {status}");
        }
        Ok(Self { url, agent })
    }

    fn panel(&self, panel: &Panel, time: &Range<u64>, step: u64) -> Drawn {
        let mut all = Vec::new();
        for query in &panel.queries {
            all.extend(self.series(query, time, step).map_err(|error| format!("{error:#}"))?);
        }
        Ok(all)
    }

    fn series(&self, query: &Query, time: &Range<u64>, step: u64) -> Result<Vec<Series>> {
        let form = [
            ("query", query.expression.to_string()),
            ("start", time.start.to_string()),
            ("end", time.end.to_string()),
            ("step", step.to_string()),
        ];
        let mut answer = self.agent.post(format!("{}/api/v1/query_range", self.url)).send_form(form)?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string()?;
        let read: Result<Answer, _> = serde_json::from_str(&text);
        let data = match read {
            Ok(Answer { error: None, data: Some(data) }) if status == 200 => data,
            Ok(Answer { error: Some(error), .. }) => bail!("Prometheus answers {status}: {error}"),
            Err(error) if status == 200 => bail!("expected what Prometheus answers: {error}"),
            _ => bail!("Prometheus answers {status}"),
        };
        let number = |(time, value): (f64, String)| {
            let value = value.parse().with_context(|| format!("{value:?} is no value of Prometheus"))?;
            Ok((time, value))
        };
        let curve = |curve: Curve| {
            let points = curve.values.into_iter().map(number).collect::<Result<_>>()?;
            Ok(Series { legend: legend(query.legend, &curve.metric), points })
        };
        data.result.into_iter().map(curve).collect()
    }
}

/// As Grafana fills a legend in: a label that is missing is empty.
fn legend(template: &str, labels: &BTreeMap<String, String>) -> String {
    let mut parts = template.split("{{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (label, rest) = part.split_once("}}").unwrap_or((part, ""));
        text += labels.get(label.trim()).map_or("", String::as_str);
        text += rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_takes_the_values_of_labels_as_they_are() {
        let labels = [("queue", "a{{state}}"), ("state", "<b>&")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let labels = BTreeMap::from(labels);
        for (template, text) in [
            ("limit", "limit"),
            ("{{state}}", "<b>&"),
            // A value is no template.
            ("{{queue}} {{state}}", "a{{state}} <b>&"),
            ("{{nothing}} in all", " in all"),
        ] {
            assert_eq!(legend(template, &labels), text);
        }
    }

    #[test]
    fn times_have_a_unit_and_limits() {
        for (text, seconds) in [("90s", 90), ("1m", 60), ("6h", 21_600), ("365d", 31_536_000)] {
            assert_eq!(time(text), Ok(seconds));
        }
        for wrong in [
            "",
            "h",
            "6",
            "59s",
            "366d",
            "-1h",
            "1.5h",
            "6H",
            "1é",
            "99999999999999999999d",
            "300000000000000000d",
        ] {
            assert!(time(wrong).unwrap_err().contains("such as 30m"), "{wrong}");
        }
    }
}
