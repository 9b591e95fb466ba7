//! What starts by itself would do so on each replica. What an inject asks of its timer, and of cronosjs 1.7.1, Node-RED's reader of cron expressions, whose grammar is its own: from five to
//! seven fields, with `?`, `L`, `W` and `#`. An expression that it refuses leaves the node broken, or ends Node-RED when
//! the node also injects once.

use serde_json::Value;
use vocabulary::problem::Problem;

use super::document::{Flows, Node};
use super::{Rule, finding};

const PREDEFINED: &[&str] =
    &["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The last full year of a date in JavaScript.
const LAST_YEAR: u64 = 275_759;

/// Seconds between two messages of an inject, at most: Node-RED leaves out an interval that is longer.
const LONGEST: f64 = 2_147_483.0;

/// Judges each enabled inject that goes by a cron expression or an interval.
pub fn check(flows: &Flows<'_>, findings: &mut Vec<Problem>) {
    for node in flows.nodes.iter().filter(|node| node.kind == "inject" && flows.enabled(node)) {
        if interval(node).is_some_and(|seconds| seconds > LONGEST) {
            let message = format!(
                "Node-RED refuses its interval; the longest is {LONGEST} s (24 days); shorten it, or use a time of day"
            );
            findings.push(finding(flows, node, Rule::Schedule, message));
        }
        // A variable is known only when the flows run.
        let Some(cron) = node.text("crontab").filter(|cron| !repeats(node) && !cron.contains("${")) else {
            continue;
        };
        if let Some(fault) = fault(cron) {
            let message = format!(
                "Node-RED refuses its cron expression \"{cron}\": {fault}; expected minute, hour, day, month and weekday, \
                 such as \"0 6 * * 1-5\""
            );
            findings.push(finding(flows, node, Rule::Schedule, message));
        }
    }
}

/// Judges each enabled inject that starts by itself. It does so on every replica, also on one that is only being verified.
pub fn check_platform(flows: &Flows<'_>, findings: &mut Vec<Problem>) {
    for node in flows.nodes.iter().filter(|node| node.kind == "inject" && flows.enabled(node)) {
        let crontab = node.text("crontab").is_some_and(|cron| !cron.trim().is_empty());
        let remedy = if crontab || repeats(node) {
            "remove its schedule; let a scheduler outside submit a task with POST /api/v1/workflows/ID/tasks and an \
             Idempotency-Key for each run: Flowship has no node for schedules"
        } else if node.fields.get("once") == Some(&Value::Bool(true)) {
            "turn off \"Inject once\"; to prepare something, use \"On Start\" of a function"
        } else {
            continue;
        };
        let message =
            format!("each replica would start it by itself, also one that is not verified yet; {remedy}");
        findings.push(finding(flows, node, Rule::EveryReplica, message));
    }
}

/// With an interval, Node-RED does not look at the cron expression.
fn repeats(node: &Node<'_>) -> bool {
    node.text("repeat").is_some_and(|text| text.contains("${"))
        || interval(node).is_some_and(|seconds| seconds > 0.0 && seconds <= LONGEST)
}

fn interval(node: &Node<'_>) -> Option<f64> {
    match node.fields.get("repeat")? {
        Value::Number(seconds) => seconds.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn is_space(character: char) -> bool {
    // What JavaScript and Unicode have different opinions on.
    (character.is_whitespace() && character != '\u{85}') || character == '\u{feff}'
}

fn fault(cron: &str) -> Option<String> {
    let cron = cron.trim_matches(is_space).to_lowercase();
    if PREDEFINED.contains(&cron.as_str()) {
        return None;
    }
    let mut fields: Vec<&str> = cron.split(is_space).filter(|field| !field.is_empty()).collect();
    match fields.len() {
        5 => fields.insert(0, "0"),
        6 | 7 => {}
        count => return Some(format!("it has {count} fields; expected 5, 6 or 7")),
    }
    let judge = |field: &str, what: &str, good: &dyn Fn(&str) -> bool| {
        field.split(',').find(|item| !good(item)).map(|item| format!("\"{item}\" is not a {what}"))
    };
    let (months, weekdays) = (numbered(fields[4], MONTHS, 1), numbered(fields[5], WEEKDAYS, 0));
    let year = fields.get(6).copied().unwrap_or("*");
    judge(fields[0], "second", &|item| is_item(item, 0, 59, true))
        .or_else(|| judge(fields[1], "minute", &|item| is_item(item, 0, 59, true)))
        .or_else(|| judge(fields[2], "hour", &|item| is_item(item, 0, 23, true)))
        .or_else(|| judge(fields[3], "day of the month", &is_day))
        .or_else(|| judge(&months, "month", &|item| is_item(item, 1, 12, true)))
        .or_else(|| judge(&weekdays, "day of the week", &is_weekday))
        .or_else(|| judge(year, "year", &|item| is_item(item, 0, LAST_YEAR, false)))
        .or_else(|| {
            let never = never_comes(fields[3], &months, &weekdays);
            never.then(|| "no such month has that day, and Node-RED searches for ever".to_owned())
        })
}

/// Whether the first of the days comes after the last of every month. cronosjs then searches for ever, and nothing else in
/// Node-RED runs. Only for days by number: days of the week and `L` or `W` come in every month.
fn never_comes(days: &str, months: &str, weekdays: &str) -> bool {
    let from = |item: &str| item.split(['-', '/']).next().and_then(|first| first.parse::<u32>().ok());
    let Some(days) = days.split(',').map(from).collect::<Option<Vec<u32>>>() else { return false };
    let first = days.into_iter().min().unwrap_or(1);
    let any_weekday = weekdays.split(',').all(|item| matches!(item, "*" | "?"));
    // A range or step of months is taken to have one of 31 days: rarely wrong, and never a false alarm.
    let length = |month: &str| match month.parse::<u32>() {
        Ok(2) => 29,
        Ok(4 | 6 | 9 | 11) => 30,
        _ => 31,
    };
    any_weekday && months.split(',').all(|month| length(month) < first)
}

/// Names in their numbers' place.
fn numbered(field: &str, names: &[&str], first: usize) -> String {
    let number =
        |field: String, (index, name): (usize, &&str)| field.replace(name, &(index + first).to_string());
    names.iter().enumerate().fold(field.to_owned(), number)
}

fn is_day(item: &str) -> bool {
    match item {
        "?" | "l" | "lw" => true,
        _ => is_item(item.strip_suffix('w').unwrap_or(item), 1, 31, false),
    }
}

fn is_weekday(item: &str) -> bool {
    if let Some(last) = item.strip_suffix('l') {
        return is_weekday_item(last);
    }
    match item.rsplit_once('#') {
        Some((day, nth)) => matches!(nth, "1" | "2" | "3" | "4" | "5") && is_weekday_item(day),
        None => item == "?" || is_weekday_item(item),
    }
}

/// 7 is Sunday, like 0; cronosjs's bounds are those of 0 to 6, and any range may wrap around.
fn is_weekday_item(item: &str) -> bool {
    is_item(item, 0, 7, true)
}

/// `*`, a number or a range from `first` to `last`, and a step.
fn is_item(item: &str, first: u64, last: u64, wraps: bool) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (values, step) = item.split_once('/').map_or((item, None), |(values, step)| (values, Some(step)));
    if !step.is_none_or(|step| digits(step) && !step.starts_with('0')) {
        return false;
    }
    let number = |text: &str| {
        let number = if digits(text) { text.parse().unwrap_or(u64::MAX) } else { return None };
        (first..=last).contains(&number).then_some(number)
    };
    match values.split_once('-') {
        None => values == "*" || number(values).is_some(),
        Some((from, to)) => number(from).zip(number(to)).is_some_and(|(from, to)| wraps || from <= to),
    }
}

#[cfg(test)]
mod tests {
    use super::fault;

    /// Each row as cronosjs 1.7.1 judges it.
    #[test]
    fn expressions_are_judged_as_cronosjs_does() {
        let good = [
            "* * * * *",
            "0 6 * * 1-5",
            "*/5 * * * *",
            "5/15 * * * *",
            "0 0 1 jan sun",
            "0 0 * * 7",
            "0 0 * * 5-7",
            "0 22-4 * * *",
            "0 0 l * *",
            "0 0 LW * ?",
            "0 0 15w * *",
            "0 0 ? * 5l",
            "0 0 ? * mon#2",
            "0 0 * 11-2 *",
            "30 0 0 1 1 *",
            "0 0 0 1 1 * 2030",
            "0 0 0 1 1 * 2030-2040/2",
            "@daily",
            " @Hourly ",
            "0\t0 * * *",
            "0 0 29 2 *",
            "0 0 31 2 1",
            "0 0 31,1 2 *",
            "0 0 31 2,3 *",
            "00 007 * * *",
        ];
        let bad = [
            "",
            "* * * *",
            "* * * * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * 20-10 * *",
            "* * * 13 *",
            "* * * 0 *",
            "* * * * 8",
            "* * * * mon#6",
            "*/0 * * * *",
            "*/a * * * *",
            "a * * * *",
            "1,, * * * *",
            "-1 * * * *",
            "1.5 * * * *",
            "@reboot",
            "@every 5m",
            "0 0 * * sunday",
            "0 0 * january *",
            "0 0 0 1 1 * 275760",
            "0 0 0 1 1 * 2040-2030",
            "constructor",
            "0 0 31 2 *",
            "0 0 30 feb ?",
            "0 0 31 4,6 *",
            "* * ?w * *",
            "0 0 w * *",
            "* ? * * *",
        ];
        for cron in good {
            assert_eq!(fault(cron), None, "{cron}");
        }
        for cron in bad {
            assert!(fault(cron).is_some(), "{cron}");
        }
    }
}
