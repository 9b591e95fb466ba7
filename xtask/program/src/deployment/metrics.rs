//! The history and the dates of secrets as metrics, in Prometheus' text format 0.0.4: for the textfile collector of
//! node-exporter, which reads the files of a folder. A command ends long before anybody could scrape it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use foundation::clock;
use foundation::files;
use vocabulary::model::{Metric, MetricKind, MetricRef, deploy_metrics, secret_metrics};

use super::history::{Change, Entry, Outcome};
use crate::engines::process::instance::METRICS;

/// In the folder of the metrics of an environment.
pub const DEPLOYS: &str = "deploys.prom";
pub const SECRETS: &str = "secrets.prom";

/// What is written of a secret.
pub struct SecretDates {
    pub name: String,
    /// In seconds since 1970.
    pub changed: u64,
    /// In seconds since 1970.
    pub due: u64,
}

/// Writes the metrics of a history, whole, below the folder of its environment.
///
/// # Errors
/// The file cannot be written.
pub fn write_deploys(folder: &Path, environment: &str, entries: &[Entry]) -> Result<()> {
    let [total, last, duration] = &deploy_metrics();
    let entries: Vec<&Entry> = entries.iter().filter(|entry| entry.change.is_deploy()).collect();
    let ended: Vec<Outcome> =
        (0..).zip(&entries).map(|(at, entry)| ended(entry, entries.get(at + 1))).collect();
    let of = |result: Outcome| {
        let all = entries.iter().zip(&ended);
        all.filter(move |(_, ended)| **ended == result).map(|(entry, _)| entry)
    };
    let labels = |result: Outcome| vec![environment, result.name()];
    let totals = Outcome::ALL.map(|result| (labels(result), of(result).count() as f64));
    let last_ended = |result| Some((labels(result), clock::seconds(&of(result).next_back()?.at)? as f64));
    let took = entries.last().map(|entry| (vec![environment], entry.duration_ms as f64 / 1000.0));
    write(
        folder,
        DEPLOYS,
        &[
            family(total, totals),
            family(last, Outcome::ALL.into_iter().filter_map(last_ended)),
            family(duration, took),
        ],
    )
}

/// A deploy that failed was rolled back all the same when the release before was rolled out again at once.
fn ended(entry: &Entry, next: Option<&&Entry>) -> Outcome {
    let is_back =
        |next: &&Entry| next.change == Change::Rollback && next.why.is_some() && next.result == Outcome::Done;
    if entry.result == Outcome::Failed && next.is_some_and(is_back) {
        return Outcome::RolledBack;
    }
    entry.result
}

/// Writes the dates of all secrets of an environment, whole, below its folder.
///
/// # Errors
/// The file cannot be written.
pub fn write_secrets(folder: &Path, environment: &str, secrets: &[SecretDates]) -> Result<()> {
    let [changed, due] = &secret_metrics();
    let of = |seconds: fn(&SecretDates) -> u64| {
        secrets.iter().map(move |secret| (vec![environment, secret.name.as_str()], seconds(secret) as f64))
    };
    write(
        folder,
        SECRETS,
        &[family(changed, of(|secret| secret.changed)), family(due, of(|secret| secret.due))],
    )
}

fn write(folder: &Path, file: &str, families: &[String]) -> Result<()> {
    let folder = folder.join(METRICS);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    files::write::whole(&folder.join(file), 0o644, families.concat())
}

fn family<'a>(metric: &Metric, samples: impl IntoIterator<Item = (Vec<&'a str>, f64)>) -> String {
    let Metric { name: MetricRef(name), kind, help, labels, .. } = metric;
    let kind = if *kind == MetricKind::Counter { "counter" } else { "gauge" };
    let mut out = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (values, value) in samples {
        // Names of environments, results and secrets need no escaping.
        let labels: Vec<_> =
            labels.iter().zip(values).map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        out.push_str(&format!("{name}{{{}}} {value}\n", labels.join(",")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::entry;
    use super::*;

    #[test]
    fn a_rolled_back_deploy_is_counted_and_dated_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut entries =
            vec![entry(Change::Deploy, "1", Outcome::Done), entry(Change::Deploy, "2", Outcome::RolledBack)];
        entries[1].at = "2026-11-03T09:06:00Z".to_owned();
        entries[1].duration_ms = 2500;
        entries.push(entry(Change::Stop, "1", Outcome::Done));
        write_deploys(folder.path(), "staging", &entries).unwrap();
        assert_eq!(
            fs::read_to_string(folder.path().join(METRICS).join(DEPLOYS)).unwrap(),
            "# HELP flowship_deploys_total Deploys, promotions and rollbacks, by result.\n\
             # TYPE flowship_deploys_total counter\n\
             flowship_deploys_total{environment=\"staging\",result=\"done\"} 1\n\
             flowship_deploys_total{environment=\"staging\",result=\"rolled-back\"} 1\n\
             flowship_deploys_total{environment=\"staging\",result=\"failed\"} 0\n\
             # HELP flowship_deploy_last_timestamp_seconds When the last one with this result ended, in seconds since \
             1970.\n\
             # TYPE flowship_deploy_last_timestamp_seconds gauge\n\
             flowship_deploy_last_timestamp_seconds{environment=\"staging\",result=\"done\"} 1793696707\n\
             flowship_deploy_last_timestamp_seconds{environment=\"staging\",result=\"rolled-back\"} 1793696760\n\
             # HELP flowship_deploy_duration_seconds How long the last one took.\n\
             # TYPE flowship_deploy_duration_seconds gauge\n\
             flowship_deploy_duration_seconds{environment=\"staging\"} 2.5\n"
        );
    }

    #[test]
    fn a_deploy_that_failed_counts_as_rolled_back_once_the_release_before_runs_again() {
        let failed = || entry(Change::Deploy, "2", Outcome::Failed);
        let again = |change, result, why: Option<&str>| Entry {
            why: why.map(str::to_owned),
            ..entry(change, "1", result)
        };
        for (next, counts) in [
            (None, [0, 0, 1]),
            (Some(again(Change::Rollback, Outcome::Done, Some("no answer"))), [1, 1, 0]),
            (Some(again(Change::Rollback, Outcome::Failed, Some("no answer"))), [0, 0, 2]),
            // Somebody typed it, later.
            (Some(again(Change::Rollback, Outcome::Done, None)), [1, 0, 1]),
            (Some(again(Change::Deploy, Outcome::Done, Some("no answer"))), [1, 0, 1]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let entries: Vec<Entry> = std::iter::once(failed()).chain(next).collect();
            write_deploys(folder.path(), "staging", &entries).unwrap();
            let text = fs::read_to_string(folder.path().join(METRICS).join(DEPLOYS)).unwrap();
            for (result, count) in Outcome::ALL.into_iter().zip(counts) {
                let line =
                    format!("_total{{environment=\"staging\",result=\"{}\"}} {count}\n", result.name());
                assert!(text.contains(&line), "{entries:#?}: no {line} in {text}");
            }
        }
    }

    #[test]
    fn each_secret_has_its_dates() {
        let folder = tempfile::tempdir().unwrap();
        let secrets =
            [SecretDates { name: "jwt-key".to_owned(), changed: 1_700_000_000, due: 1_707_776_000 }];
        write_secrets(folder.path(), "staging", &secrets).unwrap();
        assert_eq!(
            fs::read_to_string(folder.path().join(METRICS).join(SECRETS)).unwrap(),
            "# HELP flowship_secret_changed_timestamp_seconds When a secret was last changed, in seconds since 1970.\n\
             # TYPE flowship_secret_changed_timestamp_seconds gauge\n\
             flowship_secret_changed_timestamp_seconds{environment=\"staging\",secret=\"jwt-key\"} 1700000000\n\
             # HELP flowship_secret_due_timestamp_seconds When a secret is to be replaced, in seconds since 1970.\n\
             # TYPE flowship_secret_due_timestamp_seconds gauge\n\
             flowship_secret_due_timestamp_seconds{environment=\"staging\",secret=\"jwt-key\"} 1707776000\n"
        );
    }
}
