//! Whether a run of tests ran tests: an exit code of 0 does not tell.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, Result, bail};

use super::lower::{Asked, Kind};
use crate::plan::mask::Outputs;
use crate::plan::perform::Call;

/// # Errors
/// When the log of the command before shows no test that passed, or a test file without a test.
pub fn look(call: &Call<'_>) -> Result<Outputs> {
    let asked: Asked = serde_json::from_value(call.parameters.clone()).context("what to look for")?;
    let unread = || format!("cannot read {}", asked.log.display());
    let lines = BufReader::new(File::open(&asked.log).with_context(unread)?).split(b'\n');
    let mut found = Found::default();
    // Line by line: a log can be larger than the memory.
    for line in lines {
        found.note(asked.kind, &String::from_utf8_lossy(&line.with_context(unread)?));
    }
    match found.judge() {
        Ok(count) => {
            call.desk.log.line(&format!("{count} tests passed"));
            Ok(Outputs::from([("tests".to_owned(), count.to_string())]))
        }
        Err(problem) => bail!("{problem}; the log is {}", asked.log.display()),
    }
}

/// What a log shows.
#[derive(Debug, Default)]
struct Found {
    passed: u64,
    /// Test files without a test.
    empty: Vec<String>,
}

impl Found {
    fn note(&mut self, kind: Kind, line: &str) {
        match kind {
            Kind::Cargo => self.passed += cargo_passed(line).unwrap_or(0),
            Kind::Node => {
                self.passed += node_passed(line).unwrap_or(0);
                self.empty.extend(node_file_without_tests(line).map(str::to_owned));
            }
        }
    }

    /// How many tests passed, or what is wrong with them.
    fn judge(&self) -> Result<u64, String> {
        if !self.empty.is_empty() {
            return Err(format!("no test in {}", self.empty.join(", ")));
        }
        if self.passed == 0 {
            return Err("no test passed: none was found, or all were skipped".to_owned());
        }
        Ok(self.passed)
    }
}

fn node_passed(line: &str) -> Option<u64> {
    line.strip_prefix("ℹ pass ")?.trim().parse().ok()
}

/// `test result: ok. 3 passed; 0 failed; ..` of one test program.
fn cargo_passed(line: &str) -> Option<u64> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    counts.split_once(" passed")?.0.parse().ok()
}

/// Node counts a file that has no test as one test, which bears the file's name: `✔ test/a.test.js (12.3ms)`.
fn node_file_without_tests(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix("✔ ")?.rsplit_once(" (")?;
    (name.ends_with(".test.js") && !name.contains(' ')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(kind: Kind, log: &str) -> Result<u64, String> {
        let mut found = Found::default();
        log.lines().for_each(|line| found.note(kind, line));
        found.judge()
    }

    #[test]
    fn tests_that_passed_are_counted() {
        let cargo = "$ cargo test\nrunning 2 tests\ntest a ... ok\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\n\
                     test result: ok. 0 passed; 0 failed\ntest result: FAILED. 40 passed; 1 failed\n";
        assert_eq!(judge(Kind::Cargo, cargo), Ok(42));
        let node =
            "✔ answers (12.1ms)\n▶ rules\n  ✔ first.test.js is read (1ms)\nℹ tests 2\nℹ pass 2\nℹ fail 0\n";
        assert_eq!(judge(Kind::Node, node), Ok(2));
    }

    #[test]
    fn a_run_of_no_tests_is_found_out() {
        let none = "no test passed: none was found, or all were skipped".to_owned();
        for (kind, log) in [
            (Kind::Cargo, ""),
            (Kind::Cargo, "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 3 ignored; 0 measured\n"),
            (Kind::Cargo, "    Finished `test` profile in 1.1s\n"),
            (Kind::Node, ""),
            (Kind::Node, "ℹ tests 0\nℹ suites 0\nℹ pass 0\n"),
            (Kind::Node, "﹣ x (0.6ms) # SKIP\nℹ tests 1\nℹ pass 0\nℹ skipped 1\n"),
        ] {
            assert_eq!(judge(kind, log), Err(none.clone()), "{kind:?} {log}");
        }
        let empty = "✔ test/nodes/a.test.js (29.6ms)\n✔ works (1ms)\nℹ tests 2\nℹ pass 2\n";
        assert_eq!(judge(Kind::Node, empty), Err("no test in test/nodes/a.test.js".to_owned()));
    }
}
