//! Asks a program one question: bounded in time, ended with the run, and never at a prompt.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use foundation::processes::signal_group;
use foundation::program_name::PROGRAM;

/// How often a wait looks whether it should stop.
const LOOK: Duration = Duration::from_millis(30);
/// How much of what a failed program said is repeated.
const LAST_LINES: usize = 8;

/// A question.
pub struct Command<'a> {
    pub program: &'a str,
    pub args: Vec<OsString>,
    pub folder: &'a Path,
    /// Added to the environment of this process.
    pub env: Vec<(&'static str, String)>,
    pub stdin: Option<Vec<u8>>,
    pub limit: Duration,
}

/// What the program said.
pub struct Output {
    pub status: ExitStatus,
    pub out: Vec<u8>,
    pub errors: String,
    asked: String,
}

/// The words of a command line.
pub fn words(words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Vec<OsString> {
    words.into_iter().map(|word| word.as_ref().to_owned()).collect()
}

impl Command<'_> {
    /// # Errors
    /// When the program cannot be started, is not done at its time limit, or `stop` holds.
    pub fn ask(&self, stop: &dyn Fn() -> bool) -> Result<Output> {
        let mut command = duct::cmd(self.program, &self.args)
            .dir(self.folder)
            .env("LC_ALL", "C")
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .before_spawn(|command| {
                // Its own group: what it starts in turn, such as ssh, ends with it.
                command.process_group(0);
                Ok(())
            });
        for (name, value) in &self.env {
            command = command.env(name, value);
        }
        command = match &self.stdin {
            Some(bytes) => command.stdin_bytes(bytes.clone()),
            None => command.stdin_null(),
        };
        let asked = self.shown();
        let handle = command.start().with_context(|| {
            format!("`{}` could not be started; `{PROGRAM} doctor` tells how to get {}", asked, self.program)
        })?;
        let give_up = Instant::now() + self.limit;
        let output = loop {
            if let Some(output) = handle.wait_timeout(LOOK).with_context(|| asked.clone())? {
                break output;
            }
            let late = Instant::now() >= give_up;
            if late || stop() {
                for pid in handle.pids() {
                    signal_group(pid, Signal::KILL);
                }
                handle.wait().with_context(|| asked.clone())?;
                if late {
                    bail!("`{asked}`: no answer within {} s", self.limit.as_secs());
                }
                bail!("`{asked}`: stopped");
            }
        };
        Ok(Output {
            status: output.status,
            out: output.stdout.clone(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
            asked,
        })
    }

    fn shown(&self) -> String {
        let words: Vec<_> = self.args.iter().map(|word| word.to_string_lossy()).collect();
        format!("{} {}", self.program, words.join(" "))
    }
}

impl Output {
    /// The answer, when the program succeeded.
    ///
    /// # Errors
    /// With the last lines that it said, otherwise.
    pub fn good(self) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        let said = if self.errors.trim().is_empty() {
            String::from_utf8_lossy(&self.out).into_owned()
        } else {
            self.errors.clone()
        };
        let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("; ");
        let last = if last.is_empty() { foundation::processes::describe(self.status) } else { last };
        bail!("`{}`: {last}", self.asked)
    }

    /// What it printed, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Command<'_> {
        Command {
            program: "sh",
            args: words(["-c", script]),
            folder: Path::new("/"),
            env: vec![("WHO", "you".into())],
            stdin: Some(b"hello".to_vec()),
            limit,
        }
    }

    #[test]
    fn a_program_answers_or_says_why_not() {
        let long = Duration::from_secs(30);
        let go_on = || false;
        let answer = shell("cat; echo \" $WHO\"", long).ask(&go_on).unwrap().good().unwrap();
        assert_eq!(answer.text(), "hello you\n");
        let error =
            shell("echo a; echo no route >&2; exit 3", long).ask(&go_on).unwrap().good().err().unwrap();
        assert!(error.to_string().ends_with("`: no route"), "{error}");
        let error = shell("exit 3", long).ask(&go_on).unwrap().good().err().unwrap();
        assert!(error.to_string().ends_with("`: exit code 3"), "{error}");
        let nothing = Command { program: "/nowhere/gh", ..shell("", long) };
        let error = format!("{:#}", nothing.ask(&go_on).err().unwrap());
        assert!(error.contains("cargo xtask doctor"), "{error}");
    }

    #[test]
    fn one_that_hangs_is_ended_with_all_that_it_started() {
        for (limit, stop, why) in [
            (Duration::from_millis(50), false, "no answer within"),
            (Duration::from_secs(60), true, "stopped"),
        ] {
            let begun = Instant::now();
            let error = shell("sleep 60 & sleep 60", limit).ask(&|| stop).err().unwrap().to_string();
            assert!(error.contains(why) && begun.elapsed() < Duration::from_secs(20), "{error}");
        }
    }
}
