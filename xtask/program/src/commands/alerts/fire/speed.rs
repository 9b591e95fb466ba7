//! Time made shorter: every `for`, every window and every interval of a text divided by the same number. Pure.

/// The keys whose value is a time, in rules and in the configurations of Prometheus and Alertmanager.
const KEYS: [&str; 8] = [
    "for:",
    "interval:",
    "scrape_interval:",
    "evaluation_interval:",
    "refresh_interval:",
    "group_wait:",
    "group_interval:",
    "repeat_interval:",
];

/// Milliseconds between two scrapes, at least: to say that a database is down, its exporter tries for three seconds, and a
/// scrape may take no longer than until the next one.
pub const SCRAPE: u64 = 4_000;

/// The same text, so many times faster. Thresholds stay as they are.
pub fn faster(text: &str, speed: u32) -> String {
    text.lines().map(|line| format!("{}\n", faster_line(line, speed))).collect()
}

fn faster_line(line: &str, speed: u32) -> String {
    let bare = line.trim_start().trim_start_matches("- ");
    if bare.starts_with("expr:") {
        return windows(line, speed);
    }
    let Some((key, value)) = bare.split_once(' ').filter(|(key, _)| KEYS.contains(key)) else {
        return line.to_owned();
    };
    let least = if key == "scrape_interval:" { SCRAPE } else { 0 };
    match milliseconds(value.trim_matches('"')) {
        Some(time) => {
            let time = (time / u64::from(speed)).max(least.min(time));
            format!("{}{key} \"{time}ms\"", &line[..line.len() - bare.len()])
        }
        None => line.to_owned(),
    }
}

/// Those in brackets.
fn windows(line: &str, speed: u32) -> String {
    let mut parts = line.split('[');
    let mut made = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        made.push('[');
        match part.split_once(']').and_then(|(window, rest)| Some((milliseconds(window)?, rest))) {
            Some((time, rest)) => made.push_str(&format!("{}ms]{rest}", time / u64::from(speed))),
            None => made.push_str(part),
        }
    }
    made
}

/// As Prometheus writes one: `90s`, `5m`, `1h`, `3d`.
pub fn milliseconds(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..unit].parse().ok()?;
    let factor = match &text[unit..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(number * factor)
}

/// The shortest window of an expression, in milliseconds: so long it still sees what has ended.
pub fn shortest_window(expression: &str) -> u64 {
    let windows = expression.split('[').skip(1).filter_map(|part| milliseconds(part.split(']').next()?));
    windows.min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_divided_and_nothing_else() {
        for (text, expected) in [
            ("    for: \"5m\"", "    for: \"20000ms\""),
            ("      group_wait: 10s", "      group_wait: \"666ms\""),
            (
                "  - expr: \"rate(a{b=~\\\"ext[234]\\\"}[1h]) > 60\"",
                "  - expr: \"rate(a{b=~\\\"ext[234]\\\"}[240000ms]) > 60\"",
            ),
            ("  scrape_interval: 15s", "  scrape_interval: \"4000ms\""),
            ("  time: 7d", "  time: 7d"),
            ("  - alert: For", "  - alert: For"),
        ] {
            assert_eq!(faster(text, 15), format!("{expected}\n"));
        }
        assert_eq!(shortest_window("rate(a[1h]) > 0 and rate(a[5m]) > 0"), 300_000);
        assert_eq!(shortest_window("up == 0"), 0);
    }
}
