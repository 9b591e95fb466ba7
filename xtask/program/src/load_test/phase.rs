//! How fast the answers of a part of a load came. Pure.

use std::time::Duration;

use serde::Serialize;

use super::load::Seen;

/// The answers of a phase.
#[derive(Debug, Serialize)]
pub struct Phase {
    pub seconds: f64,
    pub answers: usize,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub longest_ms: f64,
    /// The longest time between two answers.
    pub gap_ms: f64,
}

/// The answers that were due between two moments of a load.
pub fn phase(seen: &Seen, from: Duration, to: Duration) -> Phase {
    let [begin, end] = [from, to].map(|moment| u64::try_from(moment.as_micros()).unwrap_or(u64::MAX));
    let within: Vec<_> = seen.answers.iter().filter(|answer| (begin..end).contains(&answer.due)).collect();
    let mut latencies: Vec<u64> =
        within.iter().map(|answer| answer.came.saturating_sub(answer.due)).collect();
    latencies.sort_unstable();
    let gap = within.windows(2).map(|pair| pair[1].came.saturating_sub(pair[0].came)).max();
    let share = |share: f64| {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = (latencies.len() as f64 * share) as usize;
        latencies.get(index.min(latencies.len().saturating_sub(1))).copied()
    };
    Phase {
        seconds: (to.saturating_sub(from)).as_secs_f64(),
        answers: within.len(),
        p50_ms: ms(share(0.5)),
        p99_ms: ms(share(0.99)),
        longest_ms: ms(latencies.last().copied()),
        gap_ms: ms(gap),
    }
}

#[allow(clippy::cast_precision_loss, reason = "microseconds of a run")]
fn ms(micros: Option<u64>) -> f64 {
    micros.unwrap_or_default() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::load::Answer;
    use super::*;

    fn seen(answers: &[(u64, u64)]) -> Seen {
        let answers = answers.iter().map(|(due, came)| Answer { due: *due, came: *came }).collect();
        Seen { answers, ..Seen::default() }
    }

    #[test]
    fn a_phase_has_the_answers_that_were_due_in_it() {
        let seen = seen(&[(0, 1_000), (5_000, 7_000), (10_000, 40_000), (90_000, 91_000)]);
        let found = phase(&seen, Duration::ZERO, Duration::from_millis(50));
        assert_eq!((found.answers, found.gap_ms, found.longest_ms), (3, 33.0, 30.0));
        assert_eq!((found.p50_ms, found.p99_ms), (2.0, 30.0));
        assert_eq!(phase(&seen, Duration::from_secs(1), Duration::from_secs(2)).answers, 0);
    }
}
