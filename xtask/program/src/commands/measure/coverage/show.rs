//! Coverage in words. Pure.

use judges::checks::coverage::Judgement;

/// A row for each room, the whole first.
pub fn table(judgement: &Judgement) -> String {
    let width = judgement.rows.iter().map(|row| row.room.len()).max().unwrap_or(0).max("ROOM".len());
    let mut out =
        format!("{:<width$} {:>7} {:>8} {:>8} {:>8}\n", "ROOM", "LINES", "MEASURED", "WANTED", "RECORDED");
    for row in &judgement.rows {
        let recorded = row.recorded.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} %"));
        let mark = if row.problem.is_some() { "  FAILED" } else { "" };
        out += &format!(
            "{:<width$} {:>7} {:>8} {:>8} {recorded:>8}{mark}\n",
            row.room,
            row.lines,
            format!("{:.1} %", row.measured),
            format!("{:.1} %", row.wanted),
        );
    }
    out
}

/// What is wrong, a line each, and where the numbers stand.
pub fn problems(language: &str, thresholds: &str, judgement: &Judgement) -> String {
    let of_rows =
        judgement.rows.iter().filter_map(|row| Some(format!("{}: {}", row.room, row.problem.as_ref()?)));
    let lines: Vec<_> = of_rows.chain(judgement.problems.iter().cloned()).collect();
    format!(
        "{}\nthe thresholds stand in {thresholds}; `cargo xtask measure coverage {language} --record` records what is \
         kept",
        lines.join("\n")
    )
}
