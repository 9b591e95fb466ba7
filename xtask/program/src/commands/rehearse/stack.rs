//! The environment of a rehearsal: the project, its secrets, its addresses.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use vocabulary::model::environment::Environment;
use vocabulary::model::topology::{Binding, Scope, Topology, Unit};
use vocabulary::model::{Exposure, Lifetime, Platform, Port, PortRef};

use crate::context::Context;
use crate::engines::compose::Compose;
use crate::engines::compose::observe::{Observed, free_prefix};
use crate::engines::compose::project::Project;
use crate::engines::compose::rehearsal::TARGET;
use crate::engines::process::instance::Ports;
use crate::engines::process::{certificate, ports, secret_files};
use crate::engines::{Engine as _, Intent, Place};
use crate::images::engine::Engine as Client;
use crate::session::operations::Target;
use crate::session::rehearsal::but_one;
use crate::tools::Toolbox;
use artifacts::containers::site;
use foundation::exit::refused;
use foundation::interrupt::Interrupt;
use runner::plan::action::Exec;
use runner::plan::argument::Arg;

/// The only address of this machine that gets the public ports.
pub const PUBLIC: &str = "127.0.0.1";

pub struct Stack {
    /// The repository.
    pub root: PathBuf,
    pub platform: &'static Platform,
    environment: Environment,
    pub toolbox: Toolbox,
    pub engine: Client,
    pub seen: Observed,
    pub ports: Ports,
    pub secrets: PathBuf,
}

impl Stack {
    /// Checks that everything the rehearsal needs is there; changes nothing.
    ///
    /// # Errors
    /// Every problem at once, each with what to do.
    pub fn prepare(context: &Context, replicas: Option<u32>) -> Result<Self> {
        let platform = context.platform;
        let toolbox = Toolbox::open(context)?;
        let mut problems = Vec::new();
        for program in ["openssl", "nsenter", "bash"] {
            if which::which(program).is_err() {
                problems.push(format!(
                    "{program} is not on PATH: install it (Debian: openssl, util-linux, bash)"
                ));
            }
        }
        if !rustix::process::geteuid().is_root() {
            problems.push(
                "only root can measure from inside a container's network; run this command as root"
                    .to_owned(),
            );
        }
        // The default production environment, without a model provider.
        let mut environment = Environment { name: TARGET.to_owned(), ..Scope::Rehearsal.environment() };
        environment.sizes.entry(platform.workers.service().to_string()).or_default().replicas = replicas;
        let ports = ports::any_free(&Compose.sockets(platform, &environment))?;
        let place = Place { context, target: TARGET, ports: &ports, release: None };
        let intent = Intent::BringUp { watches: false, inspect: None };
        let seen = Compose
            .observe(&place, &intent, platform, &environment)
            .map_err(|error| problems.push(format!("{error:#}")))
            .ok();
        let (Some(seen), true) = (seen, problems.is_empty()) else {
            return Err(refused(problems.join("\n")));
        };
        let secrets = seen.instance.secrets();
        Ok(Self {
            root: context.root.clone(),
            toolbox,
            engine: Client::find()?,
            seen,
            ports,
            secrets,
            platform,
            environment,
        })
    }

    /// The engine's events for a container since a moment, one per line.
    ///
    /// # Errors
    /// The engine cannot be asked.
    pub fn events(&self, container: &str, format: &str, since: &str) -> Result<String> {
        let (filter, until) = (format!("container={container}"), now()?);
        let argv = ["events", "--since", since, "--until", &until, "--filter", &filter, "--format", format];
        Ok(self.engine.ask(&argv)?.stdout)
    }

    pub fn topology(&self) -> Topology<'_> {
        Topology::in_environment(self.platform, &self.environment)
    }

    /// The first replica of the workers.
    ///
    /// # Errors
    /// None runs.
    pub fn worker<'a>(&self, topology: &'a Topology<'a>) -> Result<&'a Unit<'a>> {
        Ok(topology.first(self.platform.workers.service())?)
    }

    /// Makes new secrets for this run; the certificate is for the loopback address.
    ///
    /// # Errors
    /// A file cannot be written, or openssl fails.
    pub fn make_secrets(&self) -> Result<Vec<String>> {
        if self.secrets.exists() {
            fs::remove_dir_all(&self.secrets).with_context(|| self.secrets.display().to_string())?;
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.secrets)?;
        let topology = self.topology();
        let mut made = Vec::new();
        for secret in &self.platform.secrets {
            let read = |unit: &Unit<'_>| unit.service.secrets.iter().any(|used| used.secret == secret.name);
            if !topology.units.iter().any(read) {
                continue;
            }
            let path = self.secrets.join(secret.name.0);
            if secret.name == self.platform.edge.certificate {
                certificate::ensure(&path, &self.environment, &self.root)?;
            } else {
                secret_files::make(&path, secret)?;
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
            made.push(format!("made {}", secret.name));
        }
        Ok(made)
    }

    /// # Errors
    /// A replica did not pass.
    pub fn smoke(&self, interrupt: &Interrupt) -> Result<Vec<String>> {
        let topology = self.topology();
        let token = self.secrets.join(self.platform.workers.operations_token.0);
        let mut told = Vec::new();
        for unit in topology.units.iter().filter(|unit| unit.service.id == self.platform.workers.service()) {
            let port = self.port(self.platform.workers.operations);
            let address = self.bound(&topology, unit, port).context("the operations port is not bound")?;
            let url = format!("http://{address}:{}", port.number);
            let target = Target::at(&url, &token);
            let table = target.prove(self.platform, &|| interrupt.raised()).with_context(|| unit.name())?;
            told.push(format!("{} at {url}\n{table}", unit.name()));
        }
        Ok(told)
    }

    /// Removes one secret file and starts a replica: the error must name the file.
    ///
    /// # Errors
    /// The replica started, or its error does not name the file.
    pub fn missing_secret(&self) -> Result<Vec<String>> {
        let partial = self.secrets.with_file_name("secrets-but-one");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::DirBuilder::new().mode(0o700).create(&partial)?;
        for entry in fs::read_dir(&self.secrets)? {
            let entry = entry?;
            if entry.file_name() != self.platform.workers.operations_token.0 {
                fs::copy(entry.path(), partial.join(entry.file_name()))?;
            }
        }
        let missing = partial.join(self.platform.workers.operations_token.0).display().to_string();
        let name = but_one(&self.seen.project.name);
        let prefix = free_prefix(&self.engine, &name)?;
        let env_file = self.seen.project.env_file.with_file_name("but-one.env");
        let env = self
            .seen
            .env
            .replace(&self.secrets.display().to_string(), &partial.display().to_string())
            .replace(
                &format!("{}={}\n", site::NETWORK_PREFIX, self.seen.prefix),
                &format!("{}={prefix}\n", site::NETWORK_PREFIX),
            );
        fs::write(&env_file, env)?;
        let project = Project { name, env_file: env_file.clone(), ..self.seen.project.clone() };
        let run = |argv: Vec<String>| {
            std::process::Command::new(&argv[0]).args(&argv[1..]).current_dir(&project.folder).output()
        };
        let topology = self.topology();
        let worker = self.worker(&topology)?.name();
        let output = run(project.argv(&["up", "--detach", "--no-deps", "--no-build", &worker]))?;
        let ended = run(words(&project.down(true)))?;
        fs::remove_dir_all(&partial)?;
        fs::remove_file(&env_file)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            bail!("a replica started without {missing}");
        }
        if !said.contains(&missing) {
            bail!("the error does not name {missing}: {said}");
        }
        if !ended.status.success() {
            bail!("cannot take the replica down again: {}", String::from_utf8_lossy(&ended.stderr));
        }
        Ok(vec![said.lines().last().unwrap_or_default().to_owned()])
    }

    pub fn port(&self, port: PortRef) -> &Port {
        self.platform.port(port).expect("a constant of the platform")
    }

    /// The address at which a unit listens on a port.
    pub fn bound(&self, topology: &Topology<'_>, unit: &Unit<'_>, port: &Port) -> Option<String> {
        match topology.binding(unit, port) {
            Binding::Network(name) => {
                let tail = topology.address(&unit.name(), topology.network(&name)?)?;
                Some(format!("{}.{tail}", self.seen.prefix))
            }
            Binding::Loopback | Binding::Everywhere => None,
        }
    }

    /// The base address of the edge for the public.
    pub fn public(&self, port: PortRef) -> String {
        let number = self.ports[&format!("{}.{}", port.service, port.name)];
        format!("{}://{PUBLIC}:{number}", self.port(port).protocol.scheme())
    }

    /// `docker inspect` of a unit's container.
    pub fn inspect(&self, unit: &Unit<'_>) -> Result<Value> {
        let container = self.seen.project.container(&unit.name());
        let answer = self.engine.ask(&["inspect", &container])?;
        if !answer.success {
            bail!("{container}: {}", answer.stderr.trim());
        }
        let mut found: Vec<Value> = serde_json::from_str(&answer.stdout)?;
        found.pop().with_context(|| format!("the engine does not know {container}"))
    }

    /// Waits until the engine reports a container as healthy.
    ///
    /// # Errors
    /// It is not healthy within a minute.
    pub fn await_healthy(&self, container: &str) -> Result<()> {
        let until = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.engine.ask(&["inspect", "--format", "{{.State.Health.Status}}", container])?;
            match answer.stdout.trim() {
                "healthy" => return Ok(()),
                other if std::time::Instant::now() > until => bail!("{container} is {other} after a minute"),
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

/// A command line without secrets, as words.
pub fn words(exec: &Exec) -> Vec<String> {
    let literal = |arg: &Arg| match arg {
        Arg::Literal(word) => Some(word.clone()),
        _ => None,
    };
    std::iter::once(exec.program.clone()).chain(exec.args.iter().filter_map(literal)).collect()
}

/// Long-running units, which have a network to measure from.
pub fn runs_on(unit: &Unit<'_>) -> bool {
    unit.service.lifetime != Lifetime::OneShot
}

/// Whether a port is reachable from outside of the platform.
pub fn is_public(port: &Port) -> bool {
    port.exposure == Exposure::Public
}

/// As `docker events` reads it: seconds since the epoch, with nanoseconds.
pub fn now() -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(format!("{}.{:09}", now.as_secs(), now.subsec_nanos()))
}
