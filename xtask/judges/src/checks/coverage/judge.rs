//! Measured lines against what is wanted of them. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::lcov::File;
use super::thresholds::{Language, Percent};

/// The row of a language as a whole.
pub const ALL: &str = "overall";

/// One room, or the whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub room: String,
    pub lines: u64,
    pub covered: u64,
    /// Percent of the lines; 0 when there is none.
    pub measured: f64,
    /// Percent that it must reach: its floor, or what was recorded less the drop that is allowed.
    pub wanted: f64,
    /// None: the room is new.
    pub recorded: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The rows, the whole first, and what is wrong besides them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    pub rows: Vec<Row>,
    pub problems: Vec<String>,
}

impl Judgement {
    /// Whether nothing is wrong.
    pub fn good(&self) -> bool {
        self.problems.is_empty() && self.rows.iter().all(|row| row.problem.is_none())
    }

    /// What `--record` would write.
    pub fn figures(&self) -> BTreeMap<String, f64> {
        let rounded = |value: f64| (value * 100.0).round() / 100.0;
        self.rows.iter().map(|row| (row.room.clone(), rounded(row.measured))).collect()
    }
}

/// Judges a report. `expected` are files that there are: one that the report does not know was never loaded.
pub fn judge(
    files: &[File],
    expected: &[String],
    wanted: &Language,
    drop: Percent,
    recorded: &BTreeMap<String, f64>,
) -> Judgement {
    if files.iter().all(|file| file.lines == 0) {
        let problems = vec!["the report has no lines: no test ran, or nothing was instrumented".to_owned()];
        return Judgement { rows: vec![], problems };
    }
    let mut problems = Vec::new();
    let mut rooms: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for file in files {
        match wanted.room(&file.path) {
            Some(room) => {
                let counts = rooms.entry(room).or_default();
                *counts = (counts.0 + file.lines, counts.1 + file.covered);
            }
            None => problems.push(format!("{}: belongs to no module; add its folder to `places`", file.path)),
        }
    }
    let unknown = |path: &&String| !files.iter().any(|file| file.path == **path);
    problems.extend(
        expected
            .iter()
            .filter(unknown)
            .map(|path| format!("{path}: no test loads it (it is not in the report); test it or remove it")),
    );
    // A room that somebody counts on and that has no line is looked at too.
    for room in wanted.rooms.keys().chain(recorded.keys().filter(|room| *room != ALL)) {
        rooms.entry(room.clone()).or_default();
    }
    let all = rooms.values().fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1));
    let whole = row(ALL.to_owned(), all, wanted.overall, drop, recorded);
    let each = rooms.into_iter().map(|(room, counts)| {
        let floor = wanted.rooms.get(&room).copied().unwrap_or(wanted.each);
        row(room, counts, floor, drop, recorded)
    });
    Judgement { rows: [whole].into_iter().chain(each).collect(), problems }
}

fn row(
    room: String,
    (lines, covered): (u64, u64),
    floor: Percent,
    drop: Percent,
    recorded: &BTreeMap<String, f64>,
) -> Row {
    let recorded = recorded.get(&room).copied();
    let measured = if lines == 0 { 0.0 } else { covered as f64 * 100.0 / lines as f64 };
    let least = recorded.map_or(0.0, |recorded| recorded - drop.0);
    let wanted = floor.0.max(least);
    let problem = if lines == 0 {
        Some(
            "has no lines in the report; if it was removed, remove it from ops/ci/ and run --record"
                .to_owned(),
        )
    } else if measured < floor.0 {
        Some(format!("{measured:.1} % of its lines ran, the minimum is {:.1} %: add tests", floor.0))
    } else if measured < least {
        let before = recorded.unwrap_or_default();
        Some(format!(
            "{measured:.1} % of its lines ran, {:.1} points less than the recorded {before:.1} %; at most {:.1} are \
             allowed: add tests for the new code",
            before - measured,
            drop.0
        ))
    } else {
        None
    };
    Row { room, lines, covered, measured, wanted, recorded, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, lines: u64, covered: u64) -> File {
        File { path: path.to_owned(), lines, covered }
    }

    fn wanted(rooms: &[(&str, f64)]) -> Language {
        Language {
            places: vec!["src/*".to_owned()],
            tests: vec![],
            skip: vec![],
            overall: Percent(70.0),
            each: Percent(50.0),
            rooms: rooms.iter().map(|(room, floor)| ((*room).to_owned(), Percent(*floor))).collect(),
        }
    }

    fn problems(files: &[File], rooms: &[(&str, f64)], recorded: &[(&str, f64)]) -> Vec<String> {
        let recorded = recorded.iter().map(|(room, value)| ((*room).to_owned(), *value)).collect();
        let judgement = judge(files, &[], &wanted(rooms), Percent(2.0), &recorded);
        let of_rows =
            judgement.rows.iter().filter_map(|row| Some(format!("{}: {}", row.room, row.problem.as_ref()?)));
        of_rows.chain(judgement.problems.clone()).collect()
    }

    #[test]
    fn floors_hold_for_the_whole_and_for_each_room() {
        let files = [file("src/a/x.rs", 100, 90), file("src/b/x.rs", 100, 60), file("src/main.rs", 10, 6)];
        assert_eq!(problems(&files, &[], &[]), [""; 0]);
        let low = problems(&files, &[("src/b", 61.0)], &[]);
        assert_eq!(low, ["src/b: 60.0 % of its lines ran, the minimum is 61.0 %: add tests"]);
        let files = [file("src/a/x.rs", 100, 60), file("src/b/x.rs", 100, 60), file("src/main.rs", 10, 4)];
        let low = problems(&files, &[], &[]);
        assert!(
            low[0].starts_with("overall: 59.0 %") && low[1].starts_with("src: 40.0 %") && low.len() == 2,
            "{low:?}"
        );
    }

    #[test]
    fn a_drop_of_more_than_the_allowed_points_is_found_in_the_whole_and_in_a_room() {
        let files = [file("src/a/x.rs", 100, 90), file("src/b/x.rs", 100, 80)];
        assert_eq!(problems(&files, &[], &[("src/a", 92.0), ("overall", 87.0)]), [""; 0]);
        assert_eq!(
            problems(&files, &[], &[("src/a", 93.0), ("overall", 87.5)]),
            [
                "overall: 85.0 % of its lines ran, 2.5 points less than the recorded 87.5 %; at most 2.0 are allowed: \
                 add tests for the new code",
                "src/a: 90.0 % of its lines ran, 3.0 points less than the recorded 93.0 %; at most 2.0 are allowed: \
                 add tests for the new code"
            ]
        );
    }

    #[test]
    fn nothing_measured_is_never_good() {
        let none = ["the report has no lines: no test ran, or nothing was instrumented"];
        assert_eq!(problems(&[], &[], &[]), none);
        assert_eq!(problems(&[file("src/a/x.rs", 0, 0)], &[], &[]), none);
        let files = [file("src/a/x.rs", 100, 90)];
        for (rooms, recorded) in [(&[("src/b", 10.0)][..], &[][..]), (&[], &[("src/b", 10.0)])] {
            let found = problems(&files, rooms, recorded);
            assert!(
                found.len() == 1 && found[0].starts_with("src/b: has no lines in the report"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn files_in_no_module_or_in_no_report_are_reported() {
        let judgement = judge(
            &[file("src/a/x.rs", 10, 10), file("lib/y.rs", 10, 10)],
            &["src/a/x.rs".to_owned(), "src/a/z.rs".to_owned()],
            &wanted(&[]),
            Percent(2.0),
            &BTreeMap::new(),
        );
        assert!(!judgement.good());
        assert_eq!(
            judgement.problems,
            [
                "lib/y.rs: belongs to no module; add its folder to `places`",
                "src/a/z.rs: no test loads it (it is not in the report); test it or remove it"
            ]
        );
        assert_eq!(judgement.figures(), [("overall".to_owned(), 100.0), ("src/a".to_owned(), 100.0)].into());
    }
}
