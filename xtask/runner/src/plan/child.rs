//! Child processes: each in a group of its own, its output read line by line, its whole group ended with it.

use std::collections::BTreeMap;
use std::io::{PipeReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::mask::{Mask, Resolved};
use foundation::processes;

/// How often a wait looks whether it should stop.
const LOOK: Duration = Duration::from_millis(30);
/// How long output may still arrive after the child and its group have ended.
const DRAIN: Duration = Duration::from_millis(500);
/// A process that is still there so long after KILL hangs in the kernel: waiting longer would not end it.
const UNKILLABLE: Duration = Duration::from_secs(10);
/// A line longer than this many bytes is cut into several.
const LONGEST_LINE: usize = 64 * 1024;
/// So long a look at the files of secrets holds.
const LOOKED: Duration = Duration::from_millis(10);
/// So many bytes before a cut stay with what follows: a secret that begins there may not be whole yet.
const KEPT: usize = 4 * 1024;

/// What a child heeds whose output is read by this program: it has no terminal, so it writes no colours. Some, such as
/// rustfmt, only heed the kind of terminal.
const PLAIN: [(&str, &str); 4] =
    [("CARGO_TERM_COLOR", "never"), ("CLICOLOR", "0"), ("NO_COLOR", "1"), ("TERM", "dumb")];

/// Variables by which this program's caller asks for colours, whoever reads them.
const FORCING: [&str; 2] = ["CLICOLOR_FORCE", "FORCE_COLOR"];

/// A program to start, every word known.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<Resolved>,
    pub env: BTreeMap<String, Resolved>,
    /// The variables of this process that the child gets too: all of them but those that would colour its output, or
    /// those named.
    pub inherits: Inherits,
    pub cwd: Option<PathBuf>,
    pub stdin: Option<Resolved>,
    /// Hides the values of secrets in what it writes, except in a standard output that is kept apart.
    pub mask: Mask,
}

/// Which variables of this process a child gets.
#[derive(Debug, Clone, Default)]
pub enum Inherits {
    #[default]
    Everything,
    Only(Vec<String>),
}

/// Takes the lines of a child's output, without their ends.
pub type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// A started child.
#[derive(Debug)]
pub struct Child {
    handle: duct::Handle,
    /// Its process id, which is its group's id too.
    pub pid: u32,
    /// Its other end is dropped when the child has ended; nothing is ever sent.
    ended: Receiver<()>,
    drained: Vec<Receiver<()>>,
}

impl Command {
    /// Starts it. Both outputs go to `lines`; standard output goes to `stdout` instead where one is given.
    ///
    /// # Errors
    /// When the program cannot be started; the error names it and the working folder.
    pub fn start(&self, lines: &Sink, stdout: Option<&Sink>) -> Result<Child> {
        let name = self.argv.first().map(ToString::to_string).unwrap_or_default();
        let mut drained = Vec::new();
        let mut pipe = |sink: &Sink, mask: Mask| -> Result<std::io::PipeWriter> {
            let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
            drained.push(pump(reader, Arc::clone(sink), mask)?);
            Ok(writer)
        };
        let errors = pipe(lines, self.mask.clone())?;
        let output = match stdout {
            Some(sink) => pipe(sink, Mask::default())?,
            None => errors.try_clone().context("cannot make a pipe")?,
        };
        let words: Vec<_> = self.argv.iter().skip(1).map(Resolved::expose).collect();
        let program = self.argv.first().map(Resolved::expose).unwrap_or_default();
        let mut command = duct::cmd(program, words)
            .full_env(self.environment())
            .stdout_file(output)
            .stderr_file(errors)
            .before_spawn(|command| {
                command.process_group(0);
                Ok(())
            })
            .unchecked();
        command = match &self.stdin {
            Some(text) => command.stdin_bytes(text.expose()),
            None => command.stdin_null(),
        };
        if let Some(cwd) = &self.cwd {
            command = command.dir(cwd);
        }
        let handle = command.start().with_context(|| {
            let place = self.cwd.as_ref().map(|cwd| format!(" in {}", cwd.display())).unwrap_or_default();
            format!("cannot start {name}{place}")
        })?;
        let pid = handle.pids().first().copied().context("the child has no process id")?;
        let (running, ended) = channel();
        thread::Builder::new().name(format!("wait {pid}")).spawn(move || {
            let _ = processes::await_end(pid);
            drop(running);
        })?;
        Ok(Child { handle, pid, ended, drained })
    }

    fn environment(&self) -> BTreeMap<std::ffi::OsString, std::ffi::OsString> {
        let inherited = std::env::vars_os().filter(|(name, _)| match &self.inherits {
            Inherits::Everything => FORCING.iter().all(|forcing| name != forcing),
            Inherits::Only(names) => names.iter().any(|only| name == only.as_str()),
        });
        let plain = match &self.inherits {
            Inherits::Everything => &PLAIN[..],
            Inherits::Only(_) => &[],
        };
        let plain = plain.iter().map(|(name, value)| (name.into(), value.into()));
        inherited
            .chain(plain)
            .chain(self.env.iter().map(|(name, value)| (name.into(), value.expose().into())))
            .collect()
    }
}

/// How a child's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Exited(ExitStatus),
    /// At the time limit.
    TimedOut,
    /// Because the run is to stop.
    Stopped,
}

impl Child {
    /// Waits at most `limit` for the child itself to end; it stays unreaped. Whether it has ended.
    pub fn wait(&self, limit: Duration) -> bool {
        self.ended.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected)
    }

    /// Waits until the child ends, or ends it at `deadline` or once `stop` holds. Nothing of its group remains.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub fn finish(self, deadline: Instant, stop: &dyn Fn() -> bool, grace: Duration) -> Result<End> {
        let forced = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.wait(left.min(LOOK)) {
                break None;
            }
            if stop() {
                break Some(End::Stopped);
            }
            if left.is_zero() {
                break Some(End::TimedOut);
            }
        };
        if forced.is_some() {
            processes::signal_group(self.pid, Signal::TERM);
            self.wait(grace);
        }
        let status = self.reap(grace)?;
        Ok(forced.unwrap_or(End::Exited(status)))
    }

    /// Ends what is left of the group, TERM and after `grace` KILL, reaps the child and waits a moment for the rest
    /// of its output.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub fn reap(self, grace: Duration) -> Result<ExitStatus> {
        let ended = self.wait(Duration::ZERO);
        processes::signal_group(self.pid, if ended { Signal::TERM } else { Signal::KILL });
        let status = self.handle.wait().context("cannot wait for a child")?.status;
        let kill_at = Instant::now() + grace;
        while processes::group_runs(self.pid) && Instant::now() < kill_at + UNKILLABLE {
            if Instant::now() >= kill_at {
                processes::signal_group(self.pid, Signal::KILL);
            }
            thread::sleep(Duration::from_millis(5));
        }
        let drained_at = Instant::now() + DRAIN;
        for pipe in self.drained {
            let _ = pipe.recv_timeout(drained_at.saturating_duration_since(Instant::now()));
        }
        Ok(status)
    }
}

/// Reads lines until every writer has closed the pipe. A carriage return ends a line too: progress bars use it.
fn pump(mut pipe: PipeReader, sink: Sink, mask: Mask) -> Result<Receiver<()>> {
    let (sender, drained) = channel();
    thread::Builder::new().name("output".into()).spawn(move || {
        let mut buffer = [0_u8; 16 * 1024];
        let mut line: Vec<u8> = Vec::new();
        let mut looked = None;
        let put = |line: &mut Vec<u8>| {
            sink(&mask.hide(&String::from_utf8_lossy(line)));
            line.clear();
        };
        loop {
            let count = match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            // What the child writes, it may have read from a file a moment ago.
            if looked.is_none_or(|at: Instant| at.elapsed() >= LOOKED) {
                mask.refresh();
                looked = Some(Instant::now());
            }
            for byte in &buffer[..count] {
                match byte {
                    b'\n' => put(&mut line),
                    b'\r' if line.is_empty() => {}
                    b'\r' => put(&mut line),
                    byte => line.push(*byte),
                }
                if line.len() > LONGEST_LINE {
                    let hidden = mask.hide(&String::from_utf8_lossy(&line)).into_owned();
                    let wanted = hidden.len().saturating_sub(KEPT);
                    let cut = (0..=wanted).rev().find(|at| hidden.is_char_boundary(*at)).unwrap_or(0);
                    sink(&hidden[..cut]);
                    line = hidden.as_bytes()[cut..].to_vec();
                }
            }
        }
        if !line.is_empty() {
            put(&mut line);
        }
        let _ = sender.send(());
    })?;
    Ok(drained)
}
