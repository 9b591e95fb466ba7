//! Tests of rules from three examples of each series: all is well, exactly at the limit, and just beyond it.

use vocabulary::model::{Expected, MetricRef, RuleTest, Samples, Series, TestKind};

/// Minutes during which all is well before something goes wrong.
const WELL: u32 = 5;
/// Minutes that a test goes on after the alert fires.
const AFTER: u32 = 20;

/// One series.
#[derive(Clone)]
pub struct Example {
    metric: MetricRef,
    part: &'static str,
    labels: &'static str,
    rises: bool,
    /// All is well, at the limit, beyond it.
    values: [f64; 3],
}

/// A gauge; its values.
pub fn level(metric: MetricRef, labels: &'static str, values: [f64; 3]) -> Example {
    Example { metric, part: "", labels, rises: false, values }
}

/// A counter; how much it rises in a minute.
pub fn rising(metric: MetricRef, labels: &'static str, values: [f64; 3]) -> Example {
    Example { rises: true, ..level(metric, labels, values) }
}

/// A bucket, or the count, of a histogram; how much it rises in a minute.
pub fn part(metric: MetricRef, part: &'static str, labels: &'static str, values: [f64; 3]) -> Example {
    Example { part, ..rising(metric, labels, values) }
}

/// The tests of a rule on gauges, which holds from the minute on in which they change. `fires` are the labels.
pub fn levels(for_minutes: u16, fires: &'static str, examples: &[Example]) -> Vec<RuleTest> {
    tests(WELL, for_minutes, fires, |which, minutes| {
        let samples = |example: &Example| {
            let well = Samples::level(example.values[0], WELL);
            well.then(&Samples::level(example.values[which], minutes - WELL))
        };
        examples.iter().map(|example| example.series(samples(example))).collect()
    })
}

/// The tests of a rule on counters, which holds from minute `first` on.
pub fn rates(first: u32, for_minutes: u16, fires: &'static str, examples: &[Example]) -> Vec<RuleTest> {
    tests(first, for_minutes, fires, |which, minutes| {
        let samples = |example: &Example| match example.rises {
            true => Samples::rising(0.0, example.values[which], minutes),
            false => Samples::level(example.values[which], minutes),
        };
        examples.iter().map(|example| example.series(samples(example))).collect()
    })
}

impl Example {
    fn series(&self, samples: Samples) -> Series {
        Series { metric: self.metric, part: self.part, labels: self.labels, samples }
    }
}

fn tests(
    first: u32,
    for_minutes: u16,
    fires: &'static str,
    series: impl Fn(usize, u32) -> Vec<Series>,
) -> Vec<RuleTest> {
    let due = first + u32::from(for_minutes);
    // A rule on counters has seen its whole range by then.
    let minutes = due + first + AFTER;
    let test = |kind, what, which, expects| RuleTest { kind, what, series: series(which, minutes), expects };
    vec![
        test(TestKind::Firing, "just beyond the limit", 2, vec![fire(minutes - 1, &[fires])]),
        test(TestKind::Silent, "all is well", 0, vec![fire(minutes - 1, &[])]),
        test(TestKind::Silent, "exactly at the limit", 1, vec![fire(minutes - 1, &[])]),
        test(
            TestKind::Boundary,
            "it fires when its time is over, not before",
            2,
            vec![fire(due - 1, &[]), fire(due, &[fires])],
        ),
    ]
}

/// Which alerts fire at that time.
pub fn fire(minute: u32, labels: &[&'static str]) -> Expected {
    Expected { minute, labels: labels.to_vec(), values: vec![] }
}

/// A test of series that are written out.
pub fn test(
    kind: TestKind,
    what: &'static str,
    series: Vec<(MetricRef, &'static str, Samples)>,
    expects: Vec<Expected>,
) -> RuleTest {
    let series = series
        .into_iter()
        .map(|(metric, labels, samples)| Series { metric, part: "", labels, samples })
        .collect();
    RuleTest { kind, what, series, expects }
}
