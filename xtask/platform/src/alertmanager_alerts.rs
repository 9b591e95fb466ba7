//! Alerts about who is told of alerts.

use vocabulary::model::{Alert, Check, Fault, Severity};

use super::alertmanager::{
    ALERTMANAGER_CONFIG_LAST_RELOAD_SUCCESSFUL, ALERTMANAGER_NOTIFICATIONS_FAILED_TOTAL, CONFIGURATION,
};
use super::rule_tests::{level, levels, rates, rising};
use super::{OWNER, STATUS, postgres_exporter};

const LOG: Check = Check { command: "flowship logs ENV alertmanager", look_for: "the channel and its error" };

pub fn alerts() -> Vec<Alert> {
    vec![
        Alert {
            name: "NotificationsFail",
            severity: Severity::Critical,
            expression: ALERTMANAGER_NOTIFICATIONS_FAILED_TOTAL
                .series()
                .increase(10)
                .max(&["integration"])
                .above(0.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "Alerts are not delivered through the channel in the label.",
            impact: "Whoever is told through this channel only, is told nothing.",
            checks: vec![
                LOG,
                Check {
                    command: "flowship secrets audit ENV",
                    look_for: "the secret of the channel: missing or due",
                },
            ],
            remedy: "Replace the secret of the channel if it is refused; otherwise wait for the provider to be back, \
                     and watch the list of alerts meanwhile.",
            fault: Fault::PagingFails(postgres_exporter::ID),
            tests: rates(
                1,
                5,
                "integration=\"slack\"",
                &[
                    rising(
                        ALERTMANAGER_NOTIFICATIONS_FAILED_TOTAL,
                        "integration=\"slack\",instance=\"a\"",
                        [0.0, 0.0, 0.05],
                    ),
                    rising(
                        ALERTMANAGER_NOTIFICATIONS_FAILED_TOTAL,
                        "integration=\"slack\",instance=\"b\"",
                        [0.0; 3],
                    ),
                    rising(
                        ALERTMANAGER_NOTIFICATIONS_FAILED_TOTAL,
                        "integration=\"email\",instance=\"a\"",
                        [0.0; 3],
                    ),
                ],
            ),
        },
        Alert {
            name: "AlertmanagerReloadFailed",
            severity: Severity::Warning,
            expression: ALERTMANAGER_CONFIG_LAST_RELOAD_SUCCESSFUL.series().now().equals(0.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "Alertmanager could not read its new configuration and goes on with the old one.",
            impact: "Alerts go to whom they went before.",
            checks: vec![LOG, STATUS],
            remedy: "Its log names the line. Correct the setting and deploy again.",
            fault: Fault::Unreadable { volume: CONFIGURATION, file: "alertmanager.yml" },
            tests: levels(
                5,
                "instance=\"a\"",
                &[level(ALERTMANAGER_CONFIG_LAST_RELOAD_SUCCESSFUL, "instance=\"a\"", [1.0, 1.0, 0.0])],
            ),
        },
    ]
}
