//! How numbers and times are written on the axes of a panel, as Grafana writes them. Pure.

use foundation::clock;
use vocabulary::model::DisplayUnit;

/// The unit of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// How much of the measured unit is one of this.
    pub per: f64,
    pub suffix: &'static str,
}

const COUNTS: [Scale; 4] = [scale(1.0, ""), scale(1e3, " K"), scale(1e6, " Mil"), scale(1e9, " Bil")];
const RATES: [Scale; 3] = [scale(1.0, "/s"), scale(1e3, " K/s"), scale(1e6, " Mil/s")];
const BYTES: [Scale; 5] = [
    scale(1.0, " B"),
    scale(1024.0, " KiB"),
    scale(1_048_576.0, " MiB"),
    scale(1_073_741_824.0, " GiB"),
    scale(1_099_511_627_776.0, " TiB"),
];
const TIMES: [Scale; 6] = [
    scale(1e-6, " µs"),
    scale(1e-3, " ms"),
    scale(1.0, " s"),
    scale(60.0, " min"),
    scale(3600.0, " h"),
    scale(86_400.0, " d"),
];

const fn scale(per: f64, suffix: &'static str) -> Scale {
    Scale { per, suffix }
}

impl Scale {
    /// The one in which the largest number is at least 1, or the smallest.
    pub fn of(unit: DisplayUnit, largest: f64) -> Self {
        let all: &[Self] = match unit {
            DisplayUnit::Number => &COUNTS,
            DisplayUnit::Ratio => return scale(0.01, "%"),
            DisplayUnit::PerSecond => &RATES,
            // Nobody reads a zero as so many microseconds.
            DisplayUnit::Seconds | DisplayUnit::SecondsUntil if largest == 0.0 => return TIMES[2],
            DisplayUnit::Seconds | DisplayUnit::SecondsUntil => &TIMES,
            DisplayUnit::Bytes => &BYTES,
        };
        *all.iter().rev().find(|one| largest >= one.per).unwrap_or(&all[0])
    }

    /// A number in this unit, with the decimals that tell it from one that is a step away, or as a power of ten.
    pub fn label(&self, number: f64, step: f64) -> String {
        if number.abs() >= 1e7 {
            return format!("{number:.1e}{}", self.suffix);
        }
        let decimals = (-step.log10()).ceil().clamp(0.0, 9.0) as usize;
        // Not -0.
        let number = if number.abs() < step / 1000.0 { 0.0 } else { number };
        format!("{number:.decimals$}{}", self.suffix)
    }

    /// The same for a number that is not on the axis: with a digit more, and never 0 when it is not.
    pub fn exact(&self, number: f64, step: f64) -> String {
        let nearest = if number == 0.0 { step } else { step.min(number.abs()) };
        let label = Self { suffix: "", ..*self }.label(number, nearest / 10.0);
        let short = if label.contains('.') && !label.contains('e') {
            label.trim_end_matches('0').trim_end_matches('.')
        } else {
            &label
        };
        format!("{short}{}", self.suffix)
    }
}

/// Round numbers from below the smallest to above the largest, about `count` steps; zero is among them. And their distance.
pub fn steps(smallest: f64, largest: f64, count: f64) -> (Vec<f64>, f64) {
    let (low, high) = (smallest.min(0.0), largest.max(0.0));
    let high = if high - low > 1e-300 { high } else { 1.0 };
    let rough = (high - low) / count;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().map(|one| one * power).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(power * 10.0);
    let (first, last) = ((low / step).floor() as i32, (high / step).ceil() as i32);
    ((first..=last).map(|number| f64::from(number) * step).collect(), step)
}

/// Seconds since 1970 of about so many round times within these, and their distance in seconds.
pub fn times(from: u64, to: u64, count: u64) -> (Vec<u64>, u64) {
    const STEPS: [u64; 14] =
        [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
    let rough = (to.saturating_sub(from) / count).max(1);
    let step = STEPS.into_iter().find(|step| *step >= rough).unwrap_or(rough.div_ceil(86_400) * 86_400);
    ((from.div_ceil(step)..=to / step).map(|number| number * step).collect(), step)
}

/// A time of [`times`] in UTC: of day, or the day.
pub fn time(seconds: u64, step: u64) -> String {
    let all = clock::utc(seconds);
    let parts = match step {
        0..60 => all.get(11..19),
        60..86_400 => all.get(11..16),
        _ => all.get(..10),
    };
    parts.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_the_unit_that_fits() {
        use DisplayUnit::*;
        for (unit, largest, step, text) in [
            (Number, 3.0, 1.0, "3"),
            (Number, 0.5, 0.1, "0.5"),
            (Number, 12_500.0, 0.5, "12.5 K"),
            (Number, 2e6, 1.0, "2 Mil"),
            (Ratio, 0.995, 0.5, "99.5%"),
            (PerSecond, 2.5, 0.5, "2.5/s"),
            (PerSecond, 2000.0, 1.0, "2 K/s"),
            (Seconds, 0.0, 1.0, "0 s"),
            (Seconds, 2e-6, 1.0, "2 µs"),
            (Seconds, 0.25, 50.0, "250 ms"),
            (Seconds, 59.0, 1.0, "59 s"),
            (Seconds, 90.0, 0.5, "1.5 min"),
            (SecondsUntil, 7.0 * 86_400.0, 1.0, "7 d"),
            (Bytes, 512.0, 1.0, "512 B"),
            (Bytes, 1_572_864.0, 0.1, "1.5 MiB"),
            (Bytes, 24.0 * 1_073_741_824.0, 1.0, "24 GiB"),
        ] {
            let scale = Scale::of(unit, largest);
            assert_eq!(scale.label(largest / scale.per, step), text, "{unit:?} {largest}");
        }
        for (number, step, text) in [
            (2.0, 0.5, "2"),
            (2.134, 1.0, "2.1"),
            (120.0, 100.0, "120"),
            (0.0, 0.1, "0"),
            (1e8, 1e8, "1.0e8"),
            (0.0341, 1.0, "0.034"),
            (-0.5, 2.0, "-0.5"),
        ] {
            assert_eq!(Scale::of(Number, 1.0).exact(number, step), text);
        }
        assert_eq!(Scale::of(Bytes, 1e30).label(1e18, 1e17), "1.0e18 TiB");
        assert_eq!(Scale::of(Number, 1.0).label(-1e-12, 0.5), "0.0");
    }

    #[test]
    fn axes_have_round_numbers_and_zero() {
        for (smallest, largest, expected) in [
            (0.0, 0.0, &[0.0, 0.5, 1.0][..]),
            (1.0, 1.0, &[0.0, 0.5, 1.0]),
            (3.0, 7.0, &[0.0, 2.0, 4.0, 6.0, 8.0]),
            (-3.0, 5.0, &[-4.0, -2.0, 0.0, 2.0, 4.0, 6.0]),
            (-9.0, -7.0, &[-10.0, -5.0, 0.0]),
        ] {
            assert_eq!(steps(smallest, largest, 4.0).0, expected, "{smallest} {largest}");
        }
        let at = |text: &str| clock::seconds(text).unwrap();
        let (from, to) = (at("2026-11-03T09:05:07Z"), at("2026-11-03T10:05:07Z"));
        let (found, step) = times(from, to, 6);
        let written: Vec<_> = found.iter().map(|seconds| time(*seconds, step)).collect();
        assert_eq!(written, ["09:10", "09:20", "09:30", "09:40", "09:50", "10:00"]);
        let (found, step) = times(from, from + 30 * 86_400, 6);
        assert_eq!((time(found[0], step).as_str(), found.len()), ("2026-11-08", 6));
        assert_eq!(times(from, from, 6).0, [0; 0]);
    }
}
