//! The environment that the drill deploys to: its own, on free ports, gone at the end.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use vocabulary::model::environment::Environment;

use super::client::Client;
use super::model::Model;
use super::packages::Packages;
use crate::context::Context;
use crate::deployment::history::{self, Entry};
use crate::deployment::releases::Installed;
use crate::deployment::{Deployed, STATE};
use crate::engines::process::instance::{Instance, LOGS, METRICS, Record, socket};
use crate::engines::roll::edge_socket::{EdgeSocket, Server};
use crate::engines::roll::running::Running;
use crate::session::deployed::{State, report};
use crate::session::deployer;
use crate::session::opened::recorded;
use crate::session::running;
use foundation::files;
use foundation::files::remove;
use foundation::interrupt::Interrupt;
use foundation::processes::signal_process;
use runner::plan::mask::Mask;
use runner::plan::register;
use runner::plan::show::{OutputStyle, Show};
use runner::supervisor;
use rustix::process::Signal;

/// Replicas of the workers.
const REPLICAS: u32 = 2;

/// The folder of the logs of the last drill that failed, below the state folder.
const KEPT: &str = "drill-kept";

/// How long the edge may take to answer for its servers.
const ANSWER: Duration = Duration::from_secs(3);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// How long the workers may take until they are healthy.
const HEALTHY: Duration = Duration::from_secs(60);

/// The environment of one drill.
pub struct Target<'a> {
    context: &'a Context,
    interrupt: &'a Interrupt,
    deployed: Deployed,
    watch: Duration,
}

/// When a deploy is killed.
#[derive(Debug, Clone, Copy)]
pub struct Kill {
    pub after: Duration,
    /// Also the process that the supervisor runs for the command, where there is one by then.
    pub deployer: bool,
}

/// How a command that rolls something out ended.
pub struct Ended {
    /// None when it was killed.
    pub code: Option<i32>,
    pub took: Duration,
    /// Milliseconds from the failed step to the end of undoing.
    pub undoing_ms: Option<u64>,
    /// What it said, for when that was not expected.
    pub said: String,
}

/// What `deploy --json` prints.
#[derive(Deserialize)]
struct Printed {
    report: Report,
}

#[derive(Deserialize)]
struct Report {
    duration_ms: u64,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    status: String,
    started_ms: u64,
    duration_ms: u64,
}

/// What a replica says of itself.
#[derive(Deserialize)]
struct Said {
    status: String,
    release: Option<String>,
}

impl<'a> Target<'a> {
    /// Writes the environment's file into the tree that releases are made of. Its name begins with `purpose`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(
        context: &'a Context,
        interrupt: &'a Interrupt,
        purpose: &str,
        packages: &Packages,
        model: &Model,
        watch: Duration,
    ) -> Result<Self> {
        let name = register::own(purpose);
        let settings = format!(
            "tier = \"staging\"\nengine = \"process\"\ndomain = \"localhost\"\n\n[sizes.{}]\nreplicas = {REPLICAS}\n\n\
             [llm]\nbase_url = \"{}\"\nmodel = \"{}\"\napi_key_file = \"{}\"\n",
            context.platform.workers.service(),
            model.url,
            context.platform.llm.model,
            model.key_file.display(),
        );
        let file = format!("ops/environments/{name}.toml");
        packages.change(&|tree| files::write::whole(&tree.join(&file), 0o644, &settings))?;
        let deployed = Deployed { name, state: context.state().to_owned() };
        Ok(Self { context, interrupt, deployed, watch })
    }

    /// Has its commands leave their metrics in this folder, which somebody watches.
    ///
    /// # Errors
    /// It has some of its own already.
    pub fn leave_metrics_in(&self, folder: &Path) -> Result<()> {
        let own = self.deployed.folder();
        std::fs::create_dir_all(&own)?;
        Ok(symlink(folder, own.join(METRICS))?)
    }

    fn command(&self, packages: &Packages, arguments: &[&str]) -> Command {
        let mut command = Command::new(&packages.program);
        command.arg("--root").arg(&packages.tree).arg("--json").args(arguments);
        command.arg(&self.deployed.name);
        command.env(STATE, &self.deployed.state).stdin(Stdio::null());
        command
    }

    /// Deploys a release; kills the command after `kill`, and where it says so the process that it has started for that.
    ///
    /// # Errors
    /// It cannot be started, or the drill is interrupted.
    pub fn deploy(&self, packages: &Packages, release: &Path, kill: Option<Kill>) -> Result<Ended> {
        let mut command = self.command(packages, &["deploy"]);
        command.args(["--watch", &self.watch.as_secs().to_string(), "--unsigned", "--bundle"]).arg(release);
        self.finish(command, kill)
    }

    /// Removes the files of the release that runs as soon as a replica of another one answers.
    ///
    /// # Errors
    /// None answers before `given_up`, or they cannot be removed.
    pub fn lose_release(&self, given_up: &dyn Fn() -> bool) -> Result<()> {
        let history = self.history()?;
        let current = history::current(&history).context("nothing was deployed")?;
        let is_other = |(_, said): &(String, Option<Said>)| {
            said.as_ref().and_then(|said| said.release.as_deref()).is_some_and(|release| release != current)
        };
        while !self.workers()?.iter().any(is_other) {
            if given_up() {
                bail!("no replica of another release than {current} answered");
            }
            std::thread::sleep(LOOK);
        }
        remove(&Installed::at(&self.deployed.releases(), current).folder)
    }

    /// Rolls back, and watches the result for as long as users do: it is timed.
    ///
    /// # Errors
    /// As [`Target::deploy`].
    pub fn roll_back(&self, packages: &Packages) -> Result<Ended> {
        self.finish(self.command(packages, &["rollback"]), None)
    }

    fn finish(&self, mut command: Command, kill: Option<Kill>) -> Result<Ended> {
        let folder = self.deployed.folder();
        std::fs::create_dir_all(&folder)?;
        let [out, err] = ["drill-stdout", "drill-stderr"].map(|name| folder.join(name));
        let begun = Instant::now();
        let mut child = command
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .spawn()
            .context("cannot start this program")?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if let Some(kill) = kill.filter(|kill| begun.elapsed() >= kill.after) {
                if kill.deployer {
                    self.kill(&|name| name == deployer::NAME)?;
                }
                child.kill()?;
            }
            self.heed(&mut child)?;
            std::thread::sleep(Duration::from_millis(5));
        };
        let read = |path: &Path| files::text(path, files::ARCHIVE).unwrap_or_default();
        let printed: Option<Printed> = serde_json::from_str(&read(&out)).ok();
        let failed = printed.as_ref().and_then(|printed| {
            let step = printed.report.steps.iter().find(|step| step.status == "failed")?;
            Some(printed.report.duration_ms.saturating_sub(step.started_ms + step.duration_ms))
        });
        Ok(Ended {
            code: if status.signal().is_some() { None } else { status.code() },
            took: begun.elapsed(),
            undoing_ms: failed,
            said: read(&err),
        })
    }

    /// Ends a child when the drill is to end.
    fn heed(&self, child: &mut Child) -> Result<()> {
        if !self.interrupt.raised() {
            return Ok(());
        }
        // As Ctrl-C: it undoes what it has done.
        signal_process(child.id(), Signal::TERM);
        child.wait()?;
        bail!("interrupted");
    }

    /// The history of the environment.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn history(&self) -> Result<Vec<Entry>> {
        history::read(&self.deployed.folder())
    }

    fn units(&self) -> Result<(Environment, Record)> {
        let bytes = files::read(&self.deployed.site()?, files::TEXT)?.bytes;
        let environment = self.deployed.judged(self.context.platform, bytes)?;
        let (_, record) = recorded(self.context, &self.deployed.name)?.context("nothing runs")?;
        Ok((environment, record))
    }

    /// The release that runs, with its ports and the environment that it runs in.
    ///
    /// # Errors
    /// Nothing is deployed.
    pub fn instance(&self) -> Result<(Environment, Instance)> {
        let (environment, Record { ports, .. }) = self.units()?;
        let history = self.history()?;
        let current = history::current(&history).context("nothing was deployed")?;
        let release = Installed::at(&self.deployed.releases(), current);
        let (root, identity) = (release.tree(), release.identity()?);
        let folder = self.deployed.folder();
        Ok((environment, Instance { root, folder, ports, release: Some(identity) }))
    }

    /// Ends the workers; everything else goes on.
    ///
    /// # Errors
    /// One cannot be ended.
    pub fn end_workers(&self) -> Result<()> {
        let supervisor = running::supervisor(self.context, &self.deployed.name);
        let client = supervisor::Client::connect(&supervisor)?.context("the supervisor is gone")?;
        self.workers()?.into_iter().try_for_each(|(name, _)| client.remove(&name.as_str().into()))
    }

    /// A client of the API, through the edge.
    ///
    /// # Errors
    /// Nothing is deployed.
    pub fn client(&self) -> Result<Client> {
        let https = self.context.platform.edge.https;
        let (environment, record) = self.units()?;
        let units = self.context.platform.slots(&environment);
        let edge = units.iter().find(|unit| unit.service.id == https.service);
        let port = edge.and_then(|unit| record.ports.get(&socket(unit, https.name)));
        self.client_at(*port.context("the edge has no port")?)
    }

    /// A client of what serves the API on this port, as the edge does.
    ///
    /// # Errors
    /// Nothing is deployed.
    pub fn client_at(&self, port: u16) -> Result<Client> {
        let platform = self.context.platform;
        let (environment, _) = self.units()?;
        let secrets = self.deployed.folder().join("secrets");
        let key = Mask::default().read_file(&secrets.join(platform.workers.api_key.0))?;
        Client::new(
            format!("https://{}:{port}", environment.domain),
            key,
            secrets.join(platform.edge.certificate.0),
        )
    }

    /// What is wrong with what serves, when that should be this release: so many replicas of it are ready, and no other.
    ///
    /// # Errors
    /// The platform does not run.
    pub fn serves(&self, release: &str) -> Result<Option<String>> {
        let mut problems = Vec::new();
        let running = self.workers()?;
        for (unit, said) in &running {
            match said {
                Some(Said { status, release: Some(found) }) if status == "ready" && found == release => {}
                Some(Said { status, release }) => {
                    problems
                        .push(format!("{unit} is {status} with {}", release.as_deref().unwrap_or("none")));
                }
                None => problems.push(format!("{unit} does not answer")),
            }
        }
        for server in self.servers()? {
            let runs = running.iter().any(|(unit, _)| *unit == server.name);
            if runs && !server.status.starts_with("UP") {
                problems.push(format!("{} is {} for the edge", server.name, server.status));
            }
        }
        if running.len() != REPLICAS as usize {
            problems.push(format!("{} replicas run; expected {REPLICAS}", running.len()));
        }
        Ok((!problems.is_empty()).then(|| format!("expected {release} to serve: {}", problems.join(", "))))
    }

    /// The replicas as the edge sees them.
    fn servers(&self) -> Result<Vec<Server>> {
        self.edge_socket()?.servers()
    }

    /// The process of the edge that serves.
    ///
    /// # Errors
    /// The edge does not answer.
    pub fn edge_process(&self) -> Result<u32> {
        let processes = self.edge_socket()?.processes()?;
        processes.workers.first().copied().context("the edge has no worker")
    }

    fn edge_socket(&self) -> Result<EdgeSocket> {
        let (environment, _) = self.units()?;
        let platform = self.context.platform;
        let units = platform.units(&environment);
        let edge = units.iter().find(|unit| platform.is_edge(unit)).context("no edge runs")?;
        let folder = self.deployed.folder().join("data").join(edge.name()).join(platform.edge.folder.name);
        Ok(EdgeSocket { folder, limit: ANSWER })
    }

    /// The replicas of the workers that the supervisor knows, and what each reports.
    fn workers(&self) -> Result<Vec<(String, Option<Said>)>> {
        let platform = self.context.platform;
        let state = State::of(self.context, &self.deployed)?;
        let said = |running: &Running| serde_json::from_value(report(platform, &running.status)?).ok();
        let workers = state.workers(platform).into_iter();
        Ok(workers.map(|(name, running)| (name.to_owned(), said(running))).collect())
    }

    /// Kills every worker at once, as if nothing were ever drained, and waits until they are back.
    ///
    /// # Errors
    /// They do not come back.
    pub fn kill_workers(&self) -> Result<()> {
        let names: Vec<String> = self.workers()?.into_iter().map(|(name, _)| name).collect();
        self.kill(&|name| names.iter().any(|known| known == name))?;
        let give_up = Instant::now() + HEALTHY;
        loop {
            std::thread::sleep(LOOK);
            let ready = |said: &Option<Said>| said.as_ref().is_some_and(|said| said.status == "ready");
            if self.workers()?.iter().all(|(_, said)| ready(said)) {
                return Ok(());
            }
            if self.interrupt.raised() || Instant::now() >= give_up {
                bail!("the killed workers were not ready again after {} s", HEALTHY.as_secs());
            }
        }
    }

    /// Kills the supervised processes with these names, where a supervisor runs.
    fn kill(&self, is_meant: &dyn Fn(&str) -> bool) -> Result<()> {
        let supervisor = running::supervisor(self.context, &self.deployed.name);
        let Some(client) = supervisor::Client::connect(&supervisor)? else { return Ok(()) };
        for status in client.status()?.0.iter().filter(|status| is_meant(&status.name.0)) {
            if let Some(pid) = status.pid {
                signal_process(pid, Signal::KILL);
            }
        }
        Ok(())
    }

    /// Takes everything down, and keeps logs and history where `keep` says so.
    ///
    /// # Errors
    /// Something cannot be ended or removed.
    pub fn end(&self, keep: bool, show: &Show) -> Result<()> {
        let folder = self.deployed.folder();
        let quiet = Show::to(OutputStyle::Plain, Box::new(std::io::sink()));
        running::bring_down(self.context, &self.deployed.name, &quiet, &self.interrupt.heeded())?;
        if keep {
            let kept = self.context.state().join(KEPT);
            remove(&kept)?;
            std::fs::create_dir_all(&kept)?;
            for part in [LOGS, "log", history::FILE, "drill-stdout", "drill-stderr"] {
                if folder.join(part).exists() {
                    std::fs::rename(folder.join(part), kept.join(part))?;
                }
            }
            show.say(&format!("logs and history are kept in {}", kept.display()));
        }
        remove(&folder)
    }
}
