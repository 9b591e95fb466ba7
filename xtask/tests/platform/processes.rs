//! Processes of this machine, seen through `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustix::process::{Signal, kill_process};

use crate::until;

/// The id of a process that a test started, itself or through the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pid(pub i32);

impl Pid {
    pub fn of(child: &std::process::Child) -> Self {
        Self(child.id().try_into().unwrap())
    }

    #[track_caller]
    pub fn signal(self, signal: Signal) {
        kill_process(rustix::process::Pid::from_raw(self.0).unwrap(), signal).unwrap();
    }

    /// A zombie has ended.
    pub fn runs(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }

    #[track_caller]
    pub fn kill(self) {
        self.signal(Signal::KILL);
        until(&format!("process {} is gone", self.0), || (!self.runs()).then_some(()));
    }
}

/// The processes whose arguments name the folder or something below it, or that work there: `PID COMMAND`.
pub fn running_in(folder: &Path) -> Vec<String> {
    let name = folder.to_str().unwrap();
    let is_there = |pid: Pid| {
        let link =
            |what: &str| fs::read_link(format!("/proc/{}/{what}", pid.0)).unwrap_or_else(|_| PathBuf::new());
        pid.runs() && (arguments(pid).contains(name) || link("cwd").starts_with(folder))
    };
    all().filter(|pid| is_there(*pid)).map(|pid| format!("{} {}", pid.0, arguments(pid))).collect()
}

fn all() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| Some(Pid(entry.file_name().to_str()?.parse().ok()?)))
}

fn arguments(pid: Pid) -> String {
    of(pid, "cmdline")
}

/// `cmdline` or `environ` of every process that a folder's platform consists of.
pub fn told(folder: &Path, what: &str) -> Vec<String> {
    let pids = running_in(folder);
    let pids = pids.iter().map(|line| Pid(line.split(' ').next().unwrap().parse().unwrap()));
    pids.map(|pid| of(pid, what)).collect()
}

/// Where the processes of a folder's platform wait for connections or datagrams: address and port.
pub fn listening(folder: &Path) -> BTreeSet<(IpAddr, u16)> {
    let pids = running_in(folder);
    let pids = pids.iter().map(|line| line.split(' ').next().unwrap());
    let sockets: BTreeSet<String> = pids
        .flat_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten())
        .filter_map(|file| {
            let target = fs::read_link(file.path()).ok()?;
            Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    assert!(!sockets.is_empty(), "no socket of {} can be seen", folder.display());
    let mut found = BTreeSet::new();
    for (table, waits) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        let Ok(text) = fs::read_to_string(format!("/proc/net/{table}")) else { continue };
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[3] == waits && sockets.contains(words[9]) {
                let (address, port) = words[1].split_once(':').unwrap();
                found.insert((address_of(address), u16::from_str_radix(port, 16).unwrap()));
            }
        }
    }
    found
}

/// The kernel writes words of 32 bits, each in the machine's order.
fn address_of(hexadecimal: &str) -> IpAddr {
    let words = hexadecimal
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).unwrap(), 16).unwrap().to_ne_bytes());
    let bytes: Vec<u8> = words.flatten().collect();
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).unwrap()),
    }
}

fn of(pid: Pid, what: &str) -> String {
    let bytes = fs::read(format!("/proc/{}/{what}", pid.0)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}
