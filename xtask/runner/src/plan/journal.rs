//! What is done on a target, so that a rerun after a failure or a kill goes on from there.
//!
//! JSON lines, each on disk before the run goes on. A last line that a kill cut short is as if it was never written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::mask::Outputs;
use super::step::StepId;
use foundation::clock::now_ms;
use foundation::exit::refused;
use foundation::files;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    /// A run began. What another intent left unfinished on the target no longer holds.
    Begun {
        intent: String,
        at_ms: u64,
    },
    Started {
        step: StepId,
        fingerprint: String,
        at_ms: u64,
    },
    Done {
        step: StepId,
        #[serde(flatten)]
        done: Done,
    },
    Undone {
        step: StepId,
    },
    /// The whole plan succeeded.
    Finished {
        at_ms: u64,
    },
}

/// A finished step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub fingerprint: String,
    /// Without those of sensitive steps.
    #[serde(default)]
    pub outputs: Outputs,
    pub duration_ms: u64,
}

/// The open journal of one target; its lock must be held.
#[derive(Debug)]
pub struct Journal {
    file: File,
    done: BTreeMap<StepId, Done>,
}

impl Journal {
    /// Reads what is there, forgets what no longer counts, and notes that a run of `intent` begins.
    ///
    /// # Errors
    /// When the file cannot be read or written; refused (exit 2) when a line is not one of ours.
    pub fn open(path: &Path, intent: &str) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read the journal {}", path.display()));
            }
        };
        let lines = parse(&text).map_err(|(line, error)| {
            refused(format!(
                "{}:{line}: expected a journal line: {error}; remove the file to do every step again",
                path.display()
            ))
        })?;
        let done = replay(lines, intent);
        let begun = Line::Begun { intent: intent.to_owned(), at_ms: now_ms() };
        let kept = done.iter().map(|(step, done)| Line::Done { step: step.clone(), done: done.clone() });
        let file = files::write::with(path, 0o644, |file| {
            std::iter::once(begun).chain(kept).try_for_each(|line| append(file, &line))?;
            Ok(file.try_clone()?)
        })?;
        Ok(Self { file, done })
    }

    /// How the step ended in an earlier run, if that still counts.
    pub fn done(&self, step: &StepId) -> Option<&Done> {
        self.done.get(step)
    }

    /// # Errors
    /// When the line cannot be brought to disk, here and below.
    pub fn note_started(&mut self, step: &StepId, fingerprint: &str) -> Result<()> {
        self.done.remove(step);
        self.note(&Line::Started { step: step.clone(), fingerprint: fingerprint.to_owned(), at_ms: now_ms() })
    }

    pub fn note_done(&mut self, step: &StepId, done: Done) -> Result<()> {
        self.note(&Line::Done { step: step.clone(), done: done.clone() })?;
        self.done.insert(step.clone(), done);
        Ok(())
    }

    pub fn note_undone(&mut self, step: &StepId) -> Result<()> {
        self.done.remove(step);
        self.note(&Line::Undone { step: step.clone() })
    }

    pub fn note_finished(&mut self) -> Result<()> {
        self.note(&Line::Finished { at_ms: now_ms() })
    }

    fn note(&mut self, line: &Line) -> Result<()> {
        append(&mut self.file, line)?;
        self.file.sync_data().context("cannot sync the journal to disk")
    }
}

fn append(file: &mut File, line: &Line) -> Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text).context("cannot write the journal")
}

fn parse(text: &str) -> std::result::Result<Vec<Line>, (usize, serde_json::Error)> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(index, line)| serde_json::from_str(line).map_err(|error| (index + 1, error))).collect()
}

fn replay(lines: Vec<Line>, next_intent: &str) -> BTreeMap<StepId, Done> {
    let mut done: BTreeMap<StepId, Done> = BTreeMap::new();
    let mut last_intent = String::new();
    let next = Line::Begun { intent: next_intent.to_owned(), at_ms: 0 };
    for line in lines.into_iter().chain([next]) {
        match line {
            Line::Begun { intent, .. } => {
                if intent != last_intent && !last_intent.is_empty() {
                    done.clear();
                }
                last_intent = intent;
            }
            Line::Started { step, .. } | Line::Undone { step } => {
                done.remove(&step);
            }
            Line::Done { step, done: end } => {
                done.insert(step, end);
            }
            Line::Finished { .. } => done.clear(),
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(fingerprint: &str) -> Done {
        Done { fingerprint: fingerprint.into(), outputs: Outputs::new(), duration_ms: 1 }
    }

    #[test]
    fn what_was_done_counts_until_the_plan_finished_or_another_intent_ran() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (first, once, half) = (StepId::from("first"), StepId::from("once"), StepId::from("half"));
        let mut journal = Journal::open(&path, "deploy").unwrap();
        journal.note_started(&first, "f").unwrap();
        journal.note_done(&first, done("f")).unwrap();
        journal.note_done(&once, done("o")).unwrap();
        journal.note_done(&half, done("h")).unwrap();
        journal.note_started(&half, "h").unwrap();
        drop(journal);

        let mut journal = Journal::open(&path, "deploy").unwrap();
        assert_eq!(journal.done(&first), Some(&done("f")));
        assert_eq!(journal.done(&once), Some(&done("o")));
        assert_eq!(journal.done(&half), None, "it had started again");
        journal.note_undone(&once).unwrap();
        journal.note_done(&half, done("h")).unwrap();
        drop(journal);

        let journal = Journal::open(&path, "roll back").unwrap();
        assert!([&first, &once, &half].iter().all(|step| journal.done(step).is_none()), "another intent");
        drop(journal);

        let mut journal = Journal::open(&path, "roll back").unwrap();
        journal.note_done(&once, done("o")).unwrap();
        journal.note_finished().unwrap();
        drop(journal);
        let journal = Journal::open(&path, "roll back").unwrap();
        assert_eq!(journal.done(&once), None, "it has finished");
    }

    #[test]
    fn a_line_cut_short_is_forgotten_and_a_foreign_line_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let whole = r#"{"event":"done","step":"a","fingerprint":"f","kept":true,"duration_ms":1}"#;
        fs::write(&path, format!("{whole}\n{}", &whole[..30])).unwrap();
        assert!(Journal::open(&path, "x").unwrap().done(&"a".into()).is_some());
        fs::write(&path, format!("{whole}\nhello\n{whole}\n")).unwrap();
        let error = Journal::open(&path, "x").unwrap_err();
        assert!(error.downcast_ref::<foundation::exit::Refused>().is_some());
        assert!(error.to_string().contains("journal.jsonl:2: expected a journal line"), "{error}");
    }
}
