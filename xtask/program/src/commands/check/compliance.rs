//! `cargo xtask check compliance`: reads the tree, has the rows judge it, shows what they say.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};
use vocabulary::problem::Problem;
use walkdir::WalkDir;

use super::findings_file;
use vocabulary::model::ReleasePolicy;

use crate::context::Context;
use foundation::clock;
use foundation::exit::{Reported, refused};
use foundation::files::{self, Error, Errors, Ignored, Root};
use foundation::nearest::hint;
use foundation::stdout;
use judges::checks::compliance::{self, Clock, File, Row, Tree, Verdict, is_subject, reads_whole};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask check compliance
  cargo xtask check compliance D1 C7
  cargo xtask check compliance --json")]
pub struct Options {
    /// Rows to check, such as D1 [default: all]
    #[arg(value_name = "ROW")]
    rows: Vec<String>,
    /// Check as of this time, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    at: Option<u64>,
}

/// As the findings' file names the judge.
const TOOL: &str = "flowship compliance";
/// What earlier runs left as evidence.
const LEFT: [&str; 2] = [ReleasePolicy::ARTIFACTS, ".flowship/evidence"];
/// The largest file that is read whole, in bytes: a program or a film that somebody has put into the tree is less.
const MOST: u64 = 256 * 1024 * 1024;
/// How much of a file is read where its beginning is enough, in bytes.
const BEGINNING: u64 = 512;

/// # Errors
/// Refused when a row is not known; fails when a row does.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let rows = chosen(&options.rows)?;
    let now = options.at.unwrap_or_else(|| clock::now_ms() / 1000);
    let times = Clock { now: clock::utc(now), a_day_ago: clock::utc(now.saturating_sub(86_400)) };
    let tree = Tree::new(files(&context.root)?, times);
    let judge = |row: Row| {
        let verdict = (row.judge)(&tree);
        (row, verdict)
    };
    let judged: Vec<(Row, Verdict)> = rows.into_iter().map(judge).collect();
    let count = |wanted: fn(&Verdict) -> bool| judged.iter().filter(|(_, verdict)| wanted(verdict)).count();
    let passed = count(|verdict| matches!(verdict, Verdict::Pass { .. }));
    let failed = count(|verdict| matches!(verdict, Verdict::Fail(_)));
    let absent = judged.len() - passed - failed;
    // One row is asked for by somebody who looks; the run of all gates asks for all.
    if options.rows.is_empty() {
        findings_file::write(context, "compliance", TOOL, env!("CARGO_PKG_VERSION"), &results(&judged))?;
    }
    if context.json {
        let rows: Vec<Value> = judged.iter().map(|(row, verdict)| as_json(row, verdict)).collect();
        stdout::json(&json!({ "rows": rows, "passed": passed, "failed": failed, "not_applicable": absent }))?;
    } else {
        // Failures last: `cargo xtask ci` shows the end of what a gate says.
        let those_that_failed = |failures: bool| {
            let wanted = move |verdict: &Verdict| matches!(verdict, Verdict::Fail(_)) == failures;
            judged.iter().filter(move |(_, verdict)| wanted(verdict))
        };
        let lines: String = those_that_failed(false)
            .chain(those_that_failed(true))
            .map(|(row, verdict)| as_text(row, verdict))
            .collect();
        let noun = if judged.len() == 1 { "row" } else { "rows" };
        let summary =
            format!("{} {noun}: {passed} passed, {failed} failed, {absent} not applicable\n", judged.len());
        stdout::text(&(lines + &summary))?;
    }
    if failed > 0 {
        return Err(Reported.into());
    }
    Ok(())
}

/// The rows that were named, all when none was.
fn chosen(names: &[String]) -> Result<Vec<Row>> {
    let mut rows = compliance::rows();
    let known: Vec<&str> = rows.iter().map(|row| row.id).collect();
    let problems: Vec<String> = names
        .iter()
        .filter(|name| !known.iter().any(|id| id.eq_ignore_ascii_case(name)))
        .map(|name| format!("unknown row {name}{}", hint(name, known.iter().copied())))
        .collect();
    if !problems.is_empty() {
        return Err(refused(format!("{}\nthe rows are {}", problems.join("\n"), known.join(", "))));
    }
    rows.retain(|row| names.is_empty() || names.iter().any(|name| row.id.eq_ignore_ascii_case(name)));
    Ok(rows)
}

/// What git tracks or would add, and what earlier runs left.
fn files(root: &Path) -> Result<Vec<(String, File)>> {
    let mut paths = files::sources(root, Ignored::ByAnybody)?;
    for folder in LEFT.iter().map(|below| root.join(below)).filter(|folder| folder.is_dir()) {
        for entry in WalkDir::new(folder) {
            let entry = entry.context("cannot walk the tree")?;
            if entry.file_type().is_file() {
                paths.push(entry.path().strip_prefix(root).context("a file outside the tree")?.to_owned());
            }
        }
    }
    let tree = Root::open(root)?;
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        match file(&tree, &path) {
            Ok(file) => files.push((path.to_string_lossy().into_owned(), file)),
            // Not yet committed that it is gone.
            Err(Error::Missing { .. }) => {}
            // Another way to a file that is judged itself, a submodule, or nothing that rows read.
            Err(Error::Link { .. } | Error::Special { .. }) if !is_subject(&path.to_string_lossy()) => {}
            Err(error) => problems.push(error),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(refused(Errors(problems).to_string())) }
}

fn file(tree: &Root, path: &PathBuf) -> Result<File, Error> {
    if reads_whole(&path.to_string_lossy()) {
        return Ok(File { bytes: tree.read(path, MOST)?.bytes });
    }
    let mut bytes = Vec::new();
    let read = tree.file(path)?.take(BEGINNING).read_to_end(&mut bytes);
    read.map_err(|error| Error::Io { path: path.clone(), error })?;
    Ok(File { bytes })
}

fn results(judged: &[(Row, Verdict)]) -> Vec<Problem> {
    let of_row = |(row, verdict): &(Row, Verdict)| match verdict {
        Verdict::Fail(findings) => findings
            .iter()
            .map(|finding| {
                let remedy = format!("{} ({})", finding.remedy, row.what);
                finding.clone().rule(row.id).remedy(remedy)
            })
            .collect(),
        _ => vec![],
    };
    judged.iter().flat_map(of_row).collect()
}

fn as_json(row: &Row, verdict: &Verdict) -> Value {
    let sources: Vec<String> = row.sources.iter().map(ToString::to_string).collect();
    let mut value = json!({ "id": row.id, "what": row.what, "sources": sources, "subject": row.subject });
    let (key, said) = match verdict {
        Verdict::Pass { seen } => ("seen", json!(seen)),
        Verdict::Fail(findings) => ("findings", json!(findings)),
        Verdict::NotApplicable(reason) => ("reason", json!(reason)),
    };
    value["result"] = json!(result(verdict));
    value[key] = said;
    value
}

fn result(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass { .. } => "passed",
        Verdict::Fail(_) => "failed",
        Verdict::NotApplicable(_) => "not-applicable",
    }
}

fn as_text(row: &Row, verdict: &Verdict) -> String {
    let Row { id, what, .. } = row;
    match verdict {
        Verdict::Pass { seen } => format!("{id:<4} passed          {what} ({seen} checked)\n"),
        Verdict::NotApplicable(reason) => format!("{id:<4} not applicable  {reason}: {what}\n"),
        Verdict::Fail(findings) => {
            let lines: String = findings.iter().map(|finding| format!("       {finding}\n")).collect();
            format!("{id:<4} FAILED          {what}\n{lines}")
        }
    }
}
