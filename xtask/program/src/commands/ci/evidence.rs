//! Whether a run of tests ran tests, and how many it left out: an exit code of 0 does not tell.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::lower::{Asked, Kind};
use foundation::exit::refused;
use judges::thresholds;
use runner::plan::mask::Outputs;
use runner::plan::perform::StepContext;
use runner::plan::report::StepReport;

/// The outputs under which a look for tests leaves how many passed, how many were ignored and how many may be.
pub const TESTS: &str = "tests";
pub const IGNORED: &str = "ignored";
pub const MAY_IGNORE: &str = "may-ignore";

/// How many tests each gate may leave out, below the root.
pub const LIMITS: &str = "ops/ci/ignored-tests.toml";

/// Of one gate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    most: u64,
    why: String,
}

/// # Errors
/// When the log of the command before shows no test that passed, test files without a test, or more ignored tests than
/// the gate may have; refused when that file is wrong.
pub fn look(asked: &Asked, step: &StepContext, root: &Path) -> Result<Outputs> {
    let most = most(root, asked)?;
    let unread = || format!("cannot read {}", asked.log.display());
    let lines = BufReader::new(File::open(&asked.log).with_context(unread)?).split(b'\n');
    let mut found = Found::default();
    // Line by line: a log can be larger than the memory.
    for line in lines {
        found.note(asked.kind, &String::from_utf8_lossy(&line.with_context(unread)?));
    }
    match found.judge(&asked.gate, most) {
        Ok(()) => {
            let (passed, ignored) = (found.passed, found.ignored());
            step.log.line(&format!("{passed} tests passed, {ignored} were ignored ({most} allowed)"));
            let outputs = [(TESTS, passed), (IGNORED, ignored), (MAY_IGNORE, most)];
            Ok(outputs.map(|(name, number)| (name.to_owned(), number.to_string())).into())
        }
        Err(problem) => bail!("{problem}; the log is {}", asked.log.display()),
    }
}

/// Of what the steps left as this output; none where none of them did.
pub fn sum(steps: &[&StepReport], output: &str) -> Option<u64> {
    let numbers = steps.iter().filter_map(|step| step.outputs.get(output)?.parse::<u64>().ok());
    numbers.reduce(|left, right| left + right)
}

/// None may be ignored where nobody said why.
fn most(root: &Path, asked: &Asked) -> Result<u64> {
    let limits: BTreeMap<String, Limit> = thresholds::recorded(root, LIMITS)?;
    let unknown = limits.keys().find(|name| !asked.gates_with_tests.contains(name));
    if let Some(name) = unknown {
        let known = asked.gates_with_tests.join(", ");
        return Err(refused(format!(
            "{LIMITS}: the gate {name} does not exist or runs no tests; expected one of {known}"
        )));
    }
    let Some(Limit { most, why }) = limits.get(&asked.gate) else { return Ok(0) };
    if why.trim().is_empty() {
        return Err(refused(format!(
            "{LIMITS}: {}: `why` is empty; say why these tests are ignored",
            asked.gate
        )));
    }
    Ok(*most)
}

/// What a log shows.
#[derive(Debug, Default)]
struct Found {
    passed: u64,
    /// As sums say it.
    left_out: u64,
    /// As lines show it: sums of Node leave out suites.
    skipped_lines: u64,
    /// The test program whose output is read.
    program: Option<String>,
    /// Test programs and files without a test.
    empty: Vec<String>,
    /// Test programs of whose tests none was asked for.
    filtered: Vec<String>,
}

impl Found {
    fn note(&mut self, kind: Kind, line: &str) {
        match kind {
            Kind::Cargo => {
                if let Some(program) = cargo_program(line) {
                    self.program = Some(program.to_owned());
                } else if let Some(sums) = Sums::read(line) {
                    self.note_program(&sums);
                }
            }
            Kind::Node => {
                self.passed += node_sum(line, "pass").unwrap_or(0);
                self.left_out += node_sum(line, "skipped").or_else(|| node_sum(line, "todo")).unwrap_or(0);
                self.skipped_lines += u64::from(line.trim_start().starts_with("\u{fe63} "));
                self.empty.extend(node_file_without_tests(line).map(str::to_owned));
            }
        }
    }

    fn note_program(&mut self, sums: &Sums) {
        self.passed += sums.passed;
        self.left_out += sums.ignored;
        let name = || self.program.clone().unwrap_or_else(|| "a test program".to_owned());
        match sums {
            Sums { passed: 0, ignored: 0, filtered: 1.., .. } => self.filtered.push(name()),
            // A crate's own tests and those of its documentation may be none.
            Sums { passed: 0, ignored: 0, failed: 0, .. } if self.program.is_some() => {
                self.empty.push(name())
            }
            _ => {}
        }
        self.program = None;
    }

    fn ignored(&self) -> u64 {
        self.left_out.max(self.skipped_lines)
    }

    /// What is wrong with the tests, where something is.
    fn judge(&self, gate: &str, most: u64) -> Result<(), String> {
        if !self.empty.is_empty() {
            return Err(format!("no test in {}", self.empty.join(", ")));
        }
        if !self.filtered.is_empty() {
            return Err(format!("every test of {} was filtered out", self.filtered.join(", ")));
        }
        if self.passed == 0 {
            return Err("no test ran: none was found, or all were skipped".to_owned());
        }
        let ignored = self.ignored();
        if ignored > most {
            return Err(format!(
                "{ignored} tests were ignored, and {LIMITS} allows {gate} {most}: run them, or raise `most` there and say why"
            ));
        }
        Ok(())
    }
}

/// `ℹ pass 2`.
fn node_sum(line: &str, what: &str) -> Option<u64> {
    line.strip_prefix("ℹ ")?.strip_prefix(what)?.trim().parse().ok()
}

/// `     Running tests/a.rs (target/debug/deps/a-0123)`. Not a crate's own tests (`unittests src/lib.rs`), nor those of its
/// documentation.
fn cargo_program(line: &str) -> Option<&str> {
    let (path, _) = line.trim_start().strip_prefix("Running ")?.rsplit_once(" (")?;
    (!path.starts_with("unittests ")).then_some(path)
}

/// `test result: ok. 3 passed; 0 failed; ..` of one test program.
#[derive(Debug, Default)]
struct Sums {
    passed: u64,
    failed: u64,
    ignored: u64,
    filtered: u64,
}

impl Sums {
    fn read(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut sums = Self::default();
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse() else { continue };
            match what {
                "passed" => sums.passed = number,
                "failed" => sums.failed = number,
                "ignored" => sums.ignored = number,
                "filtered out" => sums.filtered = number,
                _ => {}
            }
        }
        Some(sums)
    }
}

/// Node counts a file that has no test as one test, which bears the file's name: `✔ test/a.test.js (12.3ms)`.
fn node_file_without_tests(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix("✔ ")?.rsplit_once(" (")?;
    (name.ends_with(".test.js") && !name.contains(' ')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many tests passed and how many were ignored.
    fn judge(kind: Kind, log: &str, most: u64) -> Result<(u64, u64), String> {
        let mut found = Found::default();
        log.lines().for_each(|line| found.note(kind, line));
        found.judge("tests", most).map(|()| (found.passed, found.ignored()))
    }

    #[test]
    fn tests_that_passed_and_those_left_out_are_counted() {
        let cargo = "$ cargo test\nrunning 2 tests\ntest a ... ok\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 \
                     filtered out; finished in 0.1s\n\n     Running unittests src/main.rs (target/debug/deps/x-1)\ntest \
                     result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n     Running \
                     tests/all_need_more.rs (target/debug/deps/y-1)\ntest result: ok. 0 passed; 0 failed; 4 ignored; 0 \
                     measured; 0 filtered out\ntest result: FAILED. 40 passed; 1 failed; 0 ignored\n   Doc-tests x\ntest \
                     result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(judge(Kind::Cargo, cargo, 5), Ok((42, 5)));
        let node = "✔ answers (12.1ms)\n▶ rules\n  ✔ first.test.js is read (1ms)\n  ﹣ late (0.1ms) # later\n﹣ a suite (16.8ms) # \
                    SKIP\n⚠ not yet (0.1ms) # TODO\nℹ tests 4\nℹ suites 1\nℹ pass 2\nℹ fail 0\nℹ skipped 1\nℹ todo 1\n";
        assert_eq!(judge(Kind::Node, node, 2), Ok((2, 2)));
        let suites = "✔ a (1ms)\n﹣ b (1ms) # SKIP\n﹣ c (1ms) # SKIP\nℹ pass 1\nℹ skipped 0\nℹ todo 0\n";
        assert_eq!(judge(Kind::Node, suites, 2), Ok((1, 2)), "sums leave out suites that are skipped");
    }

    #[test]
    fn more_ignored_tests_than_allowed_fail() {
        for (kind, log) in [
            (Kind::Cargo, "test result: ok. 9 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out\n"),
            (Kind::Node, "ℹ pass 9\nℹ skipped 2\nℹ todo 1\n"),
        ] {
            assert_eq!(judge(kind, log, 4), Ok((9, 3)));
            assert_eq!(judge(kind, log, 3), Ok((9, 3)));
            let expected = "3 tests were ignored, and ops/ci/ignored-tests.toml allows tests 2: run them, or raise `most` \
                            there and say why";
            assert_eq!(judge(kind, log, 2), Err(expected.to_owned()), "{kind:?}");
        }
    }

    #[test]
    fn a_program_that_ran_nothing_is_found_out_beside_others() {
        let other = "     Running tests/a.rs (target/debug/deps/a-1)\ntest result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 \
                     filtered out\n     Running tests/b.rs (target/debug/deps/b-1)\n";
        for (sums, expected) in [
            ("0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out", "no test in tests/b.rs"),
            (
                "0 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out",
                "every test of tests/b.rs was filtered out",
            ),
        ] {
            let log = format!("{other}test result: ok. {sums}; finished in 0.00s\n");
            assert_eq!(judge(Kind::Cargo, &log, 0), Err(expected.to_owned()));
        }
    }

    #[test]
    fn limits_are_of_gates_that_run_tests_and_say_why() {
        let root = tempfile::tempdir().unwrap();
        let asked = Asked {
            log: "log".into(),
            kind: Kind::Cargo,
            gate: "tests".to_owned(),
            gates_with_tests: vec!["tests".to_owned(), "node".to_owned()],
        };
        let with = |text: &str| {
            std::fs::create_dir_all(root.path().join("ops/ci")).unwrap();
            std::fs::write(root.path().join(LIMITS), text).unwrap();
            most(root.path(), &asked).map_err(|error| error.to_string())
        };
        assert_eq!(most(root.path(), &asked).unwrap(), 0, "without a file none may be");
        assert_eq!(with("[tests]\nmost = 3\nwhy = \"x\"\n"), Ok(3));
        assert_eq!(with("[node]\nmost = 3\nwhy = \"x\"\n"), Ok(0));
        for (text, expected) in [
            (
                "[test]\nmost = 3\nwhy = \"x\"\n",
                "the gate test does not exist or runs no tests; expected one of tests, node",
            ),
            ("[tests]\nmost = 3\nwhy = \" \"\n", "tests: `why` is empty"),
            ("[tests]\nmost = 3\n", ":1:1: missing field `why`"),
            ("[tests]\nmost = -1\nwhy = \"x\"\n", ":2:8: invalid value: integer `-1`"),
            ("[tests\n", "ops/ci/ignored-tests.toml:1:"),
        ] {
            let error = with(text).unwrap_err();
            assert!(error.starts_with(LIMITS) && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_run_of_no_tests_is_found_out() {
        let none = "no test ran: none was found, or all were skipped".to_owned();
        for (kind, log) in [
            (Kind::Cargo, ""),
            (Kind::Cargo, "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 3 ignored; 0 measured\n"),
            (Kind::Cargo, "    Finished `test` profile in 1.1s\n"),
            (Kind::Node, ""),
            (Kind::Node, "ℹ tests 0\nℹ suites 0\nℹ pass 0\n"),
            (Kind::Node, "﹣ x (0.6ms) # SKIP\nℹ tests 1\nℹ pass 0\nℹ skipped 1\n"),
        ] {
            assert_eq!(judge(kind, log, 9), Err(none.clone()), "{kind:?} {log}");
        }
        let empty = "✔ test/nodes/a.test.js (29.6ms)\n✔ works (1ms)\nℹ tests 2\nℹ pass 2\n";
        assert_eq!(judge(Kind::Node, empty, 0), Err("no test in test/nodes/a.test.js".to_owned()));
    }
}
