//! The container engine that `ops/scripts/start-engine.sh` started: this program may stop, kill and start it again.
//!
//! Nobody else's engine is touched. It may serve containers of which nothing is known here.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::engine::Engine;
use foundation::processes::{self, ProcessIdentity};

/// The script, below the root of the repository.
const SCRIPT: &str = "ops/scripts/start-engine.sh";
/// What the script sets of the engine, and what it needs to start the same one again.
const MARK: &str = "FLOWSHIP_ENGINE";
const SETTINGS: [&str; 3] = ["ENGINE_RUN", "ENGINE_DATA", "DOCKER_HOST"];
/// What else the script gets of this program's environment. Not the marks of a run: the engine outlives it.
const KEPT: [&str; 2] = ["PATH", "HOME"];

/// An engine gives its containers their grace before it ends, the longest of them at once.
const ENDS_WITHIN: Duration = Duration::from_secs(120);

/// How an engine comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As by `systemctl stop docker`, or when the host is shut down: it stops its containers first.
    Stopped,
    /// Nobody stops the containers: they run on without it, until it starts and stops them.
    Killed,
    /// As when the host loses its power: everything ends at once, and what lay in memory or was mounted is gone.
    PowerCut,
}

impl End {
    pub const ALL: [Self; 3] = [Self::Stopped, Self::Killed, Self::PowerCut];

    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "a clean stop of the engine",
            Self::Killed => "kill -9 of the engine",
            Self::PowerCut => "a power cut of the host",
        }
    }
}

#[derive(Debug)]
pub struct OwnEngine {
    process: ProcessIdentity,
    settings: BTreeMap<String, String>,
}

impl OwnEngine {
    /// The engine that answers, when the script started it, and when only `project` runs on it.
    ///
    /// # Errors
    /// Why it may not be stopped.
    pub fn find(engine: &Engine, project: &str) -> Result<Self> {
        let own = Self::started_by_us(engine)?;
        let format = "{{.Names}} {{.Label \"com.docker.compose.project\"}}";
        let running = engine.ask(&["ps", "--format", format])?;
        if !running.success {
            bail!("cannot list what runs on the engine: {}", running.stderr.trim());
        }
        let others = others(&running.stdout, project);
        if !others.is_empty() {
            bail!("other containers run on the engine: {}; stop them first", others.join(", "));
        }
        Ok(own)
    }

    fn started_by_us(engine: &Engine) -> Result<Self> {
        let format = "{{.Endpoints.docker.Host}}";
        let endpoint = engine.ask(&["context", "inspect", "--format", format])?.stdout.trim().to_owned();
        let remedy = "stop it if you can, and start one with ops/scripts/start-engine.sh as root";
        let socket = endpoint.strip_prefix("unix://");
        let socket = socket.with_context(|| format!("the engine at {endpoint} is not on this machine"))?;
        let stream = UnixStream::connect(socket).with_context(|| socket.to_owned())?;
        let pid = rustix::net::sockopt::socket_peercred(&stream)?.pid.as_raw_nonzero().get();
        let environment = fs::read(format!("/proc/{pid}/environ"))
            .with_context(|| format!("cannot determine whether {SCRIPT} started the engine at {endpoint}"))?;
        let settings = settings(&environment)
            .with_context(|| format!("{SCRIPT} did not start the engine at {endpoint}: {remedy}"))?;
        let process = processes::identify(pid.unsigned_abs()).context("the engine stopped meanwhile")?;
        Ok(Self { process, settings })
    }

    /// # Errors
    /// It, or what belongs to it, does not end.
    pub fn end(&self, how: End) -> Result<()> {
        let pid = self.process.pid;
        let exec = self.run().join("exec");
        // The kernel ends them with the engine, and a new engine would wait for an old containerd.
        let children = children(pid).into_iter().filter_map(processes::identify);
        let open: Vec<ProcessIdentity> = children.chain([self.process.clone()]).collect();
        match how {
            End::Stopped => processes::signal_process(pid, Signal::TERM),
            End::Killed => processes::signal_process(pid, Signal::KILL),
            End::PowerCut => {
                // The engine first, so that it sees none of the others end. The kernel ends the rest of a container
                // with its first process.
                for process in open.iter().rev() {
                    processes::signal_process(process.pid, Signal::KILL);
                }
                for shim in shims(&exec) {
                    let inside = self::children(shim);
                    processes::signal_process(shim, Signal::KILL);
                    for first in inside {
                        processes::signal_process(first, Signal::KILL);
                    }
                }
                true
            }
        };
        let until = Instant::now() + ENDS_WITHIN;
        while open.iter().any(processes::is_alive) || how == End::PowerCut && !shims(&exec).is_empty() {
            if Instant::now() > until {
                bail!("the engine (pid {pid}) did not stop within {} s", ENDS_WITHIN.as_secs());
            }
            thread::sleep(Duration::from_millis(50));
        }
        if how == End::PowerCut {
            self.forget_mounts(&exec)?;
        }
        // A new engine takes a process that has ended and waits to be reaped for one that runs.
        for file in ["dockerd.pid", "exec/containerd/containerd.pid"] {
            gone(fs::remove_file(self.run().join(file)))?;
        }
        Ok(())
    }

    /// What a host has lost when it starts again: mounts, and the folder below `/run`.
    fn forget_mounts(&self, exec: &Path) -> Result<()> {
        let layers = PathBuf::from(&self.settings["ENGINE_DATA"]).join("overlay2");
        let mounts = fs::read_to_string("/proc/mounts")?;
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
        let mut ours: Vec<PathBuf> =
            points.filter(|point| point.starts_with(exec) || point.starts_with(&layers)).collect();
        // What is mounted inside another comes first.
        ours.sort();
        for point in ours.iter().rev() {
            rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH)
                .with_context(|| point.display().to_string())?;
        }
        gone(fs::remove_dir_all(exec))
    }

    /// The same engine again, once it answers.
    ///
    /// # Errors
    /// It does not; with what the script says.
    pub fn start(&mut self, root: &Path, engine: &Engine) -> Result<()> {
        let kept = KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let output = Command::new(root.join(SCRIPT))
            .env_clear()
            .envs(kept)
            .envs(&self.settings)
            .stdin(Stdio::null())
            .output()
            .with_context(|| SCRIPT.to_owned())?;
        if !output.status.success() {
            bail!("the engine does not start again: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        *self = Self::started_by_us(engine)?;
        Ok(())
    }

    fn run(&self) -> PathBuf {
        PathBuf::from(&self.settings["ENGINE_RUN"])
    }
}

/// Removing what is not there is no failure.
fn gone(removed: std::io::Result<()>) -> Result<()> {
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("cannot remove what the engine left behind")
        }
        _ => Ok(()),
    }
}

/// Containers of others, in the lines of `docker ps`. Pure.
fn others(running: &str, project: &str) -> Vec<String> {
    let of = |line: &str| line.split_once(' ').map(|(name, of)| (name.to_owned(), of.to_owned()));
    let lines = running.lines().filter_map(of);
    lines.filter(|(_, of)| of != project).map(|(name, _)| name).collect()
}

/// The script's settings in the environment of a process; none when the script did not start it. Pure.
fn settings(environment: &[u8]) -> Option<BTreeMap<String, String>> {
    let words = environment.split(|byte| *byte == 0).filter_map(|word| std::str::from_utf8(word).ok());
    let all: BTreeMap<&str, &str> = words.filter_map(|word| word.split_once('=')).collect();
    all.get(MARK)?;
    SETTINGS.iter().map(|name| Some(((*name).to_owned(), (*all.get(name)?).to_owned()))).collect()
}

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The processes between the engine and its containers: they outlive it.
fn shims(exec: &Path) -> Vec<u32> {
    let address = exec.join("containerd/containerd.sock").display().to_string();
    processes::with_arguments(|words| {
        let is_shim = words.first().is_some_and(|program| program.contains("containerd-shim"));
        is_shim && words.contains(&address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_script_started_may_be_stopped() {
        let ours = b"PATH=/bin\0FLOWSHIP_ENGINE=/run/e\0ENGINE_RUN=/run/e\0ENGINE_DATA=/data\0DOCKER_HOST=unix:///s\0";
        let found = settings(ours).unwrap();
        assert_eq!(found["ENGINE_RUN"], "/run/e");
        assert_eq!(found.len(), SETTINGS.len());
        assert_eq!(settings(b"PATH=/bin\0ENGINE_RUN=/run/e\0ENGINE_DATA=/d\0DOCKER_HOST=unix:///s\0"), None);
        assert_eq!(settings(b""), None);
    }

    #[test]
    fn containers_of_others_are_named() {
        let running = "flowship-rehearsal-1-edge-1 flowship-rehearsal-1\nmine-web-1 mine\nalone \n";
        assert_eq!(others(running, "flowship-rehearsal-1"), ["mine-web-1", "alone"]);
        assert_eq!(others("", "flowship-rehearsal-1"), [""; 0]);
    }
}
