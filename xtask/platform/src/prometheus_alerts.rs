//! Alerts about the monitoring itself.

use vocabulary::model::expression::Expression;
use vocabulary::model::{Alert, Check, Fault, Samples, Severity, TestKind};

use super::node_red_metrics::NODEJS_EVENTLOOP_LAG_P99_SECONDS;
use super::prometheus::{
    CONFIGURATION, PROCESS_START_TIME_SECONDS, PROMETHEUS_CONFIG_LAST_RELOAD_SUCCESSFUL,
    PROMETHEUS_NOTIFICATIONS_ALERTMANAGERS_DISCOVERED, PROMETHEUS_NOTIFICATIONS_DROPPED_TOTAL,
    PROMETHEUS_RULE_EVALUATION_FAILURES_TOTAL, PROMETHEUS_TARGET_SCRAPE_POOL_TARGETS,
    PROMETHEUS_TSDB_COMPACTIONS_FAILED_TOTAL, UP,
};
use super::rule_tests::{fire, level, levels, rates, rising, test};
use super::{LOGS, OWNER, STATUS, alertmanager, node_exporter};

pub fn alerts() -> Vec<Alert> {
    vec![
        Alert {
            name: "Watchdog",
            severity: Severity::Heartbeat,
            expression: Expression::Vector(1.0),
            for_minutes: 0,
            owner: OWNER,
            meaning: "Prometheus and Alertmanager work. This alert always fires.",
            impact: "None. When the receiver outside no longer gets it, nobody would be told of anything else.",
            checks: vec![STATUS],
            remedy: "When it stops, start Prometheus and Alertmanager, and read their logs.",
            fault: Fault::Nothing,
            tests: vec![test(TestKind::Firing, "always", vec![], vec![fire(0, &[""]), fire(60, &[""])])],
        },
        Alert {
            name: "TargetDown",
            severity: Severity::Critical,
            expression: UP.series().now().equals(0.0),
            for_minutes: 3,
            owner: OWNER,
            meaning: "A service has not answered its scrapes for three minutes.",
            impact: "It is down, or cannot be watched: other alerts about it cannot fire.",
            checks: vec![STATUS, LOGS],
            remedy: "Start the service in the label `job` (`flowship start ENV`); its log says why it ended.",
            fault: Fault::Stopped(node_exporter::ID),
            tests: [
                levels(
                    3,
                    "job=\"edge\",instance=\"a\"",
                    &[level(UP, "job=\"edge\",instance=\"a\"", [1.0, 1.0, 0.0])],
                ),
                vec![test(
                    TestKind::Silent,
                    "a deploy replaces one replica by another",
                    vec![
                        (UP, "job=\"node-red\",instance=\"a\"", Samples::level(1.0, 10).gone()),
                        (
                            UP,
                            "job=\"node-red\",instance=\"b\"",
                            Samples::missing(9).then(&Samples::level(0.0, 2)).then(&Samples::level(1.0, 20)),
                        ),
                    ],
                    [9, 10, 12, 13, 20].map(|minute| fire(minute, &[])).to_vec(),
                )],
            ]
            .concat(),
        },
        Alert {
            name: "TargetsMissing",
            severity: Severity::Critical,
            expression: PROMETHEUS_TARGET_SCRAPE_POOL_TARGETS.series().now().below(1.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "Prometheus scrapes no replica of the service in the label `scrape_job`, which should run.",
            impact: "Alerts about that service cannot fire, whatever happens to it.",
            checks: vec![
                STATUS,
                Check { command: "flowship drift ENV", look_for: "a file of Prometheus that differs" },
            ],
            remedy: "Deploy again, which writes the scrape configuration.",
            fault: Fault::NotScraped(node_exporter::ID),
            tests: levels(
                5,
                "scrape_job=\"edge\",instance=\"a\"",
                &[
                    level(
                        PROMETHEUS_TARGET_SCRAPE_POOL_TARGETS,
                        "scrape_job=\"edge\",instance=\"a\"",
                        [2.0, 1.0, 0.0],
                    ),
                    level(
                        PROMETHEUS_TARGET_SCRAPE_POOL_TARGETS,
                        "scrape_job=\"node-red\",instance=\"a\"",
                        [2.0; 3],
                    ),
                ],
            ),
        },
        Alert {
            name: "ProcessRestarts",
            severity: Severity::Warning,
            expression: PROCESS_START_TIME_SECONDS.series().changes(30).above(2.0),
            for_minutes: 0,
            owner: OWNER,
            meaning: "A process was started again more than twice in half an hour.",
            impact: "Between two starts it does nothing; tasks are repeated.",
            checks: vec![STATUS, LOGS],
            remedy: "Its log ends with why. If it began with the last deploy, run `flowship rollback ENV`.",
            fault: Fault::Killed { service: node_exporter::ID, times: 4 },
            tests: [
                rates(
                    3,
                    0,
                    "job=\"node-red\",instance=\"a\"",
                    &[rising(
                        PROCESS_START_TIME_SECONDS,
                        "job=\"node-red\",instance=\"a\"",
                        [0.0, 0.0, 60.0],
                    )],
                ),
                vec![test(
                    TestKind::Boundary,
                    "two restarts are none, the third is one",
                    vec![(
                        PROCESS_START_TIME_SECONDS,
                        "job=\"node-red\",instance=\"a\"",
                        Samples::level(100.0, 5)
                            .then(&Samples::level(400.0, 5))
                            .then(&Samples::level(700.0, 5))
                            .then(&Samples::level(1000.0, 5)),
                    )],
                    vec![fire(14, &[]), fire(15, &["job=\"node-red\",instance=\"a\""])],
                )],
            ]
            .concat(),
        },
        Alert {
            name: "PrometheusReloadFailed",
            severity: Severity::Warning,
            expression: PROMETHEUS_CONFIG_LAST_RELOAD_SUCCESSFUL.series().now().equals(0.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "Prometheus could not read its new configuration and goes on with the old one.",
            impact: "New rules and targets are not watched.",
            checks: vec![LOGS],
            remedy: "Its log names the file and the line. Correct the setting and deploy again.",
            fault: Fault::Unreadable { volume: CONFIGURATION, file: "prometheus.yml" },
            tests: levels(
                5,
                "job=\"prometheus\",instance=\"a\"",
                &[level(
                    PROMETHEUS_CONFIG_LAST_RELOAD_SUCCESSFUL,
                    "job=\"prometheus\",instance=\"a\"",
                    [1.0, 1.0, 0.0],
                )],
            ),
        },
        Alert {
            name: "RulesFail",
            severity: Severity::Critical,
            expression: PROMETHEUS_RULE_EVALUATION_FAILURES_TOTAL
                .series()
                .increase(15)
                .max(&["rule_group"])
                .above(0.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "Prometheus cannot evaluate a rule.",
            impact: "The alerts of the group in the label cannot fire.",
            checks: vec![LOGS],
            remedy: "Its log names the rule and the error; most often two series of one name meet in it.",
            fault: Fault::SeriesMeet(NODEJS_EVENTLOOP_LAG_P99_SECONDS),
            tests: rates(
                1,
                5,
                "rule_group=\"edge\"",
                &[
                    rising(
                        PROMETHEUS_RULE_EVALUATION_FAILURES_TOTAL,
                        "rule_group=\"edge\",instance=\"a\"",
                        [0.0, 0.0, 0.02],
                    ),
                    rising(
                        PROMETHEUS_RULE_EVALUATION_FAILURES_TOTAL,
                        "rule_group=\"edge\",instance=\"b\"",
                        [0.0; 3],
                    ),
                    rising(
                        PROMETHEUS_RULE_EVALUATION_FAILURES_TOTAL,
                        "rule_group=\"node-red\",instance=\"a\"",
                        [0.0; 3],
                    ),
                ],
            ),
        },
        Alert {
            name: "AlertmanagerNotFound",
            severity: Severity::Critical,
            expression: PROMETHEUS_NOTIFICATIONS_ALERTMANAGERS_DISCOVERED.series().now().below(1.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "Prometheus knows no Alertmanager.",
            impact: "Nobody is told of anything. Only the receiver outside, which misses the Watchdog, notices.",
            checks: vec![STATUS, LOGS],
            remedy: "Start Alertmanager (`flowship start ENV`).",
            fault: Fault::NotCaused("it leaves nobody to tell; the test of the dead man's switch causes it"),
            tests: levels(
                5,
                "instance=\"a\"",
                &[level(
                    PROMETHEUS_NOTIFICATIONS_ALERTMANAGERS_DISCOVERED,
                    "instance=\"a\"",
                    [1.0, 1.0, 0.0],
                )],
            ),
        },
        Alert {
            name: "AlertsDropped",
            severity: Severity::Warning,
            expression: PROMETHEUS_NOTIFICATIONS_DROPPED_TOTAL.series().increase(10).above(0.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "Prometheus drops alerts that it cannot hand over to Alertmanager.",
            impact: "Somebody may not be told of an alert.",
            checks: vec![STATUS, LOGS],
            remedy: "The log of Prometheus says why Alertmanager refuses or does not answer.",
            fault: Fault::StoppedUntil {
                service: alertmanager::ID,
                counts: PROMETHEUS_NOTIFICATIONS_DROPPED_TOTAL,
            },
            tests: rates(
                1,
                5,
                "instance=\"a\"",
                &[rising(PROMETHEUS_NOTIFICATIONS_DROPPED_TOTAL, "instance=\"a\"", [0.0, 0.0, 0.05])],
            ),
        },
        Alert {
            name: "PrometheusStorageFails",
            severity: Severity::Warning,
            expression: PROMETHEUS_TSDB_COMPACTIONS_FAILED_TOTAL.series().increase(180).above(0.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "Prometheus cannot compact its data.",
            impact: "Its disk fills, and old metrics may be lost.",
            checks: vec![LOGS],
            remedy: "Look for a full disk. If its data are broken, the log names the block: move that folder away.",
            fault: Fault::NotCaused("it takes three hours until data are compacted"),
            tests: rates(
                1,
                5,
                "instance=\"a\"",
                &[rising(PROMETHEUS_TSDB_COMPACTIONS_FAILED_TOTAL, "instance=\"a\"", [0.0, 0.0, 0.01])],
            ),
        },
    ]
}
