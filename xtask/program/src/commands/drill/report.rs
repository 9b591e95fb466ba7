//! What a drill has found, and whether that is as it should be. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::draw::Draw;
use super::requests::Rates;
use crate::load_test::client::Task;
use crate::load_test::load::{Failure, Seen};
use crate::load_test::phase::Phase;
use foundation::columns;

/// So many failures are told one by one.
pub const TOLD: usize = 20;

/// One deploy.
#[derive(Debug, Serialize)]
pub struct Deploy {
    #[serde(flatten)]
    pub draw: Draw,
    /// Milliseconds since the load began.
    pub began_ms: u64,
    pub took_ms: u64,
    /// Requests that were due meanwhile, and failed.
    pub failed: usize,
    /// Of a broken release: from the failed step until what ran before ran again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undoing_ms: Option<u64>,
    /// Of one whose process was killed: the milliseconds after which it was, if it had not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killed_ms: Option<u64>,
    /// What was not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What became of the tasks.
#[derive(Debug, Serialize)]
pub struct Tasks {
    pub accepted: usize,
    /// Accepted, and without a result.
    pub lost: usize,
    /// There, and never accepted, although each request was answered: put in twice.
    pub doubled: usize,
    /// With one result, after more than one attempt.
    pub again: usize,
}

/// Everything that a drill has found.
#[derive(Debug, Serialize)]
pub struct Findings {
    pub rates: Rates,
    pub deploys: Vec<Deploy>,
    pub requests: usize,
    pub failed: usize,
    /// The first of them.
    pub failures: Vec<Failure>,
    pub tasks: Tasks,
    pub without_deploys: Phase,
    pub with_deploys: Phase,
    /// `rollback` of the release that ran at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_ms: Option<u64>,
    /// Requests that failed when the workers were killed instead of drained: the load must notice that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_without_drain: Option<usize>,
    /// Why the drill failed.
    pub problems: Vec<String>,
}

/// Counts for each deploy the requests that failed from its beginning to that of the next.
pub fn attribute(deploys: &mut [Deploy], failures: &[Failure]) {
    let begins: Vec<u64> = deploys.iter().map(|deploy| deploy.began_ms).collect();
    for (index, deploy) in deploys.iter_mut().enumerate() {
        let until = begins.get(index + 1).copied().unwrap_or(u64::MAX);
        let within = |failure: &&Failure| (begins[index]..until).contains(&failure.due_ms);
        deploy.failed = failures.iter().filter(within).count();
    }
}

/// Compares the tasks that were accepted with those that there are.
pub fn compare(seen: &Seen, there: &BTreeMap<String, Task>, others: usize) -> Tasks {
    let ended = |id: &&String| there.get(*id).is_some_and(|task| task.status == "completed");
    let unanswered = seen.failures.iter().filter(|failure| failure.what.starts_with("POST")).count();
    let known: BTreeSet<&String> = seen.accepted.iter().collect();
    let unknown = there.keys().filter(|id| !known.contains(id)).count();
    Tasks {
        accepted: seen.accepted.len(),
        lost: seen.accepted.iter().filter(|id| !ended(id)).count(),
        // A request that was not answered may have been accepted.
        doubled: unknown.saturating_sub(others + unanswered),
        again: there.values().filter(|task| task.attempts > 1).count(),
    }
}

impl Findings {
    /// Adds why the drill fails.
    pub fn judge(&mut self) {
        let Tasks { accepted, lost, doubled, .. } = self.tasks;
        for (count, what) in [
            (self.failed, format!("of {} requests failed", self.requests)),
            (lost, format!("of {accepted} tasks have no result")),
            (doubled, "tasks exist twice or were never submitted".to_owned()),
        ] {
            if count > 0 {
                self.problems.push(format!("{count} {what}"));
            }
        }
        for (index, deploy) in self.deploys.iter().enumerate() {
            if let Some(problem) = &deploy.problem {
                self.problems.push(format!("deploy {} ({}): {problem}", index + 1, deploy.draw.words()));
            }
        }
        if self.failed_without_drain == Some(0) {
            self.problems.push(
                "the control failed: all workers were killed at once and no request failed, so this load cannot \
                 detect lost requests"
                    .to_owned(),
            );
        }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut by_kind: BTreeMap<String, Vec<&Deploy>> = BTreeMap::new();
        for deploy in &self.deploys {
            by_kind.entry(deploy.draw.words()).or_default().push(deploy);
        }
        let seconds = |ms: Option<u64>| match ms {
            Some(ms) => format!("{:.1} s", Duration::from_millis(ms).as_secs_f64()),
            None => "-".to_owned(),
        };
        let head = ["DEPLOYS", "COUNT", "AS EXPECTED", "FAILED REQUESTS", "LONGEST", "LONGEST UNDOING"]
            .map(str::to_owned);
        let rows = by_kind.iter().map(|(words, deploys)| {
            [
                words.clone(),
                deploys.len().to_string(),
                deploys.iter().filter(|deploy| deploy.problem.is_none()).count().to_string(),
                deploys.iter().map(|deploy| deploy.failed).sum::<usize>().to_string(),
                seconds(deploys.iter().map(|deploy| deploy.took_ms).max()),
                seconds(deploys.iter().filter_map(|deploy| deploy.undoing_ms).max()),
            ]
        });
        let deploys = columns::table(&[vec![head], rows.collect()].concat());
        let head = ["ANSWERS", "COUNT", "P50", "P99", "LONGEST", "LONGEST GAP"].map(str::to_owned);
        let row = |what: &str, phase: &Phase| {
            let times = [phase.p50_ms, phase.p99_ms, phase.longest_ms, phase.gap_ms];
            let [p50, p99, longest, gap] = times.map(|ms| format!("{ms:.1} ms"));
            [format!("{what}, {:.0} s", phase.seconds), phase.answers.to_string(), p50, p99, longest, gap]
        };
        let phases = columns::table(&[
            head,
            row("without deploys", &self.without_deploys),
            row("with deploys", &self.with_deploys),
        ]);
        let Tasks { accepted, lost, doubled, again } = self.tasks;
        let mut text = format!(
            "{deploys}\n{phases}\nrequests  {} sent, {} failed\ntasks     {accepted} accepted, {lost} lost, {doubled} \
             duplicated, {again} needed another attempt\n",
            self.requests, self.failed
        );
        if let Some(took) = self.rollback_ms {
            text += &format!("rollback  {}\n", seconds(Some(took)));
        }
        if let Some(failed) = self.failed_without_drain {
            text += &format!("control   {failed} requests failed when all workers were killed at once\n");
        }
        for Failure { due_ms, what } in &self.failures {
            text += &format!("  after {:.1} s: {what}\n", Duration::from_millis(*due_ms).as_secs_f64());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_without_a_result_are_lost_and_those_that_nobody_knows_doubled() {
        let task = |id: &str, status: &str| {
            let task = serde_json::json!({ "task_id": id, "status": status, "attempts": 1 });
            (id.to_owned(), serde_json::from_value::<Task>(task).unwrap())
        };
        let there = [task("a", "completed"), task("b", "failed"), task("x", "completed")].into();
        let accepted = ["a", "b", "c"].map(str::to_owned).into();
        let mut seen = Seen { accepted, ..Seen::default() };
        let found = compare(&seen, &there, 0);
        assert_eq!((found.accepted, found.lost, found.doubled), (3, 2, 1));
        assert_eq!(compare(&seen, &there, 1).doubled, 0, "one was put in before the load");
        seen.failures.push(Failure { due_ms: 1, what: "POST /x: reset".to_owned() });
        assert_eq!(compare(&seen, &there, 0).doubled, 0, "it may have been accepted");
    }
}
