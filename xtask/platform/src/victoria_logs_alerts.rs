//! Alerts about log lines that do not arrive, or are not kept.

use vocabulary::model::{Alert, Check, Fault, Severity};

use super::node_red_metrics::LOG_LINES_TOTAL;
use super::rule_tests::{level, levels, rates, rising};
use super::victoria_logs::{VL_ROWS_DROPPED_TOTAL, VL_ROWS_INGESTED_TOTAL, VL_STORAGE_IS_READ_ONLY};
use super::{LOGS, OWNER, STATUS, otel_collector};

/// The files have what the store lacks.
const IMPACT: &str =
    "Searches of the log store miss lines. `flowship logs` still finds those in files on the hosts.";

pub fn alerts() -> Vec<Alert> {
    const WRITTEN: &str = "level=\"info\",instance=\"a\"";
    const STORED: &str = "type=\"opentelemetry_protobuf\",instance=\"s\"";
    let written = LOG_LINES_TOTAL.series().increase(15).sum(&[]);
    let stored = VL_ROWS_INGESTED_TOTAL.series().increase(15).sum(&[]);
    vec![
        Alert {
            name: "LogsStand",
            severity: Severity::Warning,
            expression: stored.equals(0.0).and(written.above(0.0)),
            for_minutes: 10,
            owner: OWNER,
            meaning: "Node-RED writes log lines, and no line has reached the log store for 25 minutes.",
            impact: IMPACT,
            checks: vec![STATUS, LOGS],
            remedy: "Start the log collector (`flowship start ENV`). If it runs, its log says what it cannot read or send. \
                     It goes on where it stopped.",
            fault: Fault::Stopped(otel_collector::ID),
            tests: rates(
                1,
                10,
                "",
                &[
                    rising(LOG_LINES_TOTAL, WRITTEN, [1.0; 3]),
                    rising(VL_ROWS_INGESTED_TOTAL, STORED, [10.0, 0.1, 0.0]),
                ],
            ),
        },
        Alert {
            name: "LogsDropped",
            severity: Severity::Warning,
            expression: VL_ROWS_DROPPED_TOTAL.series().increase(10).sum(&["reason"]).above(0.0),
            for_minutes: 0,
            owner: OWNER,
            meaning: "The log store does not keep lines, for the reason in the label.",
            impact: IMPACT,
            checks: vec![LOGS],
            remedy: "`too_small_timestamp` and `too_big_timestamp`: a host's clock is wrong, or the lines are older than \
                     `retention.logs_days`. `too_many_fields`: a service logs more than 2,000 fields in a line.",
            fault: Fault::OldLogLine,
            tests: rates(
                1,
                0,
                "reason=\"too_small_timestamp\"",
                &[
                    rising(
                        VL_ROWS_DROPPED_TOTAL,
                        "reason=\"too_small_timestamp\",instance=\"s\"",
                        [0.0, 0.0, 2.0],
                    ),
                    rising(VL_ROWS_DROPPED_TOTAL, "reason=\"too_many_fields\",instance=\"s\"", [0.0; 3]),
                ],
            ),
        },
        Alert {
            name: "LogStoreReadOnly",
            severity: Severity::Warning,
            expression: VL_STORAGE_IS_READ_ONLY.series().now().equals(1.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "The log store takes no lines, because its disk is almost full.",
            impact: IMPACT,
            checks: vec![Check { command: "flowship status ENV", look_for: "how long logs are kept" }],
            remedy: "Make room on the disk of the log store, or shorten `retention.logs_days`. What waits in files arrives then.",
            fault: Fault::NotCaused("it would fill the disk of this machine"),
            tests: levels(
                5,
                "path=\"/data\",instance=\"s\"",
                &[level(VL_STORAGE_IS_READ_ONLY, "path=\"/data\",instance=\"s\"", [0.0, 0.0, 1.0])],
            ),
        },
    ]
}
