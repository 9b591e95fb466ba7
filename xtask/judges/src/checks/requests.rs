//! Requests a second against those of a peer in the same run. Pure.

use serde::{Deserialize, Serialize};

/// `ops/ci/requests.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    #[serde(rename = "node-red")]
    pub node_red: Wanted,
}

/// How two servers are compared, and what is wanted.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wanted {
    pub share: Share,
    pub processor_share: Share,
    pub rounds: Between<3, 50>,
    pub milliseconds: Between<100, 10_000>,
    pub connections: Between<1, 64>,
}

/// Above 0, at most 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Share(pub f64);

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if value > 0.0 && value <= 1.0 {
            Ok(Self(value))
        } else {
            Err(format!("{value} is out of range, expected a number above 0, at most 1"))
        }
    }
}

/// A whole number in a range, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Between<const LEAST: u32, const MOST: u32>(pub u32);

impl<const LEAST: u32, const MOST: u32> TryFrom<u32> for Between<LEAST, MOST> {
    type Error = String;

    fn try_from(value: u32) -> Result<Self, String> {
        if (LEAST..=MOST).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("{value} is out of range, expected a whole number from {LEAST} to {MOST}"))
        }
    }
}

/// What one server answered in one round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Answered {
    pub requests: u64,
    pub seconds: f64,
    /// Processor time of the server, in a unit that is the same for both.
    pub processor: u64,
}

/// What both answered in one round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Round {
    pub bare: Answered,
    pub ours: Answered,
}

/// The rounds, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// Requests a second, medians.
    pub bare: f64,
    pub ours: f64,
    /// The median of the rounds' shares.
    pub share: f64,
    pub least: f64,
    pub most: f64,
    /// The same for requests a second of the server's own processor time, over all rounds.
    pub processor_share: f64,
    pub problems: Vec<String>,
}

/// Judges the rounds: by the median of their shares, so that a round that something else disturbed does not matter, and
/// by processor time, which other work on the machine hardly touches.
pub fn judge(rounds: &[Round], wanted: &Wanted) -> Judgement {
    let rate = |answered: Answered| answered.requests as f64 / answered.seconds;
    let shares: Vec<f64> = rounds.iter().map(|round| rate(round.ours) / rate(round.bare)).collect();
    let share = median(shares.iter().copied());
    let processor_share =
        price(rounds.iter().map(|round| round.bare)) / price(rounds.iter().map(|round| round.ours));
    let silent = |answered: Answered| answered.requests == 0 || answered.processor == 0;
    let problems = if rounds.is_empty() || rounds.iter().any(|round| silent(round.bare) || silent(round.ours))
    {
        vec!["a server answered nothing or took no time, so there is no result".to_owned()]
    } else {
        let too_slow = |what: &str, share: f64, wanted: Share| {
            (share < wanted.0).then(|| {
                format!(
                    "{share:.2} of bare Node-RED's requests {what}; the minimum is {:.2}: look at what the launcher \
                     does for each message",
                    wanted.0
                )
            })
        };
        [
            too_slow("per second", share, wanted.share),
            too_slow("per second of processor time", processor_share, wanted.processor_share),
        ]
        .into_iter()
        .flatten()
        .collect()
    };
    Judgement {
        bare: median(rounds.iter().map(|round| rate(round.bare))),
        ours: median(rounds.iter().map(|round| rate(round.ours))),
        share,
        least: shares.iter().copied().fold(f64::INFINITY, f64::min),
        most: shares.iter().copied().fold(0.0, f64::max),
        processor_share,
        problems,
    }
}

/// Processor time for a request.
fn price(answered: impl Iterator<Item = Answered>) -> f64 {
    let sum = answered.fold((0, 0), |sum, one| (sum.0 + one.processor, sum.1 + one.requests));
    sum.0 as f64 / sum.1 as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        share: Share(0.5),
        processor_share: Share(0.6),
        rounds: Between(3),
        milliseconds: Between(100),
        connections: Between(1),
    };

    /// Rounds of one second in which a request of bare Node-RED takes one unit of processor time.
    fn judged(rounds: &[(u64, u64)], price: f64) -> Judgement {
        let one = |requests: u64, price: f64| Answered {
            requests,
            seconds: 1.0,
            processor: (requests as f64 * price) as u64,
        };
        let rounds =
            rounds.iter().map(|(bare, ours)| Round { bare: one(*bare, 1.0), ours: one(*ours, price) });
        judge(&rounds.collect::<Vec<_>>(), &WANTED)
    }

    #[test]
    fn one_disturbed_round_does_not_matter_and_a_slow_launcher_does() {
        let good = judged(&[(1000, 800), (1000, 100), (900, 720)], 1.25);
        assert_eq!((good.share, good.least, good.most, good.processor_share), (0.8, 0.1, 0.8, 0.8));
        assert_eq!(good.problems, [""; 0]);
        let waits = judged(&[(1000, 490), (1000, 800), (1000, 400)], 1.0);
        assert_eq!(waits.problems.len(), 1);
        assert!(
            waits.problems[0].starts_with("0.49 of bare Node-RED's requests per second"),
            "{:?}",
            waits.problems
        );
        let works = judged(&[(1000, 600), (1000, 600), (1000, 600)], 2.0);
        assert_eq!(works.problems.len(), 1);
        assert!(
            works.problems[0].starts_with("0.50 of bare Node-RED's requests per second of processor time"),
            "{:?}",
            works.problems
        );
    }

    #[test]
    fn silence_proves_nothing() {
        for rounds in [&[][..], &[(0, 100)], &[(100, 0), (100, 90), (100, 90)]] {
            let problems = judged(rounds, 1.0).problems;
            assert_eq!(
                problems,
                ["a server answered nothing or took no time, so there is no result"],
                "{rounds:?}"
            );
        }
    }
}
