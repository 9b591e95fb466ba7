//! What was deployed to an environment, by whom and how it ended: one JSON line for each change, appended.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use foundation::files;

/// Its name in the folder of an environment.
pub const FILE: &str = "history.jsonl";

/// Longer histories are refused: 16 MiB are some forty thousand deploys.
const LIMIT: u64 = 16 * 1024 * 1024;

/// One change of what runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it ended, `2026-11-03T09:05:07Z`.
    pub at: String,
    pub who: String,
    /// The host that the command was typed on.
    pub host: String,
    /// As typed.
    pub command: String,
    pub change: Change,
    /// The release that ran before; none before the first deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The release that was to run.
    pub to: String,
    /// SHA-256 of the bundle of `to`.
    pub digest: String,
    /// The contract migrations that were run: paths in the tree of `to`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<String>,
    pub result: Outcome,
    /// Why `to` runs with other settings than the last ones of the environment, and which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// Why it did not end as it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub duration_ms: u64,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Deploy,
    Promote,
    Rollback,
    /// The release stays; the database loses what only older ones need.
    Contract,
    /// The same release, after it was stopped or the machine was.
    Start,
    Stop,
}

impl Change {
    /// Whether it may be another release that runs after it.
    pub const fn is_deploy(self) -> bool {
        !matches!(self, Self::Contract | Self::Start | Self::Stop)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Contract => "contract",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// `to` runs.
    Done,
    /// `from` runs again, or still.
    RolledBack,
    /// It could not be undone completely: somebody has to look.
    Failed,
}

impl Outcome {
    pub const ALL: [Self; 3] = [Self::Done, Self::RolledBack, Self::Failed];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::RolledBack => "rolled-back",
            Self::Failed => "failed",
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::RolledBack => "rolled back",
            Self::Failed => "FAILED",
        }
    }
}

/// Every change, the oldest first.
///
/// # Errors
/// The file cannot be read, or a line is not what this program writes; the error names it.
pub fn read(folder: &Path) -> Result<Vec<Entry>> {
    let path = folder.join(FILE);
    let Some(text) = files::if_there(files::text(&path, LIMIT))? else { return Ok(Vec::new()) };
    // A loss of power may have cut off the last line: that deploy says nothing.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line).with_context(|| {
                format!("{}:{}: expected a line that a deploy has written", path.display(), index + 1)
            })
        })
        .collect()
}

/// Appends one line and brings it to disk.
///
/// # Errors
/// The file cannot be written.
pub fn append(folder: &Path, entry: &Entry) -> Result<()> {
    let path = folder.join(FILE);
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    let written = OpenOptions::new().read(true).append(true).create(true).open(&path).and_then(|mut file| {
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64)?;
        }
        file.write_all(&line)?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot append to {}", path.display()))
}

/// The release that runs, as far as the history knows.
pub fn current(entries: &[Entry]) -> Option<&str> {
    entries.iter().rev().find(|entry| entry.result == Outcome::Done).map(|entry| entry.to.as_str())
}

/// The release that ran before the one that runs: where a rollback leads. It follows the order of the entries, not their
/// times, so a wrong clock changes nothing.
pub fn previous(entries: &[Entry]) -> Option<&str> {
    let current = current(entries)?;
    // What failed may serve in part: back is what ran when it came.
    if entries.last().is_some_and(|last| last.result == Outcome::Failed && last.to != current) {
        return Some(current);
    }
    let mut done = entries.iter().rev().filter(|entry| entry.result == Outcome::Done);
    done.find(|entry| entry.to != current).map(|entry| entry.to.as_str())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn entry(change: Change, to: &str, result: Outcome) -> Entry {
        Entry {
            at: "2026-11-03T09:05:07Z".to_owned(),
            who: "ada".to_owned(),
            host: "laptop".to_owned(),
            command: "flowship deploy staging".to_owned(),
            change,
            from: None,
            to: to.to_owned(),
            digest: "0".repeat(64),
            migrations: Vec::new(),
            result,
            settings: None,
            why: None,
            duration_ms: 1,
        }
    }

    #[test]
    fn a_rollback_of_a_rollback_leads_back_to_where_it_came_from() {
        use Change::{Deploy, Rollback};
        use Outcome::{Done, Failed, RolledBack};
        let of = |rows: &[(Change, &str, Outcome)]| {
            let entries: Vec<_> =
                rows.iter().map(|(change, to, result)| entry(*change, to, *result)).collect();
            (current(&entries).map(str::to_owned), previous(&entries).map(str::to_owned))
        };
        let some = |current: &str, previous: &str| (Some(current.to_owned()), Some(previous.to_owned()));
        assert_eq!(of(&[]), (None, None));
        assert_eq!(of(&[(Deploy, "1", Done)]), (Some("1".to_owned()), None));
        assert_eq!(of(&[(Deploy, "1", Done), (Deploy, "1", Done)]), (Some("1".to_owned()), None));
        let two = [(Deploy, "1", Done), (Deploy, "2", Done)];
        assert_eq!(of(&two), some("2", "1"));
        assert_eq!(of(&[two[0], two[1], (Deploy, "3", RolledBack)]), some("2", "1"));
        assert_eq!(of(&[two[0], two[1], (Deploy, "3", Failed)]), some("2", "2"));
        assert_eq!(of(&[two[0], two[1], (Rollback, "1", Done)]), some("1", "2"));
        assert_eq!(of(&[two[0], two[1], (Rollback, "1", Done), (Rollback, "2", Done)]), some("2", "1"));
    }

    #[test]
    fn what_is_appended_is_read_and_other_lines_are_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
        let written =
            [entry(Change::Deploy, "1", Outcome::Done), entry(Change::Promote, "2", Outcome::Failed)];
        written.iter().for_each(|entry| append(folder.path(), entry).unwrap());
        assert_eq!(read(folder.path()).unwrap(), written);
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::json!(outcome), outcome.name());
        }
        // A last line that was cut off is left out, and replaced by the next one.
        let path = folder.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 5]).unwrap();
        assert_eq!(read(folder.path()).unwrap(), written[..1]);
        append(folder.path(), &written[1]).unwrap();
        assert_eq!(read(folder.path()).unwrap(), written);
        std::fs::write(folder.path().join(FILE), "{}\n").unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("history.jsonl:1"));
    }
}
