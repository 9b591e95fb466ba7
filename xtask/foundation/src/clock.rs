//! Times for people and for records.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(millis).unwrap_or_default()
}

/// A duration in whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-11-03T09:05:07Z` from seconds since 1970.
pub fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years start in March here, so that the leap day is the last of its year: H. Hinnant, "chrono-compatible
    // low-level date algorithms", civil_from_days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Days since 1970 of a day written as `2026-11-03`; none when it is no day.
pub fn days(day: &str) -> Option<u64> {
    let mut parts = day.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - u64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    (year * 365 + year / 4 - year / 100 + year / 400 + day_of_year).checked_sub(719_468)
}

/// Days from a day, written as `2026-11-03`, to today in UTC; the most that there can be when it is no day.
pub fn age_days(day: &str) -> u64 {
    days(day).map_or(u64::MAX, |day| (now_ms() / 1000 / 86_400).saturating_sub(day))
}

/// Seconds since 1970 of a time as [`utc`] writes it; none when it is no such time.
pub fn seconds(text: &str) -> Option<u64> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut parts = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    (parts.next().is_none() && hour < 24 && minute < 60 && second < 60)
        .then_some(days(day)? * 86_400 + hour * 3600 + minute * 60 + second)
}

/// `0.4s`, `12.3s`, `2m05s`.
pub fn spell(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1}s", duration.as_secs_f64())
    } else {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    }
}

/// `45s`, `2m05s`: without the fractions that [`spell`] gives short times.
pub fn spell_whole(duration: Duration) -> String {
    if duration.as_secs() < 60 { format!("{}s", duration.as_secs()) } else { spell(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_793_696_707, "2026-11-03T09:05:07Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), text);
            assert_eq!(super::seconds(text), Some(seconds));
        }
    }

    #[test]
    fn dates_become_days() {
        for seconds in [0, 951_782_400, 1_709_251_199, 1_793_696_707, 4_107_542_400] {
            assert_eq!(days(&utc(seconds)[..10]), Some(seconds / 86_400), "{seconds}");
        }
        for wrong in ["", "2026-11", "2026-13-01", "2026-11-00", "1969-12-31", "2026-11-03-01", "soon"] {
            assert_eq!(days(wrong), None, "{wrong}");
        }
        for wrong in
            ["2026-11-03", "2026-11-03T09:05:07", "2026-11-03T24:05:07Z", "2026-11-03T09:05Z", "soonTZ"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_are_short() {
        for (ms, text) in [(40, "0.0s"), (1_234, "1.2s"), (59_900, "59.9s"), (125_000, "2m05s")] {
            assert_eq!(spell(Duration::from_millis(ms)), text);
        }
    }
}
