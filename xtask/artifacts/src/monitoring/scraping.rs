//! What Prometheus reads: whom it scrapes follows from the edges with `scrape`.
//!
//! The targets are files of their own, one for each unit and port, which it watches: replicas come and go while a release is
//! rolled out, and a place where nothing runs is no target that is down.

use serde_json::json;
use vocabulary::formats::json::pretty;
use vocabulary::formats::yaml::{Yaml, write};
use vocabulary::model::environment::Environment;
use vocabulary::model::{Destination, Monitoring, Platform, PortRef, Protocol, Scrape, Service, Unit};

use super::Places;
use crate::artifact::banner;

/// Its file.
pub const FILE: &str = "prometheus.yml";
/// The folder of the files of targets, beside it.
pub const TARGETS: &str = "targets";
/// The rules that it evaluates.
pub const RULES: &str = "ops/monitoring/rules/*.yaml";

/// How it scrapes itself, over no edge.
const OWN: Scrape = Scrape { path: "/metrics", every_seconds: 15 };
/// Seconds between two evaluations of the rules.
pub const EVALUATION_SECONDS: i64 = 10;

/// What is scraped in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub name: String,
    pub port: PortRef,
    pub scrape: Scrape,
}

/// All jobs of a platform: one for each scraped port, called as its service, or as its port where the service has several.
#[must_use]
pub fn jobs(platform: &Platform) -> Vec<Job> {
    let Some(monitoring) = &platform.monitoring else { return vec![] };
    let scraper = platform.service(monitoring.scraper.service);
    let scraped = |edge: &vocabulary::model::Edge| match (edge.to, edge.scrape) {
        (Destination::Port(port), Some(scrape)) => Some((port, scrape)),
        _ => None,
    };
    let over_edges = scraper.into_iter().flat_map(|scraper| scraper.edges.iter().filter_map(scraped));
    let all: Vec<_> = std::iter::once((monitoring.scraper, OWN)).chain(over_edges).collect();
    let ports_of = |service| all.iter().filter(|(port, _)| port.service == service).count();
    let named = all.iter().map(|(port, scrape)| Job {
        name: if ports_of(port.service) == 1 { port.service.to_string() } else { port.to_string() },
        port: *port,
        scrape: *scrape,
    });
    named.collect()
}

fn of_service<'a>(platform: &Platform, service: &'a Service) -> impl Iterator<Item = Job> + use<'a> {
    jobs(platform).into_iter().filter(|job| job.port.service == service.id)
}

/// The files of the targets of a unit: their names, and their texts. None where nothing of it is scraped.
#[must_use]
pub fn targets(
    platform: &Platform,
    environment: &Environment,
    unit: &Unit<'_>,
    places: &dyn Places,
) -> Vec<(String, String)> {
    let file = |job: Job| {
        let mut labels = json!({ "environment": environment.name, "instance": unit.name() });
        if unit.service.scales() {
            labels["replica"] = unit.replica_name().into();
        }
        let group = json!([{ "targets": [places.address(unit, job.port)?], "labels": labels }]);
        Some((format!("{}.{}.json", job.name, unit.name()), pretty(&group, 2)))
    };
    of_service(platform, unit.service).filter_map(file).collect()
}

/// The whole configuration; `units` are those that run.
#[must_use]
pub fn configuration(
    platform: &Platform,
    environment: &Environment,
    monitoring: &Monitoring,
    units: &[Unit<'_>],
    places: &dyn Places,
) -> String {
    let text = |text: &str| Yaml::text(text);
    let seconds = |seconds: i64| Yaml::text(format!("{seconds}s"));
    let notifier = units.iter().find(|unit| unit.service.id == monitoring.notifier.service);
    let notifier = notifier.and_then(|unit| places.address(unit, monitoring.notifier));
    let notifiers = notifier.map_or_else(Vec::new, |address| {
        let targets = Yaml::mapping([("targets", Yaml::Sequence(vec![Yaml::text(address)]))]);
        vec![Yaml::mapping([("static_configs", Yaml::Sequence(vec![targets]))])]
    });
    let runs = |job: &Job| units.iter().any(|unit| unit.service.id == job.port.service);
    let jobs = jobs(platform).into_iter().filter(runs);
    let document = Yaml::mapping([
        (
            "global",
            Yaml::mapping([
                ("scrape_interval", seconds(OWN.every_seconds.into())),
                ("evaluation_interval", seconds(EVALUATION_SECONDS)),
                // Alerts whose expression loses the label have it too.
                ("external_labels", Yaml::mapping([("environment", text(&environment.name))])),
            ]),
        ),
        (
            "storage",
            Yaml::mapping([(
                "tsdb",
                Yaml::mapping([(
                    "retention",
                    Yaml::mapping([(
                        "time",
                        Yaml::text(format!("{}d", environment.retention.metrics_days.max(1))),
                    )]),
                )]),
            )]),
        ),
        ("rule_files", Yaml::Sequence(vec![Yaml::text(places.tree(RULES))])),
        ("alerting", Yaml::mapping([("alertmanagers", Yaml::Sequence(notifiers))])),
        ("scrape_configs", Yaml::Sequence(jobs.map(|job| scrape_config(platform, &job, places)).collect())),
    ]);
    write(&banner(file!()), &document)
}

fn scrape_config(platform: &Platform, job: &Job, places: &dyn Places) -> Yaml {
    let (path, query) = job.scrape.path.split_once('?').unwrap_or((job.scrape.path, ""));
    let protocol = platform.port(job.port).map_or(Protocol::Http, |port| port.protocol);
    let files = format!("{}/{}.*.json", places.targets(), job.name);
    let found = Yaml::mapping([
        ("files", Yaml::Sequence(vec![Yaml::text(files)])),
        // It is told when a file changes; this is for a file system that does not.
        ("refresh_interval", Yaml::text("30s")),
    ]);
    let mut entries = vec![
        ("job_name".to_owned(), Yaml::text(&job.name)),
        ("scrape_interval".to_owned(), Yaml::text(format!("{}s", job.scrape.every_seconds))),
        ("scheme".to_owned(), Yaml::text(protocol.scheme())),
        ("metrics_path".to_owned(), Yaml::text(path)),
    ];
    if let Some(certificate) = places.certificate(job.port) {
        let mut trusted = vec![("ca_file".to_owned(), Yaml::text(certificate))];
        trusted.extend(places.certified_name().map(|name| ("server_name".to_owned(), Yaml::text(name))));
        entries.push(("tls_config".to_owned(), Yaml::Mapping(trusted)));
    }
    let parameters = query.split('&').filter_map(|one| one.split_once('='));
    let parameters: Vec<_> =
        parameters.map(|(name, value)| (name.to_owned(), Yaml::Sequence(vec![Yaml::text(value)]))).collect();
    if !parameters.is_empty() {
        entries.push(("params".to_owned(), Yaml::Mapping(parameters)));
    }
    entries.push(("file_sd_configs".to_owned(), Yaml::Sequence(vec![found])));
    // Our own services say the same of themselves.
    let twice = Yaml::mapping([
        ("action", Yaml::text("labeldrop")),
        ("regex", Yaml::text("exported_(environment|replica)")),
    ]);
    entries.push(("metric_relabel_configs".to_owned(), Yaml::Sequence(vec![twice])));
    Yaml::Mapping(entries)
}
