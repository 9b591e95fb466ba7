//! A command that goes on, as in a terminal of its own: what it prints, and Ctrl-C.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process_group};

use crate::processes::Pid;
use crate::{PATIENCE, until};

/// Killed when it is dropped.
pub struct Background {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Background {
    /// Starts it in a process group of its own, as a shell does.
    pub fn start(mut command: Command) -> Self {
        let mut child =
            command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().unwrap(), &lines);
        collect(child.stderr.take().unwrap(), &lines);
        Self { child, lines }
    }

    pub fn pid(&self) -> Pid {
        Pid::of(&self.child)
    }

    pub fn printed(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a line with all the parts, after the first `after` ones.
    #[track_caller]
    pub fn await_line(&mut self, after: usize, parts: &[&str]) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            // Asked first: what it printed before its end is there then.
            let goes_on = self.child.try_wait().unwrap().is_none() && Instant::now() < give_up;
            let printed = self.printed();
            let found = printed.iter().skip(after).find(|line| parts.iter().all(|part| line.contains(part)));
            if let Some(line) = found {
                return line.clone();
            }
            assert!(goes_on, "no line with {parts:?} after the first {after}: {printed:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// As Ctrl-C does: to all of its group.
    pub fn interrupt(&self) {
        kill_process_group(rustix::process::Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Waits for its end; the exit code, none when a signal ended it.
    #[track_caller]
    pub fn code(&mut self) -> Option<i32> {
        until(&format!("it ends: {:#?}", self.printed()), || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(pipe: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    });
}
