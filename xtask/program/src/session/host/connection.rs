//! A host over the user's own `ssh`, so that `~/.ssh/config` says what the environment's file does not: port, key, jump
//! host; or `FLOWSHIP_SSH_CONFIG` names another file. Nothing is ever asked on the terminal, and a host must be known.

use std::env;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use signal_hook::consts::SIGHUP;
use vocabulary::model::environment::Host;

use super::scripts;
use foundation::exit::{Interrupted, ReportedAs, refused};
use foundation::interrupt::Interrupt;
use foundation::program_name::command_line;
use runner::plan::print::quoted;

/// The variable that names another configuration for `ssh` than the user's own.
const CONFIG: &str = "FLOWSHIP_SSH_CONFIG";
/// What `ssh` exits with when it fails itself.
const FAILED: i32 = 255;
/// A host that says nothing for a minute is gone.
const OPTIONS: [&str; 5] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
];
const LOOK: Duration = Duration::from_millis(20);

pub struct Connection<'a> {
    host: &'a Host,
}

impl<'a> Connection<'a> {
    pub fn to(host: &'a Host) -> Self {
        Self { host }
    }

    /// `USER@ADDRESS`
    pub fn name(&self) -> String {
        format!("{}@{}", self.host.ssh_user, self.host.address)
    }

    fn command(&self, script: &str, words: &[String]) -> Command {
        let mut ssh = Command::new("ssh");
        if let Some(file) = env::var_os(CONFIG).filter(|file| !file.is_empty()) {
            ssh.arg("-F").arg(file);
        }
        ssh.arg("-T").args(OPTIONS.iter().flat_map(|option| ["-o", option]));
        ssh.args(["-l", &self.host.ssh_user, "--", &self.host.address]);
        let words: String = words.iter().map(|word| format!(" {}", quoted(word))).collect();
        ssh.arg(format!("exec sh -c {} sh{words}", quoted(script)));
        // Ctrl-C is for this program alone, which may have something to stop over there.
        ssh.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ssh
    }

    fn start(&self, mut command: Command) -> Result<Child> {
        command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => refused(format!(
                "cannot find `ssh` to connect to {}; install the OpenSSH client",
                self.name()
            )),
            _ => anyhow!("cannot start ssh: {error}"),
        })
    }

    /// What a script writes.
    ///
    /// # Errors
    /// Refused when the host is unknown or denies the login; otherwise when it cannot be reached, or the script fails.
    pub fn ask(&self, script: &str, words: &[String], interrupt: &Interrupt) -> Result<String> {
        let read = |mut output: ChildStdout| {
            let mut answer = Vec::new();
            output.read_to_end(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        self.exchange(script, words, None, read, interrupt)
    }

    /// Gives a script something to read.
    ///
    /// # Errors
    /// As [`Self::ask`], or what is to be sent cannot be read.
    pub fn send(
        &self,
        script: &str,
        words: &[String],
        write: &mut (dyn FnMut(ChildStdin) -> Result<()> + Send),
        interrupt: &Interrupt,
    ) -> Result<()> {
        self.exchange(script, words, Some(write), |_| Ok(()), interrupt)
    }

    /// Reads what a script writes while it does.
    ///
    /// # Errors
    /// As [`Self::ask`], or as `read`.
    pub fn fetch(
        &self,
        script: &str,
        words: &[String],
        read: impl FnOnce(ChildStdout) -> Result<()> + Send,
        interrupt: &Interrupt,
    ) -> Result<()> {
        self.exchange(script, words, None, read, interrupt)
    }

    fn exchange<T: Send>(
        &self,
        script: &str,
        words: &[String],
        write: Option<&mut (dyn FnMut(ChildStdin) -> Result<()> + Send)>,
        read: impl FnOnce(ChildStdout) -> Result<T> + Send,
        interrupt: &Interrupt,
    ) -> Result<T> {
        let mut command = self.command(script, words);
        if write.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = self.start(command)?;
        let (input, output, error) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        thread::scope(|scope| {
            let written = write.zip(input).map(|(write, input)| scope.spawn(move || write(input)));
            let got = output.map(|output| scope.spawn(move || read(output)));
            let said = error.map(|mut error| {
                scope.spawn(move || {
                    let mut said = Vec::new();
                    error.read_to_end(&mut said).map(|_| String::from_utf8_lossy(&said).into_owned())
                })
            });
            let status = loop {
                if let Some(status) = child.try_wait()? {
                    break status;
                }
                if let Some(signal) = interrupt.signal() {
                    child.kill()?;
                    child.wait()?;
                    return Err(Interrupted { signal }.into());
                }
                thread::sleep(LOOK);
            };
            let said = said.and_then(|said| said.join().ok()).context("ssh has no output")??;
            if !status.success() {
                return Err(self.failed(status.code(), &said));
            }
            if let Some(written) = written {
                written.join().map_err(|_| anyhow!("sending to {} stopped unexpectedly", self.name()))??;
            }
            got.and_then(|got| got.join().ok()).context("ssh has no output")?
        })
    }

    fn failed(&self, code: Option<i32>, said: &str) -> anyhow::Error {
        let name = self.name();
        let said = said.trim();
        if code != Some(FAILED) {
            return anyhow!("{name}: {said}");
        }
        if said.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            return refused(format!(
                "the host key of {name} differs from the one in known_hosts; before you trust the new key, ask the host's \
                 administrator whether it was replaced"
            ));
        }
        if said.contains("Host key verification failed") {
            return refused(format!(
                "the host key of {name} is not in known_hosts; run `ssh {name}` once, and compare the fingerprint with the \
                 one that the host's administrator gives you"
            ));
        }
        if said.contains("Permission denied") {
            return refused(format!(
                "{name} refused the login ({said}); `ssh -o BatchMode=yes {name} true` must succeed without a prompt; set the \
                 user with ssh_user under [[hosts]], and the key in ~/.ssh/config"
            ));
        }
        anyhow!("cannot connect to {name}: {said}; try `ssh -v {name}`")
    }

    /// Runs a command of ours there: its output is that of this program, and its exit code too. The script first names its
    /// process. Ctrl-C stops the command there; a second one only stops following it.
    ///
    /// # Errors
    /// As the command exits; otherwise when the connection is lost.
    pub fn run(&self, script: &str, words: &[String], input: &[u8], interrupt: &Interrupt) -> Result<()> {
        let mut command = self.command(script, words);
        command.stdin(Stdio::piped());
        let mut child = self.start(command)?;
        let (stdin, output, error) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(input)));
            let shown = output.map(|output| scope.spawn(|| show(output, &process)));
            let said = error.map(|error| scope.spawn(|| pass_on(error, &process)));
            let mut heeded = interrupt.clone();
            let mut asked = false;
            let status = loop {
                if let Some(status) = child.try_wait()? {
                    break status;
                }
                if let Some(signal) = heeded.signal() {
                    let process = process.load(Ordering::SeqCst);
                    if asked || signal == SIGHUP || process == 0 {
                        child.kill()?;
                        child.wait()?;
                        eprintln!(
                            "disconnected from {}; a deploy that has started continues there; `{}` follows it",
                            self.name(),
                            command_line()
                        );
                        return Err(Interrupted { signal }.into());
                    }
                    (asked, heeded) = (true, heeded.heeded());
                    eprintln!(
                        "stopping the command on {}; press Ctrl-C again to disconnect without waiting",
                        self.name()
                    );
                    if let Err(error) = self.ask(scripts::STOP, &[process.to_string()], &heeded) {
                        eprintln!("warning: {error:#}");
                    }
                }
                thread::sleep(LOOK);
            };
            if let Some(Ok(Err(error))) = shown.map(thread::ScopedJoinHandle::join) {
                return Err(error);
            }
            let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
            if status.code() == Some(FAILED) && process.load(Ordering::SeqCst) == 0 {
                return Err(self.failed(status.code(), &said));
            }
            eprint!("{said}");
            match status.code() {
                Some(0) => Ok(()),
                Some(FAILED) | None => Err(anyhow!(
                    "the connection to {} was lost; a deploy that has started continues there; `{}` follows it",
                    self.name(),
                    command_line()
                )),
                Some(code) => Err(ReportedAs(u8::try_from(code).unwrap_or(1)).into()),
            }
        })
    }
}

/// Passes on what is said of a process. What was said without one is returned: it is about the connection.
fn pass_on(mut said: ChildStderr, process: &AtomicU32) -> String {
    let mut held = Vec::new();
    let mut part = [0; 4096];
    while let Ok(read @ 1..) = said.read(&mut part) {
        held.extend_from_slice(&part[..read]);
        if process.load(Ordering::SeqCst) != 0 {
            // Nobody reads it any more: what happens there matters more.
            let _ = io::stderr().write_all(&held);
            held.clear();
        }
    }
    String::from_utf8_lossy(&held).into_owned()
}

/// Shows what comes after the line that names a process. A shell that greets says other things before.
fn show(output: ChildStdout, process: &AtomicU32) -> Result<()> {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    while process.load(Ordering::SeqCst) == 0 {
        line.clear();
        if output.read_line(&mut line)? == 0 {
            return Ok(());
        }
        process.store(line.trim().parse().unwrap_or_default(), Ordering::SeqCst);
    }
    let mut out = io::stdout().lock();
    let mut part = [0; 64 * 1024];
    loop {
        let read = output.read(&mut part)?;
        if read == 0 {
            return Ok(());
        }
        out.write_all(&part[..read]).and_then(|()| out.flush()).context("cannot write to standard output")?;
    }
}
