//! The log of one step: a file, and its last lines in memory.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, Result};

use super::mask::Mask;
use super::step::StepId;

/// So many last lines are shown when a step fails.
pub const TAIL: usize = 20;

/// What test runners and Rust's panics write where something fails, long before their last lines.
const FAILURES: [&str; 4] = ["... FAILED", "panicked at ", "not ok ", "\u{2716} "];
/// A failure's reason stands in the lines after it.
const WITH_REASON: u64 = 4;
/// So many lines of failures are shown before the last lines.
const SHOWN_FAILURES: usize = 40;

/// The log of a step, in the folder of what its plan changes.
pub fn path_in(folder: &Path, step: &StepId) -> PathBuf {
    folder.join("log").join(format!("{step}.log"))
}

/// Where the lines of a step go: masked, or withheld as a whole.
pub struct StepLog {
    pub path: PathBuf,
    mask: Mask,
    withheld: bool,
    inner: Mutex<Inner>,
    #[allow(clippy::type_complexity, reason = "one callback, used here only")]
    on_line: Box<dyn Fn(&str) + Send + Sync>,
}

struct Inner {
    file: File,
    lines: u64,
    tail: VecDeque<String>,
    /// Each with its number.
    failures: Vec<(u64, String)>,
    /// The last line that belongs to the failure told last.
    reason_ends: u64,
}

impl Inner {
    fn remember(&mut self, text: &str) {
        self.lines += 1;
        if FAILURES.iter().any(|mark| text.contains(mark)) {
            self.reason_ends = self.lines + WITH_REASON;
        }
        if self.lines <= self.reason_ends && self.failures.len() < SHOWN_FAILURES {
            self.failures.push((self.lines, text.to_owned()));
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(text.to_owned());
    }

    fn told(&self) -> Vec<String> {
        let tail_begins = self.lines - self.tail.len() as u64 + 1;
        let mut told: Vec<String> = self
            .failures
            .iter()
            .take_while(|(number, _)| *number < tail_begins)
            .map(|(_, text)| text.clone())
            .collect();
        if !told.is_empty() {
            told.push("...".to_owned());
        }
        told.extend(self.tail.iter().cloned());
        told
    }
}

impl StepLog {
    /// Starts the log at `path` anew. `on_line` is called with each line as written.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(
        path: &Path,
        mask: &Mask,
        withheld: bool,
        on_line: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot write the log {}", path.display()))?;
        if withheld {
            file.write_all(b"(the output of this step is hidden because it is sensitive)\n")?;
        }
        let inner = Inner { file, lines: 0, tail: VecDeque::new(), failures: Vec::new(), reason_ends: 0 };
        let inner = Mutex::new(inner);
        Ok(Self { path: path.to_owned(), mask: mask.clone(), withheld, inner, on_line: Box::new(on_line) })
    }

    /// Adds one line, without colours and other commands to a terminal: whoever reads the log later may have none.
    pub fn line(&self, text: &str) {
        if self.withheld {
            return;
        }
        let text = self.mask.hide(text);
        // Without what stood in it a secret may be whole.
        let text =
            if text.contains(is_command) { self.mask.hide(&plain(&text)).into_owned().into() } else { text };
        if let Ok(mut inner) = self.inner.lock() {
            // A full disk must not end the child: the tail still has the line.
            let _ = inner.file.write_all(format!("{text}\n").as_bytes());
            inner.remember(&text);
        }
        (self.on_line)(&text);
    }

    /// What a reader needs when the step has failed: lines that tell of failures, then the last lines.
    pub fn told(&self) -> Vec<String> {
        self.inner.lock().map(|inner| inner.told()).unwrap_or_default()
    }
}

/// What no document may hold, and what a terminal may take for a command.
fn is_command(letter: char) -> bool {
    (letter.is_control() && !['\n', '\t'].contains(&letter)) || ['\u{fffe}', '\u{ffff}'].contains(&letter)
}

/// Without escape sequences, such as those for colours, and without what XML 1.0 does not allow.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text)
        .flat_map(|part| part.chars().filter(|letter| !is_command(*letter)))
        .collect()
}

/// The end of a log, at most so many bytes, from the start of a line: a log can be larger than the memory.
///
/// # Errors
/// When it cannot be read.
pub fn end_of(path: &Path, bytes: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let skipped = file.metadata()?.len().saturating_sub(bytes);
    file.seek(SeekFrom::Start(skipped))?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end)?;
    let text = String::from_utf8_lossy(&end).into_owned();
    Ok(match text.split_once('\n') {
        Some((_, whole)) if skipped > 0 => whole.to_owned(),
        _ => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: impl Iterator<Item = String>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let log = StepLog::create(&folder.path().join("log"), &Mask::default(), false, |_| {}).unwrap();
        lines.for_each(|line| log.line(&line));
        log.told()
    }

    #[test]
    fn what_a_terminal_would_obey_is_left_out() {
        for (raw, expected) in [
            ("\u{1b}[31mred\u{1b}[0m\u{0}\ta\u{7}\nü\u{ffff}", "red\ta\nü"),
            ("\u{1b}[32m+fn main() {}\u{1b}(B\u{1b}[m", "+fn main() {}"),
            ("\u{1b}]0;a title\u{7}text", "text"),
            ("\u{1b}]8;;https://x.example\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("a\rb\u{8}c\u{9b}31m", "abc31m"),
            ("cut \u{1b}[", "cut "),
            ("\u{1b}", ""),
            ("ordinary", "ordinary"),
        ] {
            assert_eq!(plain(raw), expected, "{raw:?}");
            assert_eq!(told([raw.to_owned()].into_iter()), [expected], "{raw:?}");
        }
    }

    #[test]
    fn a_secret_is_hidden_also_with_colours_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let mask = Mask::default();
        mask.add("hunter2-and-more");
        let log = StepLog::create(&folder.path().join("log"), &mask, false, |_| {}).unwrap();
        log.line("hunter2-\u{1b}[1mand\u{1b}[0m-more");
        assert!(!log.told()[0].contains("and"), "{:?}", log.told());
    }

    #[test]
    fn the_last_lines_are_shown() {
        assert!(told(std::iter::empty()).is_empty());
        let told = told((0..100).map(|number| format!("line {number}")));
        assert_eq!(told.len(), TAIL);
        assert_eq!((told[0].as_str(), told[TAIL - 1].as_str()), ("line 80", "line 99"));
    }

    #[test]
    fn an_old_failure_is_shown_once_with_its_reason() {
        let lines = |failing: usize| {
            told((0..100).map(move |number| match number {
                7 => "test a::b ... FAILED".to_owned(),
                _ if number == failing => "thread 'a::b' panicked at src/a.rs:1:2:".to_owned(),
                _ => format!("line {number}"),
            }))
        };
        let told = lines(50);
        assert_eq!(told.len(), 2 * (1 + WITH_REASON as usize) + 1 + TAIL);
        assert_eq!(told[0], "test a::b ... FAILED");
        assert_eq!(told[6], "line 51");
        assert_eq!(told[10], "...");
        // What the last lines show is not told twice.
        assert_eq!(lines(90).iter().filter(|line| line.contains("panicked")).count(), 1);
    }

    #[test]
    fn of_very_many_failures_the_first_are_shown() {
        let told = told((0..1000).map(|number| format!("test t{number} ... FAILED")));
        assert_eq!(told.len(), SHOWN_FAILURES + 1 + TAIL);
        assert_eq!(told[0], "test t0 ... FAILED");
    }
}
