//! What is watched: the rules of Prometheus with promtool's tests of them, and a runbook for each alert.

use vocabulary::formats::markdown::{self, Block, code};
use vocabulary::formats::yaml::{self, Yaml};
use vocabulary::model::expression::{duration, labels};
use vocabulary::model::{
    Alert, Expected, Fault, MetricRef, Monitoring, Platform, Recording, RuleTest, ServiceId, Severity,
};
use vocabulary::problem::Problem;

use super::artifact::{Artifact, Committed, Made, banner};

pub const RULES: Committed = Committed {
    name: "rules",
    what: "ops/monitoring: the alert and recording rules of Prometheus, and promtool's tests of them",
    source: file!(),
    make: rules,
};

pub const RUNBOOKS: Committed = Committed {
    name: "runbooks",
    what: "docs/runbooks: what to do when an alert fires",
    source: file!(),
    make: runbooks,
};

const FOLDER: &str = "ops/monitoring";
const WATCH: &str = "monitoring";
const RECORDINGS: &str = "recordings";
const SOURCE: &str = "xtask/platform/src";

/// Rules of one file and their tests.
pub struct Group<'a> {
    /// Of the file, without its ending.
    pub name: &'a str,
    /// The value of [`AREA`] for its alerts.
    pub area: &'a str,
    pub recordings: &'a [Recording],
    pub alerts: &'a [Alert],
}

/// The label that says which part of the platform an alert is about: a service, or what watches the others.
pub const AREA: &str = "area";

impl Group<'_> {
    /// A file of rules.
    #[must_use]
    pub fn rules(&self) -> String {
        let recorded = self.recordings.iter().map(|recording| {
            Yaml::mapping([
                ("record", Yaml::text(recording.name.0)),
                ("expr", Yaml::text(recording.expression.to_string())),
            ])
        });
        let rules = recorded.chain(self.alerts.iter().map(|alert| alert_rule(alert, self.area))).collect();
        let group = Yaml::mapping([("name", Yaml::text(self.name)), ("rules", Yaml::Sequence(rules))]);
        yaml::write(&banner(SOURCE), &Yaml::mapping([("groups", Yaml::Sequence(vec![group]))]))
    }

    /// A file of tests that reads these files of rules.
    ///
    /// # Errors
    /// Labels that cannot be read.
    pub fn tests(&self, rule_files: &[String]) -> Result<String, Vec<Problem>> {
        let mut tests = Vec::new();
        for recording in self.recordings {
            for test in &recording.tests {
                let expects =
                    test.expects.iter().map(|expected| recorded(recording.name, expected)).collect();
                tests.push(rule_test(recording.name.0, test, "promql_expr_test", expects)?);
            }
        }
        for alert in self.alerts {
            for test in &alert.tests {
                let expects = test.expects.iter().map(|expected| fires(alert, self.area, expected)).collect();
                tests.push(rule_test(alert.name, test, "alert_rule_test", expects)?);
            }
        }
        let files = rule_files.iter().map(Yaml::text).collect();
        let document = Yaml::mapping([
            ("rule_files", Yaml::Sequence(files)),
            ("evaluation_interval", Yaml::text("1m")),
            ("tests", Yaml::Sequence(tests)),
        ]);
        Ok(yaml::write(&banner(SOURCE), &document))
    }
}

/// The rules of a platform: those that record, and those of each service.
#[must_use]
pub fn groups(platform: &Platform) -> Vec<Group<'_>> {
    let recorded =
        Group { name: RECORDINGS, area: RECORDINGS, recordings: &platform.recordings, alerts: &[] };
    let of_services = platform.services.iter().map(|service| Group {
        name: service.id.0,
        area: area(platform, service.id),
        recordings: &[],
        alerts: &service.alerts,
    });
    let has_rules = |group: &Group<'_>| !group.recordings.is_empty() || !group.alerts.is_empty();
    std::iter::once(recorded).chain(of_services).filter(has_rules).collect()
}

/// What scrapes and what notifies are one area: the watch.
#[must_use]
pub fn area(platform: &Platform, service: ServiceId) -> &'static str {
    let watches = |watch: Monitoring| [watch.scraper.service, watch.notifier.service].contains(&service);
    if platform.monitoring.is_some_and(watches) { WATCH } else { service.0 }
}

fn rules(platform: &Platform) -> Made {
    let mut artifacts = Vec::new();
    for group in groups(platform) {
        let mut files = vec![format!("../rules/{}.yaml", group.name)];
        if !platform.recordings.is_empty() && group.name != RECORDINGS {
            files.push(format!("../rules/{RECORDINGS}.yaml"));
        }
        let path = |folder: &str| format!("{FOLDER}/{folder}/{}.yaml", group.name);
        artifacts.push(Artifact::file(path("rules"), group.rules()));
        artifacts.push(Artifact::file(path("tests"), group.tests(&files)?));
    }
    Ok(artifacts)
}

/// Where the runbook of an alert is, below the root.
#[must_use]
pub fn runbook(alert: &Alert) -> String {
    format!("docs/runbooks/{}.md", alert.name)
}

/// What a rule adds to an alert that it fires.
#[must_use]
pub fn added(alert: &Alert, area: &str) -> [(&'static str, String); 3] {
    [
        ("severity", alert.severity.name().to_owned()),
        (AREA, area.to_owned()),
        ("owner", alert.owner.to_owned()),
    ]
}

fn annotations(alert: &Alert) -> Yaml {
    Yaml::mapping([
        ("summary", Yaml::text(alert.meaning)),
        ("impact", Yaml::text(alert.impact)),
        ("runbook", Yaml::text(runbook(alert))),
    ])
}

fn alert_rule(alert: &Alert, area: &str) -> Yaml {
    let mut rule = vec![
        ("alert".to_owned(), Yaml::text(alert.name)),
        ("expr".to_owned(), Yaml::text(alert.expression.to_string())),
    ];
    if alert.for_minutes > 0 {
        rule.push(("for".to_owned(), Yaml::text(duration(alert.for_minutes.into()))));
    }
    rule.push((
        "labels".to_owned(),
        Yaml::mapping(added(alert, area).map(|(name, value)| (name, Yaml::text(value)))),
    ));
    rule.push(("annotations".to_owned(), annotations(alert)));
    Yaml::Mapping(rule)
}

type Entry = Result<Yaml, Vec<Problem>>;

fn rule_test(rule: &str, test: &RuleTest, kind: &str, expects: Result<Vec<Yaml>, Vec<Problem>>) -> Entry {
    let series = test.series.iter().map(|series| {
        let name = format!("{}{}{{{}}}", series.metric, series.part, series.labels);
        Yaml::mapping([("series", Yaml::text(name)), ("values", Yaml::text(&series.samples.0))])
    });
    Ok(Yaml::mapping([
        ("name", Yaml::text(format!("{rule}: {}", test.what))),
        ("interval", Yaml::text("1m")),
        ("input_series", Yaml::Sequence(series.collect())),
        (kind, Yaml::Sequence(expects?)),
    ]))
}

fn fires(alert: &Alert, area: &str, expected: &Expected) -> Entry {
    let mut alerts = Vec::new();
    for text in &expected.labels {
        let own = read(alert.name, text)?.into_iter().map(|(name, value)| (name, value.to_owned()));
        let all =
            own.chain(added(alert, area)).map(|(name, value)| (name.to_owned(), Yaml::text(value))).collect();
        alerts.push(Yaml::mapping([
            ("exp_labels", Yaml::Mapping(all)),
            ("exp_annotations", annotations(alert)),
        ]));
    }
    Ok(Yaml::mapping([
        ("eval_time", Yaml::text(duration(expected.minute))),
        ("alertname", Yaml::text(alert.name)),
        ("exp_alerts", Yaml::Sequence(alerts)),
    ]))
}

fn recorded(name: MetricRef, expected: &Expected) -> Entry {
    let samples = expected.labels.iter().zip(&expected.values).map(|(labels, value)| {
        Yaml::mapping([
            ("labels", Yaml::text(format!("{name}{{{labels}}}"))),
            ("value", Yaml::Decimal(value.to_string())),
        ])
    });
    Ok(Yaml::mapping([
        ("expr", Yaml::text(name.0)),
        ("eval_time", Yaml::text(duration(expected.minute))),
        ("exp_samples", Yaml::Sequence(samples.collect())),
    ]))
}

fn read(rule: &str, text: &'static str) -> Result<Vec<(&'static str, &'static str)>, Vec<Problem>> {
    labels(text).map_err(|problem| vec![Problem::new(format!("the tests of {rule}"), problem)])
}

fn runbooks(platform: &Platform) -> Made {
    let alerts = platform.services.iter().flat_map(|service| &service.alerts);
    Ok(alerts.map(|alert| Artifact::file(runbook(alert), page(alert))).collect())
}

fn page(alert: &Alert) -> String {
    let mut blocks: Vec<_> = banner(SOURCE).into_iter().map(Block::Comment).collect();
    let heading = |text: &str| Block::Heading(2, text.to_owned());
    let paragraph = |text: &str| Block::Paragraph(text.to_owned());
    let told = match alert.severity {
        Severity::Critical => "It wakes somebody.",
        Severity::Warning => "It is read in office hours.",
        Severity::Business => "It goes to those who answer for the workflows.",
        Severity::Heartbeat => "It always fires; a receiver outside notices when it stops.",
    };
    let checks = alert.checks.iter().map(|check| vec![code(check.command), check.look_for.to_owned()]);
    let after = match alert.for_minutes {
        0 => "at once".to_owned(),
        minutes => format!("after {minutes} min"),
    };
    blocks.extend([
        Block::Heading(1, alert.name.to_owned()),
        Block::Paragraph(format!("Severity {}, owner {}. {told}", alert.severity.name(), alert.owner)),
        heading("Meaning"),
        paragraph(alert.meaning),
        Block::Paragraph(format!("It fires {after} of {}.", code(&alert.expression.to_string()))),
        heading("Impact"),
        paragraph(alert.impact),
        heading("Checks"),
        Block::Table { headers: vec!["run", "look for"], rows: checks.collect() },
        heading("Remedy"),
        paragraph(alert.remedy),
        heading("Rehearsal"),
        Block::Paragraph(format!(
            "{}. [The figures](../monitoring.md#the-fire-drill).",
            match alert.fault {
                Fault::NotCaused(why) => format!("Not rehearsed: {why}"),
                fault => format!("`cargo xtask alerts fire {}`: {}", alert.name, fault.words()),
            }
        )),
    ]);
    markdown::write(&blocks)
}
