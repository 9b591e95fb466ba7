//! The row on backups.

use super::evidence;
use super::row::{Inspection, Place, Row, Source, Subject, Verdict};
use super::tree::Tree;

pub fn rows() -> Vec<Row> {
    vec![Row {
        id: "B1",
        what: "the last restore that was proven on this machine (its record in .flowship/evidence) is at most 24 hours \
               old, and lost no more and took no longer than the strictest environment allows",
        sources: &[Source::Own],
        subject: Subject::Backups,
        also: &[],
        judge: restored,
    }]
}

/// The kind of what restores.
const DRILL: &str = "drill";
/// Beginning of its names.
const RESTORE: &str = "restore";

fn restored(tree: &Tree) -> Verdict {
    let (records, broken) = evidence::records(tree);
    let mut look = Inspection::default();
    look.broken(&broken);
    let of_restore = |record: &&evidence::Record| record.kind == DRILL && record.name.starts_with(RESTORE);
    let mut restores: Vec<_> = records.iter().filter(of_restore).collect();
    restores.sort_by_key(|record| record.started_at());
    if let Some(last) = restores.last() {
        look.saw();
        let at = last.started_at();
        if at < tree.clock.a_day_ago.as_str() || at > tree.clock.now.as_str() {
            look.find(
                &last.place,
                format!("the last proven restore is of {at}, and it is {}", tree.clock.now),
                "restore again: run the drill, and see why it was not run",
            );
        }
        for (figure, what) in [("rpo_seconds", "lost the work of"), ("rto_seconds", "took")] {
            let wanted = objective(tree, figure);
            match (last.figure(figure), wanted) {
                (None, _) => look.find(
                    &last.place,
                    format!("the restore did not measure {figure}"),
                    "have the drill leave the figure",
                ),
                (Some(seconds), Some((limit, place))) if seconds > limit => look.find(
                    &last.place,
                    format!("the restore {what} {seconds} s; {}:{} allows {limit} s", place.file, place.line),
                    "find what was slow or lost, or change the objective with those whose it is",
                ),
                _ => {}
            }
        }
    }
    look.verdict("record of a restore in .flowship/evidence")
}

/// The smallest that an environment asks for, and where.
fn objective(tree: &Tree, name: &str) -> Option<(f64, Place)> {
    let files = tree.paths().filter(|path| path.starts_with("ops/environments/") && path.ends_with(".toml"));
    let asked = files.filter_map(|path| {
        let text = tree.text(path)?;
        let table: toml::Table = text.parse().ok()?;
        let seconds = table.get("objectives")?.get(name)?.as_integer()?;
        let line = text.lines().position(|line| line.trim_start().starts_with(name))? + 1;
        #[allow(clippy::cast_precision_loss, reason = "seconds of at most a day")]
        Some((seconds as f64, Place { file: path.clone(), line }))
    });
    asked.min_by(|left, right| left.0.total_cmp(&right.0))
}
