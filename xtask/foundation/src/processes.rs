//! What the system says about processes, and signals to their groups.
//!
//! A process is named by its id, its start time (field 22 of `/proc/PID/stat`, in clock ticks since boot) and the boot
//! it belongs to: the three together are never used twice.

use std::fs;
use std::io;

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// One process of one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    pub pid: u32,
    /// Clock ticks between boot and the start of the process.
    pub start_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
}

/// Observes the process `pid`; `None` when there is none, or only one that has ended and waits to be reaped.
pub fn identify(pid: u32) -> Option<ProcessIdentity> {
    let stat = Stat::read(pid)?;
    (!stat.ended()).then(|| ProcessIdentity { pid, start_ticks: stat.start_ticks, boot: boot_id() })
}

/// This process.
pub fn this_process() -> ProcessIdentity {
    let pid = std::process::id();
    identify(pid).unwrap_or(ProcessIdentity { pid, start_ticks: 0, boot: boot_id() })
}

/// Whether exactly this process still runs.
pub fn is_alive(process: &ProcessIdentity) -> bool {
    identify(process.pid).as_ref() == Some(process)
}

/// Names this boot of the machine.
pub fn boot_id() -> String {
    read_trimmed("/proc/sys/kernel/random/boot_id")
}

/// From now on this process, and what it starts, leaves no core file when it crashes: it would hold the values of secrets.
/// The limit is one byte and not none, because the kernel then does not call a program that collects cores either.
pub fn leave_no_cores() {
    if getrlimit(Resource::Core).maximum != Some(0) {
        // A limit can always be lowered.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) });
    }
}

/// The machine's name.
pub fn host_name() -> String {
    read_trimmed("/proc/sys/kernel/hostname")
}

fn read_trimmed(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Ids of the running processes of the group `group`.
pub fn members(group: u32) -> Vec<u32> {
    every_process()
        .into_iter()
        .filter(|pid| Stat::read(*pid).is_some_and(|stat| stat.group == group && !stat.ended()))
        .collect()
}

/// Ids of the running processes, but this one, with a variable in their first environment for whose `NAME=value` `holds`
/// holds. Processes that have overwritten their environment, or belong to others, are not seen.
pub fn with_environment(holds: impl Fn(&[u8]) -> bool) -> Vec<u32> {
    every_process()
        .into_iter()
        .filter(|pid| {
            *pid != std::process::id()
                && fs::read(format!("/proc/{pid}/environ"))
                    .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(&holds))
                && Stat::read(*pid).is_some_and(|stat| !stat.ended())
        })
        .collect()
}

/// Ids of the running processes whose arguments, the program among them, `hold`.
pub fn with_arguments(hold: impl Fn(&[String]) -> bool) -> Vec<u32> {
    let words = |pid: &u32| -> Option<Vec<String>> {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        Some(words.collect())
    };
    let mut found = every_process();
    found.retain(|pid| {
        words(pid).is_some_and(|words| hold(&words)) && Stat::read(*pid).is_some_and(|stat| !stat.ended())
    });
    found
}

/// Processor time of a process and all below it, in seconds: those that have ended count where their parents waited for
/// them. None when the process is gone.
pub fn processor_seconds(pid: u32) -> Option<f64> {
    let mut ticks = Stat::read(pid)?.processor_ticks;
    let mut stats: Vec<_> =
        every_process().into_iter().filter_map(|pid| Some((pid, Stat::read(pid)?))).collect();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        stats.retain(|(pid, stat)| {
            if stat.parent == parent {
                ticks += stat.processor_ticks;
                parents.push(*pid);
            }
            stat.parent != parent
        });
    }
    #[expect(clippy::cast_precision_loss, reason = "ticks of a machine's life fit")]
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn every_process() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What the system's line about a process says.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    parent: u32,
    group: u32,
    /// Its own, and that of children that have ended and been waited for.
    processor_ticks: u64,
    start_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in parentheses may itself hold spaces and parentheses, so fields count from the last one.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let mut fields = fields.skip(8);
        let mut processor_ticks = 0;
        for _ in 0..4 {
            processor_ticks += fields.next()?.parse::<u64>().ok()?;
        }
        let start_ticks = fields.nth(4)?.parse().ok()?;
        Some(Self { state, parent, group, processor_ticks, start_ticks })
    }

    fn ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// Sends `signal` to every process of the group; false when the group is empty.
pub fn signal_group(group: u32, signal: Signal) -> bool {
    pid_of(group).is_some_and(|group| rustix::process::kill_process_group(group, signal).is_ok())
}

/// Whether the group has a running process. Ended ones do not count: where the machine's first process is slow to
/// reap orphans, or never does, they stay for long.
pub fn group_runs(group: u32) -> bool {
    pid_of(group).is_some_and(|pid| rustix::process::test_kill_process_group(pid).is_ok())
        && !members(group).is_empty()
}

/// Sends `signal` to one process; false when it does not exist.
pub fn signal_process(pid: u32, signal: Signal) -> bool {
    pid_of(pid).is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok())
}

/// Blocks until the child `pid` has ended, and leaves it unreaped: until then neither its id nor its group's id
/// can belong to another, so the rest of the group can be signalled safely.
pub fn await_end(pid: u32) -> io::Result<()> {
    let pid = pid_of(pid).ok_or_else(|| io::Error::other("no such process"))?;
    loop {
        match rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn pid_of(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// `exit code 3`, `killed by SIGKILL`.
pub fn describe(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => {
            let name =
                signal_hook::low_level::signal_name(signal).map_or(format!("signal {signal}"), str::to_owned);
            format!("killed by {name}")
        }
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b) (c)) S 1 41 40 0 -1 0 0 0 0 0 1 2 4 8 20 0 1 0 98765 0 0";
        let stat = Stat { state: 'S', parent: 1, group: 41, processor_ticks: 15, start_ticks: 98765 };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("42 (x) S 1"), None);
    }

    #[test]
    fn this_process_is_alive_and_its_id_with_another_start_is_not() {
        let me = this_process();
        assert!(me.start_ticks > 0 && !me.boot.is_empty());
        assert!(is_alive(&me));
        assert!(!is_alive(&ProcessIdentity { start_ticks: me.start_ticks + 1, ..me.clone() }));
        assert!(!is_alive(&ProcessIdentity { boot: "another".into(), ..me }));
    }
}
