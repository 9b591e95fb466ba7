//! kamal-proxy, and replicas that it switches between: two of the deployed release, as Kamal does it. New ones are started,
//! `kamal-proxy deploy` waits for their health, sends requests to them and drains the old ones, and these get SIGTERM.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use vocabulary::model::VolumeRef;
use vocabulary::model::environment::Environment;

use super::flows;
use crate::context::Context;
use crate::engines::process::instance::{ADDRESS, Instance, socket, sockets};
use crate::engines::process::{ports, resolve::Resolver};
use crate::load_test::process;
use crate::load_test::target::Target;
use crate::tools::{Program, Toolbox};
use foundation::interrupt::Interrupt;
use foundation::processes::signal_process;
use rustix::process::Signal;

/// What it calls its service.
const SERVICE: &str = "bench";

/// Replicas that serve; as many more are started by a deploy.
const SERVING: usize = 2;

/// How long it may take until it can be asked, and how long a replica may take to end.
const LIMIT: Duration = Duration::from_secs(60);

const LOOK: Duration = Duration::from_millis(20);

pub struct Peer<'a> {
    context: &'a Context,
    toolbox: &'a Toolbox,
    interrupt: &'a Interrupt,
    environment: Environment,
    instance: Instance,
    /// A slow request is not to be what it gives up.
    answer_limit_seconds: u32,
    program: PathBuf,
    /// Its settings and its socket.
    folder: PathBuf,
    /// Of HTTPS.
    pub port: u16,
    proxy: Child,
    replicas: Vec<Child>,
    deploys: usize,
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        for child in self.replicas.iter_mut().chain([&mut self.proxy]) {
            // None has state that needs a clean exit.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl<'a> Peer<'a> {
    /// Starts it, with one deploy done. Everything but the workers of the target still runs.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(
        context: &'a Context,
        toolbox: &'a Toolbox,
        interrupt: &'a Interrupt,
        target: &Target<'_>,
        slow_seconds: u32,
        folder: &Path,
    ) -> Result<Self> {
        let (mut environment, instance) = target.instance()?;
        let workers = context.platform.workers.service().to_string();
        environment.sizes.entry(workers).or_default().replicas = Some(2 * SERVING as u32);
        let folder = folder.join("kamal");
        fs::create_dir_all(&folder)?;
        let program = toolbox.path(Program::KamalProxy)?;
        let free =
            || -> Result<u16> { Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port()) };
        let (http, port) = (free()?, free()?);
        let proxy = at(&folder, &program)
            .args(["run", "--http-port", &http.to_string(), "--https-port", &port.to_string()])
            .stdout(fs::File::create(folder.join("stdout"))?)
            .spawn()
            .context("starting kamal-proxy")?;
        let mut peer = Self {
            context,
            toolbox,
            interrupt,
            environment,
            instance,
            answer_limit_seconds: slow_seconds + 60,
            program,
            folder,
            port,
            proxy,
            replicas: Vec::new(),
            deploys: 0,
        };
        let give_up = Instant::now() + LIMIT;
        while !peer.command().arg("list").output()?.status.success() {
            peer.pause(give_up, "kamal-proxy to answer")?;
        }
        peer.deploy()?;
        Ok(peer)
    }

    fn command(&self) -> Command {
        at(&self.folder, &self.program)
    }

    /// Replaces the replicas.
    ///
    /// # Errors
    /// The new ones do not become healthy, or the old ones do not end.
    pub fn deploy(&mut self) -> Result<()> {
        let (replicas, targets) = self.begin()?;
        let old = std::mem::replace(&mut self.replicas, replicas);
        let platform = self.context.platform;
        let certificate = self.instance.secret(platform.edge.certificate);
        let mut command = self.command();
        command.args(["deploy", SERVICE, "--host", &self.environment.domain, "--tls"]);
        command
            .arg("--tls-certificate-path")
            .arg(&certificate)
            .arg("--tls-private-key-path")
            .arg(&certificate);
        command.args(["--health-check-path", &flows::path(platform, flows::UP)]);
        command.args(["--target-timeout", &format!("{}s", self.answer_limit_seconds)]);
        command.args(targets.iter().flat_map(|target| ["--target", target]));
        let done = command.output().context("starting kamal-proxy")?;
        // What is not its own any more ends whatever came of it.
        self.end(old)?;
        if !done.status.success() {
            bail!("kamal-proxy deploy: {}", String::from_utf8_lossy(&done.stderr).trim());
        }
        self.deploys += 1;
        Ok(())
    }

    /// Starts new replicas, and says where they are.
    fn begin(&mut self) -> Result<(Vec<Child>, Vec<String>)> {
        let platform = self.context.platform;
        let units = platform.units(&self.environment);
        let workers = units.iter().filter(|unit| platform.is_worker(unit));
        let turn = workers.skip(self.deploys % 2 * SERVING).take(SERVING);
        let (mut replicas, mut targets) = (Vec::new(), Vec::new());
        let free = ports::any_free(&sockets(&units, &self.environment))?;
        for unit in turn {
            let mut instance = self.instance.clone();
            let own = format!("{}.", unit.name());
            instance.ports.extend(free.clone().into_iter().filter(|(key, _)| key.starts_with(&own)));
            for volume in &unit.service.volumes {
                let volume = VolumeRef { service: unit.service.id, name: volume.name };
                fs::create_dir_all(instance.volume(unit, volume))?;
            }
            let resolver =
                Resolver { platform, environment: &self.environment, instance: &instance, units: &units };
            let child = process::command(self.toolbox, &resolver, unit)?.spawn();
            replicas.push(child.with_context(|| format!("starting {}", unit.name()))?);
            targets.push(format!("{ADDRESS}:{}", instance.ports[&socket(unit, platform.workers.flows.name)]));
        }
        Ok((replicas, targets))
    }

    fn end(&self, mut replicas: Vec<Child>) -> Result<()> {
        for replica in &replicas {
            signal_process(replica.id(), Signal::TERM);
        }
        let give_up = Instant::now() + LIMIT;
        for replica in &mut replicas {
            while replica.try_wait()?.is_none() {
                self.pause(give_up, "an old replica to end")?;
            }
        }
        Ok(())
    }

    fn pause(&self, give_up: Instant, what: &str) -> Result<()> {
        if self.interrupt.raised() {
            bail!("interrupted");
        }
        if Instant::now() >= give_up {
            bail!("waited {} s in vain for {what}", LIMIT.as_secs());
        }
        std::thread::sleep(LOOK);
        Ok(())
    }
}

/// With its files in this folder only.
fn at(folder: &Path, program: &Path) -> Command {
    let mut command = Command::new(program);
    for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "TMPDIR"] {
        command.env(variable, folder);
    }
    command.stdin(Stdio::null());
    command
}
