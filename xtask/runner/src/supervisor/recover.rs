//! Ends what a killed supervisor has left running, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::children::{self, MARK, Record};
use super::client::Client;
use super::control;
use super::worker::signal_of;
use crate::plan::lock::{self, Holder, Lock};
use foundation::processes;

/// How long the processes of a killed supervisor may take to end, at most.
const LONGEST_GRACE: Duration = Duration::from_secs(20);
/// How long a supervisor that does not listen is taken for one that is just being killed.
const DYING: Duration = Duration::from_secs(2);
/// How long killed processes may take to be gone.
const GONE: Duration = Duration::from_secs(10);

/// What was found in a state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// A supervisor runs there; nothing was done.
    Running,
    /// Nothing was left.
    Clean,
    /// These were ended: `node-red-a (process 4711)`.
    Ended(Vec<String>),
}

/// Ends what a killed supervisor of `state` has left, unless one runs there.
///
/// # Errors
/// When the folder cannot be used, or something cannot be ended.
pub fn recover(state: &Path) -> Result<Recovered> {
    if !state.exists() {
        return Ok(Recovered::Clean);
    }
    let give_up = Instant::now() + DYING;
    while lock::holder(&lock::path_in(state))?.is_some() {
        if Client::connect(state)?.is_some() || Instant::now() >= give_up {
            return Ok(Recovered::Running);
        }
        // It does not listen yet, or was killed a moment ago and is not gone yet.
        thread::sleep(Duration::from_millis(10));
    }
    let _lock = Lock::take(&lock::path_in(state), &Holder::this("recover"))?;
    recover_locked(state)
}

/// As [`recover`], by the one who holds the lock.
///
/// # Errors
/// As [`recover`].
pub fn recover_locked(state: &Path) -> Result<Recovered> {
    let socket = control::path_in(state);
    match fs::remove_file(&socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", socket.display()));
        }
        _ => {}
    }
    let Some(record) = children::read(state)? else { return Ok(Recovered::Clean) };
    let ended = end_all(&record)?;
    fs::remove_file(children::path_in(state)).context("cannot remove the record of a killed supervisor")?;
    Ok(if ended.is_empty() { Recovered::Clean } else { Recovered::Ended(ended) })
}

/// Observes what of the record still runs: groups whose leader is exactly the recorded process, and marked processes.
fn left(record: &Record) -> (Vec<u32>, BTreeSet<u32>) {
    let alive = record.children.values().filter(|child| processes::is_alive(&child.process));
    let groups: Vec<u32> = alive.map(|child| child.process.pid).collect();
    let begin = format!("{MARK}={}/", record.mark);
    let marked = processes::with_environment(|word| word.starts_with(begin.as_bytes()));
    let members = groups.iter().flat_map(|group| processes::members(*group));
    let all = members.chain(marked).collect();
    (groups, all)
}

fn end_all(record: &Record) -> Result<Vec<String>> {
    let (groups, mut open) = left(record);
    let found: BTreeSet<u32> = open.clone();
    let mut grace = Duration::from_secs(2);
    for child in record.children.values().filter(|child| groups.contains(&child.process.pid)) {
        processes::signal_process(child.process.pid, signal_of(child.stop.signal));
        grace = grace.max(Duration::from_millis(child.stop.grace_ms)).min(LONGEST_GRACE);
    }
    let unled =
        open.iter().filter(|pid| !groups.iter().any(|group| processes::members(*group).contains(pid)));
    unled.for_each(|pid| {
        processes::signal_process(*pid, Signal::TERM);
    });
    let kill_at = Instant::now() + grace;
    let give_up = kill_at + GONE;
    // What a leader left of its group keeps running without it: it is still in `open`, by its own identity.
    let known: Vec<_> = open.iter().filter_map(|pid| processes::identify(*pid)).collect();
    loop {
        let survivors =
            known.iter().filter(|process| processes::is_alive(process)).map(|process| process.pid);
        open = survivors.chain(left(record).1).collect();
        if open.is_empty() {
            break;
        }
        let leaders_gone = record.children.values().all(|child| !processes::is_alive(&child.process));
        if leaders_gone || Instant::now() >= kill_at {
            open.iter().for_each(|pid| {
                processes::signal_process(*pid, Signal::KILL);
            });
        }
        if Instant::now() >= give_up {
            bail!("these processes of a killed supervisor do not stop: {open:?}; stop them by hand");
        }
        thread::sleep(Duration::from_millis(20));
    }
    let names = record.children.iter().filter(|(_, child)| groups.contains(&child.process.pid));
    let mut ended: Vec<String> =
        names.map(|(name, child)| format!("{name} (process {})", child.process.pid)).collect();
    let others = found.len().saturating_sub(ended.len());
    if ended.is_empty() && others > 0 {
        ended.push(format!("{others} of their processes"));
    }
    Ok(ended)
}
