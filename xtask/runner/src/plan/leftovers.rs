//! Ends what a killed run has left running: its programs, and all that these started.
//!
//! Each program of a run inherits a mark that names the run's process, so that nothing has to be written down while a kill
//! may come at any moment.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::Signal;

use foundation::processes::{self, ProcessIdentity};

/// The variable that holds the marks of a run and of those that it runs within, each in brackets.
pub const MARK: &str = "FLOWSHIP_RUN";

/// How long killed processes may take to be gone.
const GONE: Duration = Duration::from_secs(10);

/// The value of [`MARK`] for the programs of this process.
pub fn mark() -> String {
    let marks = std::env::var(MARK).unwrap_or_default();
    if bears_mark() { marks } else { format!("{marks}{}", of(&processes::this_process())) }
}

/// Whether this process bears its own mark, so that all that it starts inherits it.
pub fn bears_mark() -> bool {
    std::env::var(MARK).is_ok_and(|marks| marks.contains(&of(&processes::this_process())))
}

/// An id is used again after a while; together with its start and its boot it never is.
fn of(process: &ProcessIdentity) -> String {
    format!("[{} {} {}]", process.boot, process.pid, process.start_ticks)
}

/// Ends every process with the mark of `dead`, TERM and after `grace` KILL; how many there were.
///
/// # Errors
/// When one does not end.
pub fn end(dead: &ProcessIdentity, grace: Duration) -> Result<usize> {
    let mark = of(dead);
    let marked = || {
        let begin = format!("{MARK}=");
        processes::with_environment(|word| {
            std::str::from_utf8(word)
                .is_ok_and(|word| word.strip_prefix(&begin).is_some_and(|marks| marks.contains(&mark)))
        })
    };
    let mut open = marked();
    let found = open.len();
    for pid in &open {
        processes::signal_process(*pid, Signal::TERM);
    }
    let kill_at = Instant::now() + grace;
    while !open.is_empty() {
        if Instant::now() >= kill_at + GONE {
            bail!("these processes of a killed run do not stop: {open:?}; stop them by hand");
        }
        if Instant::now() >= kill_at {
            for pid in &open {
                processes::signal_process(*pid, Signal::KILL);
            }
        }
        thread::sleep(Duration::from_millis(10));
        open = marked();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_bears_the_mark_is_ended_and_nothing_else() {
        let me = processes::this_process();
        // Of a run that never was, so that no other test's processes are meant.
        let dead = ProcessIdentity { start_ticks: me.start_ticks + 7_777, ..me.clone() };
        let other = ProcessIdentity { start_ticks: me.start_ticks + 8_888, ..me };
        let sleep = |mark: String| Command::new("sleep").arg("600").env(MARK, mark).spawn().unwrap();
        let mut stubborn = Command::new("sh")
            .args(["-c", "trap '' TERM; echo; while :; do sleep 0.05; done"])
            .env(MARK, of(&dead))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Before the trap is set, it would end by TERM like the others.
        stubborn.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let mut inner = sleep(format!("{}{}", of(&dead), of(&other)));
        let mut foreign = sleep(of(&other));
        assert!(end(&dead, Duration::from_millis(300)).unwrap() >= 2);
        assert_eq!(inner.wait().unwrap().signal(), Some(15));
        assert_eq!(stubborn.wait().unwrap().signal(), Some(9));
        assert!(foreign.try_wait().unwrap().is_none(), "it belongs to another run");
        assert_eq!(end(&dead, Duration::ZERO).unwrap(), 0);
        foreign.kill().unwrap();
        foreign.wait().unwrap();
    }
}
