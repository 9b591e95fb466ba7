//! Alerts about the hosts, and about what commands leave there as metrics.

use vocabulary::model::expression::Expression;
use vocabulary::model::{
    Alert, Check, DEPLOYS_TOTAL, DiskState, Fault, MetricRef, RuleTest, SECRET_DUE, Samples, Severity,
    TestKind,
};

use super::node_exporter::*;
use super::rule_tests::{fire, level, levels, rates, rising, test};
use super::{LOGS, OWNER, STATUS, secrets};

const HISTORY: Check =
    Check { command: "flowship history ENV", look_for: "the last deploy: its result and its error" };
const RELEASES: Check =
    Check { command: "flowship releases list ENV", look_for: "old releases, which `releases prune` removes" };
const DISK: &str = "fstype=\"ext4\",mountpoint=\"/\",device=\"a\",instance=\"h\"";

/// File systems on disks; others are full by nature.
pub const DISKS: &str = "ext[234]|xfs|btrfs|zfs";

pub fn alerts() -> Vec<Alert> {
    [host(), deploys(), vec![secret_overdue()]].concat()
}

fn free(available: MetricRef, size: MetricRef) -> Expression {
    available.series().matches("fstype", DISKS).now() / size.series()
}

/// A disk with so much left of 100, and a file system that is full by nature.
fn left(for_minutes: u16, available: MetricRef, size: MetricRef, values: [f64; 3]) -> Vec<RuleTest> {
    const IMAGE: &str = "fstype=\"squashfs\",mountpoint=\"/snap\",device=\"b\",instance=\"h\"";
    let examples = [
        level(available, DISK, values),
        level(size, DISK, [1000.0; 3]),
        level(available, IMAGE, [0.0; 3]),
        level(size, IMAGE, [1000.0; 3]),
    ];
    levels(for_minutes, DISK, &examples)
}

fn host() -> Vec<Alert> {
    let full = |limit| free(NODE_FILESYSTEM_AVAIL_BYTES, NODE_FILESYSTEM_SIZE_BYTES).below(limit);
    vec![
        Alert {
            name: "DiskAlmostFull",
            severity: Severity::Warning,
            expression: full(0.2),
            for_minutes: 30,
            owner: OWNER,
            meaning: "Less than a fifth of a file system is free.",
            impact: "None yet.",
            checks: vec![RELEASES, STATUS],
            remedy: "Find what grows (`du -x -d 2 MOUNTPOINT`). Shorten `retention`, remove old releases, or enlarge the disk.",
            fault: Fault::Disk(DiskState::Full),
            tests: left(30, NODE_FILESYSTEM_AVAIL_BYTES, NODE_FILESYSTEM_SIZE_BYTES, [500.0, 200.0, 199.0]),
        },
        Alert {
            name: "DiskFillsUp",
            severity: Severity::Critical,
            expression: full(0.1),
            for_minutes: 10,
            owner: OWNER,
            meaning: "Less than a tenth of a file system is free.",
            impact: "When it is full, PostgreSQL stops, and with it everything.",
            checks: vec![RELEASES, STATUS],
            remedy: "Remove old releases (`flowship releases prune ENV --keep 2`) and old logs. Then shorten \
                     `retention`, or enlarge the disk.",
            fault: Fault::Disk(DiskState::Full),
            tests: left(10, NODE_FILESYSTEM_AVAIL_BYTES, NODE_FILESYSTEM_SIZE_BYTES, [500.0, 100.0, 99.0]),
        },
        Alert {
            name: "InodesRunOut",
            severity: Severity::Warning,
            expression: free(NODE_FILESYSTEM_FILES_FREE, NODE_FILESYSTEM_FILES).below(0.1),
            for_minutes: 10,
            owner: OWNER,
            meaning: "A file system can take less than a tenth of its files more.",
            impact: "When it can take none, it is as if it were full.",
            checks: vec![RELEASES, STATUS],
            remedy: "Find the folder with the many files (`du --inodes -x -d 2 MOUNTPOINT`).",
            fault: Fault::Disk(DiskState::NoInodes),
            tests: left(10, NODE_FILESYSTEM_FILES_FREE, NODE_FILESYSTEM_FILES, [500.0, 100.0, 99.0]),
        },
        Alert {
            name: "FileSystemReadOnly",
            severity: Severity::Critical,
            expression: NODE_FILESYSTEM_READONLY.series().matches("fstype", DISKS).now().equals(1.0),
            for_minutes: 2,
            owner: OWNER,
            meaning: "A file system can no longer be written to. Linux does that when a disk fails.",
            impact: "What is stored there stops: PostgreSQL, logs, metrics.",
            checks: vec![STATUS],
            remedy: "Read `dmesg` on the host. Replace the disk and restore the newest backup.",
            fault: Fault::Disk(DiskState::ReadOnly),
            tests: levels(
                2,
                DISK,
                &[
                    level(NODE_FILESYSTEM_READONLY, DISK, [0.0, 0.0, 1.0]),
                    level(
                        NODE_FILESYSTEM_READONLY,
                        "fstype=\"squashfs\",mountpoint=\"/snap\",device=\"b\",instance=\"h\"",
                        [1.0; 3],
                    ),
                ],
            ),
        },
        Alert {
            name: "MemoryLow",
            severity: Severity::Warning,
            expression: (NODE_MEMORY_MEMAVAILABLE_BYTES.series().now() / NODE_MEMORY_MEMTOTAL_BYTES.series())
                .below(0.1),
            for_minutes: 10,
            owner: OWNER,
            meaning: "Less than a tenth of a host's memory is available.",
            impact: "The kernel is about to end a process.",
            checks: vec![STATUS],
            remedy: "Lower `sizes` in the environment, or give the host more memory.",
            fault: Fault::NotCaused("it would take the memory of whatever else this machine does"),
            tests: levels(
                10,
                "instance=\"h\"",
                &[
                    level(NODE_MEMORY_MEMAVAILABLE_BYTES, "instance=\"h\"", [500.0, 100.0, 99.0]),
                    level(NODE_MEMORY_MEMTOTAL_BYTES, "instance=\"h\"", [1000.0; 3]),
                ],
            ),
        },
        Alert {
            name: "ProcessKilledForMemory",
            severity: Severity::Warning,
            expression: NODE_VMSTAT_OOM_KILL.series().increase(15).above(0.0),
            for_minutes: 0,
            owner: OWNER,
            meaning: "The kernel ended a process because memory ran out.",
            impact: "The process is started again; its tasks are repeated.",
            checks: vec![STATUS, LOGS],
            remedy: "`dmesg` on the host names the process. Raise its `sizes.SERVICE.memory_mib`.",
            fault: Fault::KilledForMemory,
            tests: rates(
                1,
                0,
                "instance=\"h\"",
                &[rising(NODE_VMSTAT_OOM_KILL, "instance=\"h\"", [0.0, 0.0, 0.05])],
            ),
        },
        Alert {
            name: "ProcessorBusy",
            severity: Severity::Warning,
            expression: NODE_CPU_SECONDS_TOTAL
                .series()
                .is("mode", "idle")
                .rate(10)
                .average(&["instance"])
                .below(0.1),
            for_minutes: 30,
            owner: OWNER,
            meaning: "For half an hour the processors of a host have been busy for more than 90 % of the time.",
            impact: "Everything on the host takes longer.",
            checks: vec![STATUS],
            remedy: "Find what is busy (`top`). Move a service to another host, or give this one more processors.",
            fault: Fault::NotCaused("it would take all processors of this machine for minutes"),
            tests: rates(
                1,
                30,
                "instance=\"h\"",
                &[
                    rising(
                        NODE_CPU_SECONDS_TOTAL,
                        "cpu=\"0\",mode=\"idle\",instance=\"h\"",
                        [40.0, 9.0, 8.7],
                    ),
                    rising(
                        NODE_CPU_SECONDS_TOTAL,
                        "cpu=\"1\",mode=\"idle\",instance=\"h\"",
                        [40.0, 3.0, 2.7],
                    ),
                    rising(
                        NODE_CPU_SECONDS_TOTAL,
                        "cpu=\"0\",mode=\"user\",instance=\"h\"",
                        [20.0, 50.0, 51.0],
                    ),
                    rising(NODE_CPU_SECONDS_TOTAL, "cpu=\"0\",mode=\"steal\",instance=\"h\"", [0.0; 3]),
                    rising(NODE_CPU_SECONDS_TOTAL, "cpu=\"0\",mode=\"idle\",instance=\"i\"", [50.0; 3]),
                ],
            ),
        },
        Alert {
            name: "ClockNotSynchronised",
            severity: Severity::Warning,
            expression: NODE_TIMEX_SYNC_STATUS.series().now().equals(0.0),
            for_minutes: 30,
            owner: OWNER,
            meaning: "Nothing sets the clock of a host.",
            impact: "Certificates and API keys are judged by a wrong time, and times in logs do not fit together.",
            checks: vec![STATUS],
            remedy: "Start the host's time service: `systemctl enable --now systemd-timesyncd`.",
            fault: Fault::NotCaused("it would set the clock of this machine"),
            tests: levels(
                30,
                "instance=\"h\"",
                &[level(NODE_TIMEX_SYNC_STATUS, "instance=\"h\"", [1.0, 1.0, 0.0])],
            ),
        },
        Alert {
            name: "MetricsOfCommandsUnreadable",
            severity: Severity::Warning,
            expression: NODE_TEXTFILE_SCRAPE_ERROR.series().now().above(0.0),
            for_minutes: 10,
            owner: OWNER,
            meaning: "node-exporter cannot read a file that a command left for it, such as that of the deploys.",
            impact: "Nobody is told of a deploy that failed.",
            checks: vec![
                Check { command: "flowship logs ENV node-exporter", look_for: "the file and the error" },
                HISTORY,
            ],
            remedy: "Make the file readable for node-exporter. The next deploy writes it again.",
            fault: Fault::UnreadableMetrics,
            tests: levels(
                10,
                "instance=\"h\"",
                &[level(NODE_TEXTFILE_SCRAPE_ERROR, "instance=\"h\"", [0.0, 0.0, 1.0])],
            ),
        },
    ]
}

fn deploys() -> Vec<Alert> {
    let ended =
        |result| DEPLOYS_TOTAL.series().is("result", result).increase(60).max(&["environment"]).above(0.0);
    let after = |labels: &'static str, second: &'static str, other: &'static str| {
        let once = || Samples::level(3.0, 10).then(&Samples::level(4.0, 120));
        vec![
            test(
                TestKind::Firing,
                "one ended so",
                vec![(DEPLOYS_TOTAL, labels, once()), (DEPLOYS_TOTAL, other, Samples::level(7.0, 130))],
                vec![fire(30, &["environment=\"staging\""])],
            ),
            test(
                TestKind::Silent,
                "one ended otherwise, and the one before is long ago",
                vec![(DEPLOYS_TOTAL, other, once()), (DEPLOYS_TOTAL, labels, Samples::level(7.0, 130))],
                [9, 10, 30, 120].map(|minute| fire(minute, &[])).to_vec(),
            ),
            test(
                TestKind::Boundary,
                "for an hour",
                vec![(DEPLOYS_TOTAL, labels, once())],
                vec![
                    fire(9, &[]),
                    fire(10, &["environment=\"staging\""]),
                    fire(68, &["environment=\"staging\""]),
                    fire(71, &[]),
                ],
            ),
            test(
                TestKind::Silent,
                "the metrics are written for the first time",
                vec![(DEPLOYS_TOTAL, labels, Samples::missing(10).then(&Samples::level(4.0, 60)))],
                vec![fire(11, &[]), fire(30, &[])],
            ),
            test(
                TestKind::Firing,
                "two hosts",
                vec![
                    (DEPLOYS_TOTAL, labels, Samples::level(0.0, 10).then(&Samples::level(1.0, 60))),
                    (DEPLOYS_TOTAL, other, Samples::level(0.0, 70)),
                    (DEPLOYS_TOTAL, second, Samples::level(0.0, 70)),
                ],
                vec![fire(30, &["environment=\"staging\""])],
            ),
        ]
    };
    const ROLLED_BACK: &str = "environment=\"staging\",result=\"rolled-back\",instance=\"h\"";
    const FAILED: &str = "environment=\"staging\",result=\"failed\",instance=\"h\"";
    vec![
        Alert {
            name: "DeployRolledBack",
            severity: Severity::Warning,
            expression: ended("rolled-back"),
            for_minutes: 0,
            owner: OWNER,
            meaning: "A deploy was rolled back: the release that ran before runs again.",
            impact: "None for clients. What the release should bring is missing.",
            checks: vec![HISTORY],
            remedy: "The history names the step that failed. Correct the release and deploy the next one.",
            fault: Fault::BrokenRelease,
            tests: after(
                ROLLED_BACK,
                "environment=\"staging\",result=\"rolled-back\",instance=\"i\"",
                FAILED,
            ),
        },
        Alert {
            name: "DeployFailed",
            severity: Severity::Critical,
            expression: ended("failed"),
            for_minutes: 0,
            owner: OWNER,
            meaning: "A deploy failed and could not be rolled back.",
            impact: "Replicas may run different releases, or fewer may run than should.",
            checks: vec![
                HISTORY,
                STATUS,
                Check { command: "flowship drift ENV", look_for: "what differs from what was deployed" },
            ],
            remedy: "Run the deploy again: it continues where it stopped. Or run `flowship rollback ENV`.",
            fault: Fault::NoWayBack,
            tests: after(FAILED, "environment=\"staging\",result=\"failed\",instance=\"i\"", ROLLED_BACK),
        },
    ]
}

fn secret_overdue() -> Alert {
    const HOST: &str = "environment=\"staging\",secret=\"jwt-key\",instance=\"h\"";
    const OTHER: &str = "environment=\"staging\",secret=\"jwt-key\",instance=\"i\"";
    const SECOND: &str = "environment=\"staging\",secret=\"smoke-token\",instance=\"h\"";
    const FIRES: &str = "environment=\"staging\",secret=\"jwt-key\"";
    const SECOND_FIRES: &str = "environment=\"staging\",secret=\"smoke-token\"";
    // Half an hour after the beginning of a test, and long after its end.
    let (soon, later) = (|| Samples::level(1800.0, 200), || Samples::level(1e9, 200));
    Alert {
        name: "SecretOverdue",
        severity: Severity::Warning,
        expression: (Expression::Time - SECRET_DUE.series().now().max(&["environment", "secret"])).above(0.0),
        for_minutes: 60,
        owner: OWNER,
        meaning: "A secret is older than it may become, or a certificate ends within 30 days.",
        impact: "Whoever once saw it can use it longer than was decided. When a certificate ends, no client connects.",
        checks: vec![Check {
            command: "flowship secrets audit ENV",
            look_for: "which secret, since when, and who reads it",
        }],
        remedy: "Run `flowship secrets rotate ENV SECRET`, which needs no outage. It prints what you must do yourself for secrets \
                 that others issue.",
        fault: Fault::SecretOld(secrets::OPS_TOKEN),
        tests: vec![
            test(
                TestKind::Firing,
                "one is overdue, another is not",
                vec![(SECRET_DUE, HOST, soon()), (SECRET_DUE, SECOND, later())],
                vec![fire(150, &[FIRES])],
            ),
            test(
                TestKind::Silent,
                "none is due",
                vec![(SECRET_DUE, HOST, later()), (SECRET_DUE, SECOND, later())],
                vec![fire(150, &[])],
            ),
            test(
                TestKind::Silent,
                "replaced within the hour",
                vec![(SECRET_DUE, HOST, Samples::level(1800.0, 80).then(&Samples::level(1e9, 120)))],
                [79, 89, 91, 150].map(|minute| fire(minute, &[])).to_vec(),
            ),
            test(
                TestKind::Silent,
                "what another host still has of it is older",
                vec![(SECRET_DUE, HOST, soon()), (SECRET_DUE, OTHER, later())],
                vec![fire(150, &[])],
            ),
            test(
                TestKind::Boundary,
                "an hour after it is due, not before",
                vec![(SECRET_DUE, HOST, soon()), (SECRET_DUE, SECOND, Samples::level(1799.5, 200))],
                vec![fire(89, &[]), fire(90, &[SECOND_FIRES]), fire(91, &[FIRES, SECOND_FIRES])],
            ),
        ],
    }
}
