//! Alerts about the database.

use vocabulary::model::{Alert, Check, Fault, Severity};

use super::postgres_exporter::{
    PG_EXPORTER_LAST_SCRAPE_ERROR, PG_REPLICATION_SLOTS_PG_WAL_LSN_DIFF, PG_SETTINGS_MAX_CONNECTIONS,
    PG_STAT_ACTIVITY_COUNT, PG_STAT_ACTIVITY_MAX_TX_DURATION, PG_STAT_DATABASE_DEADLOCKS, PG_UP,
};
use super::rule_tests::{level, levels, rates, rising};
use super::{OWNER, STATUS, postgres, secrets};

const DATABASE: Check =
    Check { command: "flowship logs ENV postgres", look_for: "FATAL, PANIC and what stands before them" };

pub fn alerts() -> Vec<Alert> {
    vec![
        Alert {
            name: "PostgresDown",
            severity: Severity::Critical,
            expression: PG_UP.series().now().equals(0.0),
            for_minutes: 1,
            owner: OWNER,
            meaning: "PostgreSQL does not answer.",
            impact: "New tasks are refused with 503, and no task gets a result. What was accepted is kept.",
            checks: vec![STATUS, DATABASE],
            remedy: "Start it (`flowship start ENV`). The replicas reconnect by themselves when it is back.",
            fault: Fault::Stopped(postgres::ID),
            tests: levels(1, "instance=\"a\"", &[level(PG_UP, "instance=\"a\"", [1.0, 1.0, 0.0])]),
        },
        Alert {
            name: "PostgresNearItsConnections",
            severity: Severity::Warning,
            expression: (PG_STAT_ACTIVITY_COUNT.series().now().sum(&["instance"])
                / PG_SETTINGS_MAX_CONNECTIONS.series().now().max(&["instance"]))
            .above(0.8),
            for_minutes: 5,
            owner: OWNER,
            meaning: "More than 80 % of the connections of PostgreSQL are taken.",
            impact: "When all are, replicas cannot connect, and operators cannot either.",
            checks: vec![STATUS, DATABASE],
            remedy: "Look for who holds them: `SELECT usename, state, count(*) FROM pg_stat_activity GROUP BY 1, 2`. \
                     Run fewer replicas, or raise max_connections.",
            fault: Fault::Sessions { sessions: 85, sql: "SELECT 1" },
            tests: levels(
                5,
                "instance=\"a\"",
                &[
                    level(
                        PG_STAT_ACTIVITY_COUNT,
                        "datname=\"d\",state=\"active\",usename=\"app\",instance=\"a\"",
                        [5.0, 40.0, 41.0],
                    ),
                    level(
                        PG_STAT_ACTIVITY_COUNT,
                        "datname=\"d\",state=\"idle\",usename=\"app\",instance=\"a\"",
                        [5.0, 40.0, 40.0],
                    ),
                    level(
                        PG_STAT_ACTIVITY_COUNT,
                        "datname=\"d\",state=\"idle\",usename=\"app\",instance=\"b\"",
                        [0.0; 3],
                    ),
                    level(PG_SETTINGS_MAX_CONNECTIONS, "server=\"a\",instance=\"a\"", [100.0; 3]),
                    level(PG_SETTINGS_MAX_CONNECTIONS, "server=\"before\",instance=\"a\"", [50.0; 3]),
                    level(PG_SETTINGS_MAX_CONNECTIONS, "server=\"b\",instance=\"b\"", [1000.0; 3]),
                ],
            ),
        },
        Alert {
            name: "TransactionForgotten",
            severity: Severity::Warning,
            expression: PG_STAT_ACTIVITY_MAX_TX_DURATION
                .series()
                .is("state", "idle in transaction")
                .now()
                .max(&["usename"])
                .above(300.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "A transaction of the user in the label has been open for more than five minutes and does nothing.",
            impact: "It holds locks, and keeps old rows from being removed.",
            checks: vec![DATABASE],
            remedy: "Find it in pg_stat_activity and end it with pg_terminate_backend(pid). If a flow left it open, \
                     correct the flow.",
            fault: Fault::ForgottenTransaction { seconds: 300 },
            tests: levels(
                5,
                "usename=\"app\"",
                &[
                    level(
                        PG_STAT_ACTIVITY_MAX_TX_DURATION,
                        "datname=\"d\",state=\"idle in transaction\",usename=\"app\"",
                        [1.0, 300.0, 310.0],
                    ),
                    level(
                        PG_STAT_ACTIVITY_MAX_TX_DURATION,
                        "datname=\"e\",state=\"idle in transaction\",usename=\"app\"",
                        [0.0; 3],
                    ),
                    // A backup or a migration may take its time.
                    level(
                        PG_STAT_ACTIVITY_MAX_TX_DURATION,
                        "datname=\"d\",state=\"active\",usename=\"barman\"",
                        [4000.0; 3],
                    ),
                ],
            ),
        },
        Alert {
            name: "Deadlocks",
            severity: Severity::Warning,
            expression: PG_STAT_DATABASE_DEADLOCKS.series().increase(15).sum(&["datname"]).above(5.0),
            for_minutes: 0,
            owner: OWNER,
            meaning: "PostgreSQL ended more than five deadlocks within a quarter of an hour.",
            impact: "The transactions that it ended are repeated or fail.",
            checks: vec![DATABASE],
            remedy: "The log of postgres names both statements. Have them lock rows in the same order.",
            fault: Fault::Deadlocks(8),
            tests: rates(
                6,
                0,
                "datname=\"d\"",
                &[
                    rising(
                        PG_STAT_DATABASE_DEADLOCKS,
                        "datid=\"1\",datname=\"d\",instance=\"a\"",
                        [0.0, 0.25, 0.5],
                    ),
                    rising(
                        PG_STAT_DATABASE_DEADLOCKS,
                        "datid=\"2\",datname=\"d\",instance=\"a\"",
                        [0.0, 0.0, 0.5],
                    ),
                    rising(PG_STAT_DATABASE_DEADLOCKS, "datid=\"3\",datname=\"e\",instance=\"a\"", [0.0; 3]),
                ],
            ),
        },
        Alert {
            name: "WalReceiverBehind",
            severity: Severity::Critical,
            expression: PG_REPLICATION_SLOTS_PG_WAL_LSN_DIFF
                .series()
                .now()
                .max(&["slot_name"])
                .above(67_108_864.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "The receiver of the replication slot in the label, such as that of the backups, is more than 64 MiB of WAL \
                      behind, or gone.",
            impact: "If the database is lost now, so is what the receiver does not have. A synchronous receiver also \
                     holds up each commit. PostgreSQL keeps the WAL for it until the disk is full.",
            checks: vec![STATUS, DATABASE],
            remedy: "Look whether its disk is full or slow, and start the receiver again. If nobody needs the slot any more, \
                     drop it: `SELECT pg_drop_replication_slot('NAME')`.",
            fault: Fault::ReceiverFrozen { password: secrets::POSTGRES_BARMAN_PASSWORD, mebibytes: 80 },
            tests: levels(
                5,
                "slot_name=\"barman\"",
                &[
                    level(
                        PG_REPLICATION_SLOTS_PG_WAL_LSN_DIFF,
                        "slot_name=\"barman\",instance=\"a\"",
                        [0.0, 67_108_864.0, 70_000_000.0],
                    ),
                    level(
                        PG_REPLICATION_SLOTS_PG_WAL_LSN_DIFF,
                        "slot_name=\"barman\",instance=\"b\"",
                        [0.0; 3],
                    ),
                    level(
                        PG_REPLICATION_SLOTS_PG_WAL_LSN_DIFF,
                        "slot_name=\"other\",instance=\"a\"",
                        [0.0; 3],
                    ),
                ],
            ),
        },
        Alert {
            name: "PostgresExporterFails",
            severity: Severity::Warning,
            expression: PG_EXPORTER_LAST_SCRAPE_ERROR.series().now().above(0.0),
            for_minutes: 10,
            owner: OWNER,
            meaning: "postgres-exporter cannot read some statistics.",
            impact: "Alerts about PostgreSQL may not fire.",
            checks: vec![
                Check { command: "flowship logs ENV postgres-exporter", look_for: "the query and its error" },
                Check { command: "flowship secrets check ENV", look_for: "the exporter's password: refused" },
            ],
            remedy: "Replace its password (`flowship secrets rotate ENV`), or give its role the right that it lacks.",
            fault: Fault::Stopped(postgres::ID),
            tests: levels(
                10,
                "instance=\"a\"",
                &[level(PG_EXPORTER_LAST_SCRAPE_ERROR, "instance=\"a\"", [0.0, 0.0, 1.0])],
            ),
        },
    ]
}
