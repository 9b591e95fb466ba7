//! Rules: what is watched, how urgent it is, what the person does who is told, and the tests of it.

use serde::{Deserialize, Serialize};

use super::{MetricRef, SecretRef, ServiceId, VolumeRef};
use crate::model::expression::Expression;

/// One alert rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// CamelCase, unique. The runbook `docs/runbooks/NAME.md` is made of the texts below.
    pub name: &'static str,
    pub severity: Severity,
    pub expression: Expression,
    /// Minutes for which the expression must hold.
    pub for_minutes: u16,
    /// Who answers for the rule: keeps it useful, or removes it.
    pub owner: &'static str,
    /// What is the case when it fires.
    pub meaning: &'static str,
    /// Who notices what.
    pub impact: &'static str,
    pub checks: Vec<Check>,
    /// What ends it.
    pub remedy: &'static str,
    /// What the fire drill does to make it fire.
    pub fault: Fault,
    pub tests: Vec<RuleTest>,
}

/// What really goes wrong on a running platform, until it is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nothing: the alert always fires.
    Nothing,
    /// The service is stopped.
    Stopped(ServiceId),
    /// The service is killed so many times, and comes back each time.
    Killed { service: ServiceId, times: u8 },
    /// The service stands still for so many milliseconds, runs for 100, and so on.
    Stutters { service: ServiceId, milliseconds: u16 },
    /// The service reads this file, and cannot.
    Unreadable { volume: VolumeRef, file: &'static str },
    /// The service's targets are taken from Prometheus.
    NotScraped(ServiceId),
    /// A file among the logs has a line of the year 2001.
    OldLogLine,
    /// A command leaves a file of metrics that cannot be read.
    UnreadableMetrics,
    /// The smoke checks run while the service is stopped.
    SmokeWithout(ServiceId),
    /// The model answers every request with this status.
    ModelAnswers(u16),
    /// The model answers every request with 429 and asks to be left alone for so many seconds, and so many tasks are sent.
    ModelAsksToWait { seconds: u16, tasks: u16 },
    /// The first replica of the service stands still.
    Frozen(ServiceId),
    /// So many tasks of some seconds are sent; then one replica of the workers stands still for so many seconds, and another one
    /// takes its tasks over.
    TakenOver { tasks: u16, seconds: u16 },
    /// An operator drains the queue, so many tasks are sent, and after so many seconds the operator lets them be worked on.
    Drained { tasks: u16, seconds: u16 },
    /// One replica of the workers has these nodes of Node-RED too, as JSON.
    MoreNodes(&'static str),
    /// No client sends tasks any more.
    NoTasks,
    /// So many pairs of transactions wait for each other.
    Deadlocks(u8),
    /// A transaction stays open for so many seconds and longer.
    ForgottenTransaction { seconds: u16 },
    /// Who has the role of this password receives WAL and stands still while so much more is written.
    ReceiverFrozen { password: SecretRef, mebibytes: u16 },
    /// A command leaves two series of this metric that differ only in a label that rules set.
    SeriesMeet(MetricRef),
    /// The secret was written a year ago.
    SecretOld(SecretRef),
    /// The file of the secret is gone.
    SecretMissing(SecretRef),
    /// The service is stopped until this counter rises.
    StoppedUntil { service: ServiceId, counts: MetricRef },
    /// So many sessions of the database have run this SQL and stay open.
    Sessions { sessions: u16, sql: &'static str },
    /// Clients hold so much of the connections that the edge may have, from many addresses.
    Connections { percent: u8 },
    /// A small disk is mounted in this state.
    Disk(DiskState),
    /// A release whose replicas end at once is deployed, to an environment of its own on the same machine.
    BrokenRelease,
    /// A release of which only one replica can run is deployed in the same way, and the files of the release before are removed
    /// meanwhile.
    NoWayBack,
    /// The edge serves a certificate that ends tomorrow.
    CertificateOld,
    /// A process takes more memory than its control group may.
    KilledForMemory,
    /// PagerDuty answers 500 while the service is stopped.
    PagingFails(ServiceId),
    /// The drill does not cause it, and why.
    NotCaused(&'static str),
}

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskState {
    Full,
    /// Of its files it can take no more.
    NoInodes,
    ReadOnly,
}

/// One recording rule: its result is a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// `level:metric:operation`.
    pub name: MetricRef,
    pub expression: Expression,
    pub help: &'static str,
    pub tests: Vec<RuleTest>,
}

/// Where an alert goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Wakes somebody (PagerDuty).
    Critical,
    /// Is read in office hours (e-mail and Slack).
    Warning,
    /// For those who answer for the workflows.
    Business,
    /// Always fires; a receiver outside notices when it stops.
    Heartbeat,
}

impl Severity {
    /// The value of the label `severity`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Business => "business",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// One look at the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A command of an operator, such as `flowship status ENV`.
    pub command: &'static str,
    /// What to look for in what it prints.
    pub look_for: &'static str,
}

/// What a rule makes of some series, one sample a minute, from minute 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleTest {
    pub kind: TestKind,
    /// What happens.
    pub what: &'static str,
    pub series: Vec<Series>,
    pub expects: Vec<Expected>,
}

/// What a test shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestKind {
    /// It fires.
    Firing,
    /// It does not, where one could think so.
    Silent,
    /// On one side of a threshold or of the time it does, on the other it does not.
    Boundary,
}

/// One series of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub metric: MetricRef,
    /// `_bucket`, `_sum` or `_count` of a histogram, or nothing.
    pub part: &'static str,
    /// As between the braces of a selector: `a="1",b="2"`.
    pub labels: &'static str,
    pub samples: Samples,
}

/// Samples in promtool's notation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Samples(pub String);

impl Samples {
    /// The same value for some minutes.
    #[must_use]
    pub fn level(value: f64, minutes: u32) -> Self {
        Self::rising(value, 0.0, minutes)
    }

    /// A counter.
    #[must_use]
    pub fn rising(from: f64, per_minute: f64, minutes: u32) -> Self {
        // The first sample is not counted.
        Self(format!("{from}+{per_minute}x{}", minutes.saturating_sub(1)))
    }

    /// Nothing is scraped.
    #[must_use]
    pub fn missing(minutes: u32) -> Self {
        Self(format!("_x{minutes}"))
    }

    #[must_use]
    pub fn then(self, next: &Self) -> Self {
        Self(format!("{} {}", self.0, next.0))
    }

    /// The target is gone from the configuration.
    #[must_use]
    pub fn gone(self) -> Self {
        Self(format!("{} stale", self.0))
    }
}

impl Fault {
    /// Seconds of real time until it can show: what the metrics measure is not faster in a drill.
    #[must_use]
    pub const fn shows_after(&self) -> u16 {
        match self {
            Self::Drained { seconds, .. } | Self::ForgottenTransaction { seconds } => *seconds,
            _ => 0,
        }
    }

    /// In words, as in `stop postgres`.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Nothing => "none: it always fires".to_owned(),
            Self::Stopped(service) => format!("stop {service}"),
            Self::Killed { service, times } => format!("kill {service} {times} times"),
            Self::Stutters { service, milliseconds } => {
                format!("freeze {service} for {milliseconds} ms again and again")
            }
            Self::Unreadable { volume, file } => format!("garbage in {file} of {}", volume.service),
            Self::NotScraped(service) => format!("remove {service} from the targets"),
            Self::OldLogLine => "a log line of the year 2001".to_owned(),
            Self::UnreadableMetrics => "garbage in a file of metrics".to_owned(),
            Self::SmokeWithout(service) => format!("stop {service}, then run smoke"),
            Self::ModelAnswers(status) => format!("the model answers {status}"),
            Self::ModelAsksToWait { seconds, tasks } => {
                format!("the model answers 429 and asks to wait for {seconds} s, send {tasks} tasks")
            }
            Self::Frozen(service) => format!("freeze {service}"),
            Self::TakenOver { tasks, seconds } => {
                format!("send {tasks} tasks, then freeze one replica for {seconds} s")
            }
            Self::Drained { tasks, seconds } => {
                format!("drain the queue for {seconds} s and send {tasks} tasks")
            }
            Self::MoreNodes(_) => "one replica has a flow more, whose node fails".to_owned(),
            Self::NoTasks => "no client sends tasks".to_owned(),
            Self::Deadlocks(pairs) => format!("{pairs} pairs of transactions that wait for each other"),
            Self::ForgottenTransaction { .. } => "a session that ran BEGIN; SELECT 1".to_owned(),
            Self::ReceiverFrozen { mebibytes, .. } => {
                format!("freeze a receiver of WAL, then write {mebibytes} MiB")
            }
            Self::SeriesMeet(metric) => {
                format!("two series of {metric} that differ only in their label severity")
            }
            Self::SecretOld(secret) => format!("{secret} was written 400 days ago"),
            Self::SecretMissing(secret) => format!("remove the file of {secret}"),
            Self::StoppedUntil { service, counts } => format!("stop {service} until {counts} rises"),
            Self::Sessions { sessions: 1, sql } => format!("a session that ran {sql}"),
            Self::Sessions { sessions, sql } => format!("{sessions} sessions that ran {sql}"),
            Self::Connections { percent } => {
                format!("clients hold {percent} % of the connections of the edge")
            }
            Self::Disk(DiskState::Full) => "fill a disk image".to_owned(),
            Self::Disk(DiskState::NoInodes) => "use up the inodes of a disk image".to_owned(),
            Self::Disk(DiskState::ReadOnly) => "remount a disk image read-only".to_owned(),
            Self::BrokenRelease => "deploy a release that crashes at start".to_owned(),
            Self::NoWayBack => {
                "deploy a release whose second replica crashes at start, remove the one before".to_owned()
            }
            Self::CertificateOld => "the edge serves a certificate that ends tomorrow".to_owned(),
            Self::KilledForMemory => "a process takes more memory than its control group may".to_owned(),
            Self::PagingFails(service) => format!("PagerDuty answers 500, stop {service}"),
            Self::NotCaused(why) => format!("not caused: {why}"),
        }
    }
}

/// What is so at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    pub minute: u32,
    /// For each alert that fires, or each sample that is recorded, its labels as between the braces of a selector;
    /// empty where none is.
    #[serde(borrow)]
    pub labels: Vec<&'static str>,
    /// Of a recording rule, the value of each.
    pub values: Vec<f64>,
}
