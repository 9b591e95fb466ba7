//! Invariants of alerts, recording rules and their tests, and of dashboards.

use std::collections::{BTreeSet, HashMap};

use super::{Report, unique};
use crate::model::expression::{Expression, labels};
use crate::model::{Alert, MetricKind, Platform, RuleTest, Severity, TestKind};

/// What Prometheus adds to each series that it scrapes.
const OF_TARGETS: [&str; 2] = ["job", "instance"];

pub(super) fn judge(platform: &Platform, report: &mut Report) {
    let alerts = || platform.services.iter().flat_map(|service| &service.alerts);
    unique("alert", alerts().map(|alert| alert.name), report);
    let exported = platform.metrics().map(|(_, metric)| metric.name.0);
    unique("metric", exported.chain(platform.recordings.iter().map(|recording| recording.name.0)), report);
    let known = known(platform);
    for alert in alerts() {
        judge_alert(&known, alert, report);
    }
    judge_dashboards(platform, &known, report);
    for recording in &platform.recordings {
        let subject = format!("recording {}", recording.name);
        if !recording.name.0.contains(':') {
            report.add(&subject, "its name is one of an exported metric; write level:metric:operation");
        }
        expression(&known, &subject, &recording.expression, report);
        if recording.tests.is_empty() {
            report.add(&subject, "it has no test; add one with its value");
        }
        for test in &recording.tests {
            series(&known, &subject, test, report);
            if test.expects.iter().any(|expected| expected.values.len() != expected.labels.len()) {
                report.add(&subject, format!("{:?}: each sample needs its value", test.what));
            }
        }
    }
}

fn judge_dashboards(platform: &Platform, known: &Known, report: &mut Report) {
    unique("dashboard", platform.dashboards.iter().map(|dashboard| dashboard.id), report);
    for dashboard in &platform.dashboards {
        let of = format!("panel of dashboard {}", dashboard.id);
        unique(&of, dashboard.panels.iter().map(|panel| panel.title), report);
        if dashboard.panels.is_empty() {
            report.add(format!("dashboard {}", dashboard.id), "it has no panel");
        }
        for panel in &dashboard.panels {
            let subject = format!("dashboard {}: {:?}", dashboard.id, panel.title);
            if panel.queries.is_empty() {
                report.add(&subject, "it has no query, so it is always empty");
            }
            for query in &panel.queries {
                expression(known, &subject, &query.expression, report);
                let left = query.expression.labels_left();
                for label in
                    query.labels().filter(|label| left.as_ref().is_some_and(|left| !left.contains(label)))
                {
                    let left = left.as_ref().map(|left| left.join(", ")).unwrap_or_default();
                    report.add(&subject, format!("its legend names {label}; the result has {left:?}"));
                }
            }
        }
    }
}

fn judge_alert(known: &Known, alert: &Alert, report: &mut Report) {
    let subject = format!("alert {}", alert.name);
    // It is the name of a file.
    if !alert.name.starts_with(|c: char| c.is_ascii_uppercase())
        || !alert.name.chars().all(|c| c.is_ascii_alphanumeric())
    {
        report.add(&subject, "its name must be CamelCase, of letters and digits");
    }
    expression(known, &subject, &alert.expression, report);
    let heartbeat = alert.severity == Severity::Heartbeat;
    if alert.expression.selectors().is_empty() && !heartbeat {
        report.add(&subject, "it reads no metric, so it always fires or never");
    }
    if alert.checks.is_empty() {
        report.add(&subject, "it has no check: whoever is told must know where to look");
    }
    let needed: &[TestKind] = if heartbeat {
        &[TestKind::Firing]
    } else {
        &[TestKind::Firing, TestKind::Silent, TestKind::Boundary]
    };
    for kind in needed {
        if !alert.tests.iter().any(|test| test.kind == *kind) {
            report.add(&subject, format!("it has no {} test", format!("{kind:?}").to_lowercase()));
        }
    }
    for test in &alert.tests {
        series(known, &subject, test, report);
        let fires = test.expects.iter().any(|expected| !expected.labels.is_empty());
        let silent = test.expects.iter().any(|expected| expected.labels.is_empty());
        let shown = match test.kind {
            TestKind::Firing => fires,
            TestKind::Silent => silent && !fires,
            TestKind::Boundary => silent && fires,
        };
        if !shown {
            let kind = format!("{:?}", test.kind).to_lowercase();
            report.add(&subject, format!("{:?} does not show what a {kind} test shows", test.what));
        }
    }
}

/// The names of all series, with their labels.
type Known = HashMap<String, BTreeSet<&'static str>>;

fn known(platform: &Platform) -> Known {
    let with = |of: &[&'static str], also: Option<&'static str>| {
        of.iter().copied().chain(OF_TARGETS).chain(also).collect()
    };
    let exported = platform.metrics().flat_map(|(_, metric)| {
        let name = metric.name.0;
        match metric.kind {
            // It has no series of its own name.
            MetricKind::Histogram { .. } => [("_bucket", Some("le")), ("_sum", None), ("_count", None)]
                .map(|(part, also)| (format!("{name}{part}"), with(&metric.labels, also)))
                .into(),
            _ => vec![(name.to_owned(), with(&metric.labels, None))],
        }
    });
    let recorded = platform.recordings.iter().map(|recording| {
        (recording.name.0.to_owned(), recording.expression.grouped_by().into_iter().collect())
    });
    exported.chain(recorded).collect()
}

fn expression(known: &Known, subject: &str, expression: &Expression, report: &mut Report) {
    let mut all = BTreeSet::new();
    for selector in expression.selectors() {
        let Some(known) = known.get(&*selector.metric) else {
            report.add(subject, format!("it reads {}, which no service exports", selector.metric));
            continue;
        };
        for matcher in &selector.matchers {
            unknown_label(subject, &selector.metric, matcher.label, known, report);
            if matcher.value.contains(['"', '\\']) {
                report
                    .add(subject, format!("{matcher}: a value has neither quotation marks nor backslashes"));
            }
        }
        all.extend(known.iter().copied());
    }
    for label in expression.grouped_by() {
        unknown_label(subject, "what it reads", label, &all, report);
    }
}

fn unknown_label(subject: &str, metric: &str, label: &str, known: &BTreeSet<&str>, report: &mut Report) {
    if !known.contains(label) {
        let known = known.iter().copied().collect::<Vec<_>>().join(", ");
        report.add(subject, format!("{metric} has no label {label}; it has {known}"));
    }
}

fn series(known: &Known, subject: &str, test: &RuleTest, report: &mut Report) {
    for series in &test.series {
        let name = format!("{}{}", series.metric, series.part);
        match (known.get(&name), labels(series.labels)) {
            (None, _) => report.add(subject, format!("its test has {name}, which no service exports")),
            (_, Err(problem)) => report.add(subject, format!("its test has {name}: {problem}")),
            (Some(known), Ok(given)) => {
                for (label, _) in given {
                    unknown_label(subject, &name, label, known, report);
                }
            }
        }
    }
    for expected in test.expects.iter().flat_map(|expected| &expected.labels) {
        if let Err(problem) = labels(expected) {
            report.add(subject, format!("{:?} expects {problem}", test.what));
        }
    }
}
