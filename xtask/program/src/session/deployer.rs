//! The process that rolls a release out. It belongs to the environment's supervisor and not to the command that asked for
//! it: a lost connection or a killed command changes nothing, and one that is killed itself is started again and goes on
//! from what it finds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use signal_hook::consts::SIGHUP;

use super::deploying::Wanted;
use crate::deployment::history::Entry;
use crate::deployment::releases::Installed;
use crate::deployment::{Deployed, STATE};
use crate::engines::process::instance::{LOGS, supervisor_of};
use foundation::exit::{self, Interrupted, Reported, refused};
use foundation::files;
use foundation::interrupt::Interrupt;
use foundation::program_name::{PROGRAM, TYPED, command_line};
use runner::plan::argument::Arg;
use runner::plan::lock::{self, Holder, Lock};
use runner::plan::service::{LogFile, ProcessSpec, Restart, RestartPolicy, Stop, StopSignal};
use runner::supervisor::protocol::{ServiceStatus, State};
use runner::supervisor::{Client, outliving_variables, tail};

/// What the supervisor calls it.
pub const NAME: &str = "deploy";
/// Milliseconds for undoing what was done, after somebody stopped it.
const UNDO_MS: u64 = 300_000;
/// So often its log is read once more after its end.
const LAST_PASSES: usize = 2;
const LOOK: Duration = Duration::from_millis(50);

/// How it ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ended {
    /// As the command exits.
    pub code: u8,
    /// Why it did not begin, or could not go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<serde_json::Value>,
}

/// Where it says how it ended.
fn result_in(folder: &Path) -> PathBuf {
    folder.join("deploy.json")
}

/// Leaves how it ended for the command that asked.
///
/// # Errors
/// It cannot be written.
pub fn leave(deployed: &Deployed, ended: &Ended) -> Result<()> {
    files::write::whole(&result_in(&deployed.folder()), 0o600, serde_json::to_vec(ended)?)
}

/// The words that call the release's own program.
pub fn command(deployed: &Deployed, installed: &Installed, site: &Path, wanted: &Wanted) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    let mut argv = vec![path(&installed.program()), "--root".to_owned(), path(&installed.tree())];
    argv.extend(["deploy", &deployed.name, "--installed"].map(str::to_owned));
    argv.extend([path(&installed.folder), "--site".to_owned(), path(site)]);
    argv.extend(wanted.words());
    argv
}

/// Starts it, or finds the one that already does the same, and follows it to its end. Ctrl-C stops it, and it undoes what
/// it has done; when the connection of this command is lost, it goes on.
///
/// # Errors
/// When it cannot be started, another one is at work, or it is given up.
pub fn run(deployed: &Deployed, installed: &Installed, site: &Path, wanted: &Wanted) -> Result<Ended> {
    let log = deployed.folder().join(LOGS).join(format!("{NAME}.log"));
    let interrupt = Interrupt::listen()?;
    let client = Client::start_by(&installed.program(), &supervisor_of(&deployed.folder()))?;
    let spec = spec(deployed, installed, site, wanted, &log);
    start(deployed, &client, &spec)?;
    follow(deployed, &client, &log, &interrupt)
}

fn spec(deployed: &Deployed, installed: &Installed, site: &Path, wanted: &Wanted, log: &Path) -> ProcessSpec {
    // As the command itself: proxies and caches of whoever called it.
    let mut env: BTreeMap<String, Arg> = outliving_variables()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, Arg::from(value.into_string().ok()?))))
        .collect();
    env.insert(STATE.to_owned(), deployed.state.display().to_string().into());
    ProcessSpec {
        name: NAME.into(),
        argv: command(deployed, installed, site, wanted).into_iter().map(Arg::from).collect(),
        env,
        cwd: deployed.folder(),
        restart: Restart { policy: RestartPolicy::OnFailure, ..Restart::default() },
        stop: Stop { signal: StopSignal::Term, grace_ms: UNDO_MS },
        log: LogFile { path: log.to_owned(), ..LogFile::default() },
        ..ProcessSpec::default()
    }
}

/// While the lock is held, no deploy begins, and none is at work. Every command takes it that changes what a deploy changes.
///
/// # Errors
/// As [`refuse_at_work`].
pub fn hold_off(deployed: &Deployed) -> Result<Lock> {
    let lock = take(deployed)?;
    refuse_at_work(deployed)?;
    Ok(lock)
}

/// # Errors
/// A deploy, or another command that changes the environment, is at work; the error names it. A deploy is also while its
/// process holds no lock: before its plan begins, or when it was killed and is about to be started again.
pub fn refuse_at_work(deployed: &Deployed) -> Result<()> {
    lock::refuse_held(&deployed.lock())?;
    let Some(client) = Client::connect(&supervisor_of(&deployed.folder()))? else { return Ok(()) };
    match at_work(&client)? {
        Some(other) => Err(already(deployed, &other)),
        None => Ok(()),
    }
}

fn take(deployed: &Deployed) -> Result<Lock> {
    let folder = deployed.folder().join("starting");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Lock::take(&folder.join("lock"), &Holder::this(&command_line()))
}

fn start(deployed: &Deployed, client: &Client, spec: &ProcessSpec) -> Result<()> {
    // Of two that begin at the same time, one finds the other at work.
    let lock = take(deployed)?;
    match at_work(client)? {
        Some(other) if same(&other, spec) => {
            eprintln!("this deploy is already running: following it");
            return Ok(());
        }
        Some(other) => return Err(already(deployed, &other)),
        None => {}
    }
    let result = result_in(&deployed.folder());
    if let Some(error) =
        fs::remove_file(&result).err().filter(|error| error.kind() != std::io::ErrorKind::NotFound)
    {
        return Err(error).with_context(|| result.display().to_string());
    }
    client.remove(&spec.name)?;
    client.start(spec)?;
    drop(lock);
    Ok(())
}

/// The deploy that runs, or is about to be started again.
fn at_work(client: &Client) -> Result<Option<ProcessSpec>> {
    let found = client.status()?.0.into_iter().find(|status| status.name.0 == NAME);
    let lives =
        |status: &ServiceStatus| matches!(status.state, State::Running | State::BackingOff | State::Stopping);
    found.filter(lives).map(|status| client.spec(&status.name)).transpose()
}

fn already(deployed: &Deployed, other: &ProcessSpec) -> anyhow::Error {
    let typed = other.argv.iter().skip_while(|word| **word != Arg::from(TYPED)).nth(1);
    let what = match typed {
        Some(Arg::Literal(typed)) => typed,
        _ => "another command",
    };
    refused(format!(
        "`{what}` is already deploying to {}; wait until it has ended: `{PROGRAM} status {0}`",
        deployed.name
    ))
}

/// Whether they do the same, whoever asked and with whatever words.
fn same(one: &ProcessSpec, other: &ProcessSpec) -> bool {
    let words = |spec: &ProcessSpec| {
        let typed = spec.argv.iter().position(|word| *word == Arg::from(TYPED));
        spec.argv[..typed.unwrap_or(spec.argv.len())].to_vec()
    };
    words(one) == words(other)
}

fn follow(deployed: &Deployed, client: &Client, log: &Path, interrupt: &Interrupt) -> Result<Ended> {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // What was written before the end is still to be shown.
            let passes = AtomicUsize::new(0);
            let shown_all =
                || ended.load(Ordering::SeqCst) && passes.fetch_add(1, Ordering::SeqCst) >= LAST_PASSES;
            let shown = tail(log, 0, true, &shown_all, &mut |line| eprintln!("{line}"));
            if let Err(error) = shown {
                eprintln!("warning: {error:#}");
            }
        });
        let outcome = wait(deployed, client, log, interrupt);
        ended.store(true, Ordering::SeqCst);
        outcome
    })
}

fn wait(deployed: &Deployed, client: &Client, log: &Path, interrupt: &Interrupt) -> Result<Ended> {
    let name = NAME.into();
    loop {
        let status = client.status()?.0.into_iter().find(|status| status.name.0 == NAME);
        match status.as_ref().map(|status| status.state) {
            Some(State::Running | State::BackingOff | State::Stopping) => {}
            // Another command that followed it has removed it.
            None | Some(State::Ended | State::Stopped | State::Failed) => {
                let path = result_in(&deployed.folder());
                let Some(text) = files::if_there(files::text(&path, files::TEXT))? else {
                    let reason = status.and_then(|status| status.reason).unwrap_or_default();
                    bail!("the deploy ended without a result: {reason}; see its log: {}", log.display());
                };
                let mut ended: Ended =
                    serde_json::from_str(&text).with_context(|| path.display().to_string())?;
                // What stopped it was this command, by what stopped that.
                if let Some(signal) = interrupt.signal().filter(|_| ended.code > 128) {
                    ended.code = exit::code(&Interrupted { signal }.into());
                }
                // Its spec has the variables of whoever called it.
                client.remove(&name)?;
                return Ok(ended);
            }
        }
        if interrupt.signal() == Some(SIGHUP) {
            return Err(Interrupted { signal: SIGHUP }.into());
        }
        if interrupt.raised() {
            eprintln!("stopping: undoing the steps so far");
            client.stop(&name)?;
            continue;
        }
        thread::sleep(LOOK);
    }
}

impl Ended {
    /// What the command returns once everything was shown.
    ///
    /// # Errors
    /// With the exit code that the deploy ended with.
    pub fn into_result(self) -> Result<()> {
        match (self.code, self.error) {
            (0, _) => Ok(()),
            (code, _) if code > 128 => Err(Interrupted { signal: i32::from(code) - 128 }.into()),
            (2, Some(error)) => Err(refused(error)),
            (_, Some(error)) => Err(anyhow!(error)),
            (_, None) => Err(Reported.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::history::Change;

    fn spec_of(id: &str, command: &str) -> ProcessSpec {
        let deployed = Deployed { name: "qa".to_owned(), state: "/state".into() };
        let wanted = Wanted {
            change: Change::Deploy,
            watch: Duration::from_secs(1),
            dry_run: false,
            command: command.to_owned(),
            instead: None,
            by: "ada@laptop".to_owned(),
        };
        let installed = Installed::at(&deployed.releases(), id);
        spec(
            &deployed,
            &installed,
            Path::new("/state/qa/site.toml"),
            &wanted,
            Path::new("/state/qa/deploy.log"),
        )
    }

    #[test]
    fn the_same_deploy_is_followed_whoever_typed_it() {
        let one = spec_of("1.0.0-a", "flowship deploy qa");
        assert!(same(&one, &spec_of("1.0.0-a", "cargo xtask deploy qa --watch 1")));
        assert!(!same(&one, &spec_of("2.0.0-b", "flowship deploy qa")));
        assert_eq!(one.argv[0], Arg::from("/state/qa/releases/1.0.0-a/tree/flowship"));
        assert!(one.validate().is_empty());
    }

    #[test]
    fn the_command_ends_as_the_deploy_did() {
        for (code, error) in
            [(0, None), (1, None), (1, Some("x")), (2, Some("x")), (130, None), (143, Some("x"))]
        {
            let ended = Ended { code, error: error.map(str::to_owned), entry: None, report: None };
            let result = ended.into_result();
            assert_eq!(result.as_ref().err().map_or(0, exit::code), code, "{result:?}");
        }
    }
}
