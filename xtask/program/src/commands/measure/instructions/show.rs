//! Counted instructions in words. Pure.

use judges::checks::instructions::Judgement;

/// A row for each hot path.
pub fn table(judgement: &Judgement) -> String {
    let mut out = format!(
        "{:<10} {:>14} {:>10} {:>10} {:>8}  UNIT\n",
        "HOT PATH", "INSTRUCTIONS", "A UNIT", "RECORDED", "GROWTH"
    );
    for row in &judgement.rows {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let mark = if row.problem.is_some() { "  FAILED" } else { "" };
        out += &format!(
            "{:<10} {:>14} {:>10.2} {:>10} {:>8}  {}{mark}\n",
            row.work,
            row.instructions,
            row.each,
            or_dash(row.recorded.map(|value| format!("{value:.2}"))),
            or_dash(row.growth.map(|percent| format!("{percent:+.2} %"))),
            row.unit,
        );
    }
    out
}

/// What is wrong, a line each, and where the limit stands.
pub fn problems(thresholds: &str, judgement: &Judgement) -> String {
    let of_rows =
        judgement.rows.iter().filter_map(|row| Some(format!("{}: {}", row.work, row.problem.as_ref()?)));
    let lines: Vec<_> = of_rows.chain(judgement.problems.iter().cloned()).collect();
    format!("{}\nthe limit stands in {thresholds}", lines.join("\n"))
}
