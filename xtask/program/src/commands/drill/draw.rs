//! What is deployed, in which order. Pure, and the same in every run.

use std::time::Duration;

use serde::Serialize;

use super::fault::Fault;

/// One deploy of the drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "fault")]
pub enum Draw {
    /// A release that works.
    Good,
    /// One that does not.
    Broken(Fault),
    /// One that works; the deploying process is killed on the way, and the deploy run again.
    Killed,
}

impl Draw {
    pub fn words(self) -> String {
        match self {
            Self::Good => "good".to_owned(),
            Self::Broken(fault) => fault.words().to_owned(),
            Self::Killed => "good, deployer killed".to_owned(),
        }
    }
}

/// So many deploys: half good, a quarter broken, a quarter killed. A release that turns bad is only drawn where it is
/// watched for so long.
pub fn draw(count: usize, watch: Duration) -> Vec<Draw> {
    let faults: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| fault.shows_within(watch)).collect();
    let one = |index: usize| match index % 4 {
        1 => Draw::Broken(faults[index / 4 % faults.len()]),
        2 => Draw::Killed,
        _ => Draw::Good,
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
    fn half_is_good_and_every_fault_comes_up() {
        let of = |kind: fn(&&Draw) -> bool, drawn: &[Draw]| drawn.iter().filter(kind).count();
        for (count, good, broken, killed) in [(4, 2, 1, 1), (10, 5, 3, 2), (200, 100, 50, 50)] {
            let drawn = draw(count, Duration::from_secs(10));
            assert_eq!(of(|draw| **draw == Draw::Good, &drawn), good, "{count}");
            assert_eq!(of(|draw| matches!(draw, Draw::Broken(_)), &drawn), broken, "{count}");
            assert_eq!(of(|draw| **draw == Draw::Killed, &drawn), killed, "{count}");
        }
        let drawn = draw(200, Duration::from_secs(10));
        assert!(Fault::ALL.into_iter().all(|fault| drawn.contains(&Draw::Broken(fault))));
        assert!(!draw(200, Duration::from_secs(1)).contains(&Draw::Broken(Fault::TurnsBad)));
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
