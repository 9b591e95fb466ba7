//! Service level objectives, and the alerts that fire when their error budget is used up too fast: several windows, several
//! burn rates, as in <https://sre.google/workbook/alerting-on-slos/>.

use vocabulary::model::expression::{Expression, Selector};
use vocabulary::model::{Alert, Check, Fault, MetricRef, RuleTest, Samples, Severity, TestKind};

use super::rule_tests::{fire, test};

/// A share of requests or tasks that must succeed within 30 days.
pub struct Objective {
    /// Of the alerts: page at once, page, ticket.
    pub names: [&'static str; 3],
    /// Of all, what may fail.
    pub budget: f64,
    pub failed: fn() -> Selector,
    pub all: fn() -> Selector,
    /// Two series of each metric, as promtool writes labels: of what succeeds, of what fails.
    pub metric: MetricRef,
    pub succeeds: [&'static str; 2],
    pub fails: [&'static str; 2],
    /// Series that say nothing about it, and are many.
    pub others: &'static [&'static str],
    pub fault: Fault,
    pub owner: &'static str,
    pub meanings: [&'static str; 3],
    pub impact: &'static str,
    pub checks: fn() -> Vec<Check>,
    pub remedy: &'static str,
}

/// The burn rate, the long and the short window in minutes, how urgent it is.
const WINDOWS: [(f64, u32, u32, Severity); 3] = [
    (14.4, 60, 5, Severity::Critical),
    (6.0, 360, 30, Severity::Critical),
    (1.0, 4320, 360, Severity::Warning),
];
/// With fewer failures within the long window, the rate says nothing: that is for the rule on few requests.
const LEAST: f64 = 10.0;

impl Objective {
    pub fn alerts(&self) -> Vec<Alert> {
        let alert = |(at, (rate, long, short, severity)): (usize, (f64, u32, u32, Severity))| Alert {
            name: self.names[at],
            severity,
            expression: self.burns(self.limit(rate), long, short),
            for_minutes: FOR,
            owner: self.owner,
            meaning: self.meanings[at],
            impact: self.impact,
            checks: (self.checks)(),
            remedy: self.remedy,
            fault: self.fault,
            tests: self.tests(self.limit(rate), short),
        };
        WINDOWS.into_iter().enumerate().map(alert).collect()
    }

    /// The share of failures that burns the budget so fast, without the noise of floating point.
    fn limit(&self, rate: f64) -> f64 {
        (rate * self.budget * 1e6).round() / 1e6
    }

    fn share(&self, minutes: u32) -> Expression {
        (self.failed)().rate(minutes).sum(&[]) / (self.all)().rate(minutes).sum(&[])
    }

    fn burns(&self, limit: f64, long: u32, short: u32) -> Expression {
        // The short window ends the alert soon after the failures end.
        let burns = self.share(long).above(limit).and(self.share(short).above(limit));
        burns.and((self.failed)().increase(long).sum(&[]).above(LEAST))
    }

    /// Phases of some minutes, each with a share of failures, on two replicas.
    fn phases(&self, phases: &[(u32, f64)]) -> Vec<(MetricRef, &'static str, Samples)> {
        let counter = |per_minute: &dyn Fn(f64) -> f64| {
            let mut count = 0.0;
            let mut parts = Vec::new();
            for (minutes, share) in phases {
                parts.push(Samples::rising(count, per_minute(*share), *minutes));
                count += per_minute(*share) * f64::from(*minutes);
            }
            parts.into_iter().reduce(|all, next| all.then(&next)).unwrap_or_else(|| Samples::missing(1))
        };
        // Of 100,000 a minute, so that each share is a whole number.
        let failed = counter(&|share| (share * 50_000.0).round());
        let succeeded = counter(&|share| 50_000.0 - (share * 50_000.0).round());
        let other = counter(&|_| 100_000.0);
        let of = |samples: Samples| move |labels: &&'static str| (self.metric, *labels, samples.clone());
        let mut series: Vec<_> = self.fails.iter().map(of(failed)).collect();
        series.extend(self.succeeds.iter().map(of(succeeded)));
        series.extend(self.others.iter().map(of(other)));
        series
    }

    /// At minute 5 so many fail, of some more; never again.
    fn few(&self, failures: [f64; 2]) -> Vec<(MetricRef, &'static str, Samples)> {
        let jump = |count: f64| Samples::level(0.0, 5).then(&Samples::level(count, 20));
        let mut series: Vec<_> = self
            .fails
            .into_iter()
            .zip(failures)
            .map(|(labels, count)| (self.metric, labels, jump(count)))
            .collect();
        series.extend(self.succeeds.into_iter().map(|labels| (self.metric, labels, jump(15.0))));
        series.extend(self.others.iter().map(|labels| (self.metric, *labels, jump(500.0))));
        series
    }

    fn tests(&self, limit: f64, short: u32) -> Vec<RuleTest> {
        let beyond = limit * 1.05;
        let due = 1 + u32::from(FOR);
        let never = |minutes: &[u32]| minutes.iter().map(|minute| fire(*minute, &[])).collect::<Vec<_>>();
        // So long before the short window that the long one differs from it.
        let before = if short == 5 { 5 } else { short / 3 };
        let end = before + short + 5;
        let weight = f64::from(short + 5) / f64::from(before);
        let recent = 1.0 + 0.15 / weight.max(1.0);
        let earlier = 1.0 - (recent - 1.0) * weight;
        let [good, bad] = [self.succeeds[0], self.fails[0]];
        vec![
            test(
                TestKind::Firing,
                "just beyond the limit",
                self.phases(&[(40, beyond)]),
                vec![fire(39, &[""])],
            ),
            test(TestKind::Silent, "all is well", self.phases(&[(40, 0.0)]), never(&[39])),
            test(TestKind::Silent, "exactly at the limit", self.phases(&[(40, limit)]), never(&[39])),
            test(
                TestKind::Boundary,
                "it fires when its time is over, not before",
                self.phases(&[(40, beyond)]),
                vec![fire(due - 1, &[]), fire(due, &[""])],
            ),
            test(
                TestKind::Silent,
                "lately more, but not over the long window",
                self.phases(&[(before, limit * (earlier - 0.005)), (short + 5, limit * recent)]),
                never(&[end - 1]),
            ),
            test(
                TestKind::Silent,
                "over the long window more, but not lately",
                self.phases(&[(before, limit * 1.5), (short + 5, limit * 0.999)]),
                never(&[end - 1]),
            ),
            test(
                TestKind::Silent,
                "a deploy: counters begin again, and the series of the old replica end",
                vec![
                    (
                        self.metric,
                        good,
                        Samples::rising(90_000.0, 50.0, 30).then(&Samples::rising(0.0, 50.0, 30)),
                    ),
                    (self.metric, bad, Samples::level(900.0, 30).then(&Samples::level(0.0, 30))),
                    (self.metric, self.succeeds[1], Samples::rising(70_000.0, 50.0, 30).gone()),
                    (self.metric, self.fails[1], Samples::level(700.0, 30).gone()),
                ],
                never(&[29, 30, 31, 32, 35, 45, 59]),
            ),
            test(TestKind::Silent, "ten failures of forty", self.few([5.0, 5.0]), never(&[6, 7, 8, 9])),
            test(
                TestKind::Firing,
                "eleven failures of forty-one",
                self.few([6.0, 5.0]),
                vec![fire(8, &[""])],
            ),
        ]
    }
}

/// Minutes: one evaluation that finds it is none.
const FOR: u16 = 2;
