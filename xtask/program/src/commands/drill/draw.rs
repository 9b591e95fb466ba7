//! What is deployed, in which order. Pure, and the same in every run.

use std::time::Duration;

use serde::Serialize;

use super::fault::Fault;

/// One deploy of the drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Draw {
    /// What is wrong with the release; none for one that works.
    pub fault: Option<Fault>,
    /// Whether the deploying process is killed on the way, and the deploy run again.
    pub killed: bool,
}

impl Draw {
    pub fn words(self) -> String {
        let release = self.fault.map_or("good", Fault::words);
        if self.killed { format!("{release}, deployer killed") } else { release.to_owned() }
    }
}

/// So many deploys: a quarter broken, a quarter killed, and a few of them both. A release that turns bad is only drawn
/// where it is watched for so long.
pub fn draw(count: usize, watch: Duration) -> Vec<Draw> {
    let faults: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| fault.shows_within(watch)).collect();
    let one = |index: usize| {
        let broken = index % 4 == 1;
        Draw {
            fault: broken.then(|| faults[index / 4 % faults.len()]),
            killed: if index % 16 < 12 { index % 4 == 2 } else { broken },
        }
    };
    (0..count).map(one).collect()
}

/// The share of a deploy's time after which the n-th one is killed: spread evenly, however many there are.
pub fn moment(number: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    #[allow(clippy::cast_precision_loss, reason = "a number of deploys")]
    let turned = (number as f64 + 1.0) * GOLDEN;
    turned.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_broken_a_quarter_killed_and_every_fault_comes_up_with_and_without_a_kill() {
        let of = |kind: fn(&&Draw) -> bool, drawn: &[Draw]| drawn.iter().filter(kind).count();
        for (count, broken, killed, both) in [(4, 1, 1, 0), (10, 3, 2, 0), (200, 50, 50, 12)] {
            let drawn = draw(count, Duration::from_secs(10));
            assert_eq!(of(|draw| draw.fault.is_some(), &drawn), broken, "{count}");
            assert_eq!(of(|draw| draw.killed, &drawn), killed, "{count}");
            assert_eq!(of(|draw| draw.fault.is_some() && draw.killed, &drawn), both, "{count}");
        }
        let drawn = draw(200, Duration::from_secs(10));
        for fault in Fault::ALL.map(Some) {
            for killed in [false, true] {
                assert!(drawn.contains(&Draw { fault, killed }), "{fault:?} {killed}");
            }
        }
        let brief = draw(200, Duration::from_secs(1));
        assert!(brief.iter().all(|draw| draw.fault != Some(Fault::TurnsBad)));
    }

    #[test]
    fn kills_come_early_and_late() {
        let moments: Vec<f64> = (0..50).map(moment).collect();
        for tenth in 0..10 {
            let within = |moment: &&f64| (**moment * 10.0).floor() as i32 == tenth;
            assert!(moments.iter().filter(within).count() >= 3, "{tenth}: {moments:?}");
        }
    }
}
