//! Measured times: minimum, median and maximum, and the ratio to a peer.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Seconds,
    PerSecond,
    Count,
}

/// One figure of several runs.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub what: String,
    pub unit: Unit,
    pub minimum: f64,
    pub median: f64,
    pub maximum: f64,
    /// The peer it was measured beside, and how many times the peer's median this median is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<(String, f64)>,
}

/// Runs it once uncounted, then so often.
///
/// # Errors
/// As the work says.
pub fn times(runs: usize, work: &mut dyn FnMut() -> Result<()>) -> Result<Vec<Duration>> {
    work()?;
    (0..runs).map(|_| timed(work)).collect()
}

/// How long it takes.
///
/// # Errors
/// As the work says.
pub fn timed(work: &mut dyn FnMut() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

/// # Panics
/// When there is no time.
pub fn figure(what: &str, times: &[Duration], beside: Option<&Figure>) -> Figure {
    of(what, Unit::Seconds, &times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>(), beside)
}

/// # Panics
/// When there is no value.
pub fn of(what: &str, unit: Unit, values: &[f64], beside: Option<&Figure>) -> Figure {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (minimum, median, maximum) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    let beside = beside.map(|peer| (peer.what.clone(), median / peer.median));
    Figure { what: what.to_owned(), unit, minimum, median, maximum, beside }
}

/// A figure that one run has.
pub fn once(what: String, unit: Unit, value: f64, beside: Option<&Figure>) -> Figure {
    of(&what, unit, &[value], beside)
}

pub fn table(figures: &[Figure]) -> String {
    let width = figures.iter().map(|figure| figure.what.chars().count()).max().unwrap_or(0);
    let mut out = format!("{:<width$} {:>9} {:>9} {:>9}  BESIDE\n", "FIGURE", "MIN", "MEDIAN", "MAX");
    for figure in figures {
        let beside =
            figure.beside.as_ref().map_or(String::new(), |(peer, ratio)| format!("{ratio:.2} times {peer}"));
        // One run has no range.
        let range = |value| {
            if figure.minimum < figure.maximum { figure.unit.of(value) } else { String::new() }
        };
        let row = format!(
            "{:<width$} {:>9} {:>9} {:>9}  {beside}",
            figure.what,
            range(figure.minimum),
            figure.unit.of(figure.median),
            range(figure.maximum)
        );
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

impl Unit {
    fn of(self, value: f64) -> String {
        match self {
            Self::Seconds if value < 1.0 => format!("{:.1} ms", value * 1000.0),
            Self::Seconds => format!("{value:.2} s"),
            Self::PerSecond => format!("{value:.1} /s"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Unit, figure};

    #[test]
    fn compares_medians() {
        let peer = figure("peer", &[10, 30, 20].map(Duration::from_millis), None);
        let ours = figure("ours", &[30, 10, 31].map(Duration::from_millis), Some(&peer));
        assert!((peer.median - 0.02).abs() < 1e-9 && (peer.minimum - 0.01).abs() < 1e-9);
        assert!((ours.beside.unwrap().1 - 1.5).abs() < 1e-9);
    }

    #[test]
    fn says_its_unit() {
        for (unit, value, text) in [
            (Unit::Seconds, 0.0041, "4.1 ms"),
            (Unit::Seconds, 2.5, "2.50 s"),
            (Unit::PerSecond, 101.26, "101.3 /s"),
            (Unit::Count, 3.0, "3"),
        ] {
            assert_eq!(unit.of(value), text);
        }
    }
}
