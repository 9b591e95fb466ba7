//! Values of the model as this engine places them. Pure.

use std::collections::BTreeSet;
use std::path::PathBuf;

use vocabulary::model::environment::{Environment, Tier};
use vocabulary::model::{Command, Fact, Platform, PortRef, Process, SecretRef, Unit, Value, VolumeRef};

use super::instance::{ADDRESS, Instance, is_open, public, socket};

/// Everything that a value can depend on.
#[derive(Clone, Copy)]
pub struct Resolver<'a> {
    pub platform: &'a Platform,
    pub environment: &'a Environment,
    pub instance: &'a Instance,
    pub units: &'a [Unit<'a>],
}

impl Resolver<'_> {
    /// None where it depends on a port that is not opened in this environment.
    pub fn value(&self, unit: &Unit<'_>, value: &Value) -> Option<String> {
        Some(match value {
            Value::Text(text) => (*text).to_owned(),
            Value::Whole(number) => number.to_string(),
            Value::BindAddress(port) => {
                self.own_port(unit, *port)?;
                let public = public(self.platform.port(*port)?, self.environment);
                public.map_or_else(|| ADDRESS.to_owned(), |(address, _)| address.to_string())
            }
            Value::BindPort(port) => self.own_port(unit, *port)?.to_string(),
            Value::Host(_) => ADDRESS.to_owned(),
            Value::Number(port) => self.instance.port(*port, self.units)?.to_string(),
            Value::Url { port, path } => self.url(*port, path)?,
            Value::Folder(volume) => self.folder(unit, *volume).display().to_string(),
            Value::SecretFile(secret) => self.secret_file(*secret).display().to_string(),
            Value::Tree(path) => self.instance.root.join(path).display().to_string(),
            Value::Fact(fact) => self.fact(unit, *fact)?,
            Value::Joined(parts) => {
                parts.iter().map(|part| self.value(unit, part)).collect::<Option<Vec<_>>>()?.concat()
            }
        })
    }

    /// Where a process starts: in the flows if it runs a file of the tree, otherwise in a folder that no release replaces.
    pub fn working_folder(&self, process: &Process) -> PathBuf {
        let runs_file =
            process.commands[0].arguments.iter().any(|argument| matches!(argument, Value::Tree(_)));
        if runs_file { self.instance.root.join("flows") } else { self.instance.folder.clone() }
    }

    pub fn own_port(&self, unit: &Unit<'_>, port: PortRef) -> Option<u16> {
        let exposure = self.platform.port(port)?.exposure;
        if !is_open(exposure, self.environment) {
            return None;
        }
        self.instance.ports.get(&socket(unit, port.name)).copied()
    }

    pub fn url(&self, port: PortRef, path: &str) -> Option<String> {
        let number = self.instance.port(port, self.units)?;
        let scheme = self.platform.port(port)?.protocol.scheme();
        Some(format!("{scheme}://{ADDRESS}:{number}{path}"))
    }

    pub fn folder(&self, unit: &Unit<'_>, volume: VolumeRef) -> PathBuf {
        self.instance.volume(unit, volume)
    }

    /// Where a secret lies.
    pub fn secret_file(&self, secret: SecretRef) -> PathBuf {
        let own = || self.instance.secret(secret);
        given(self.platform, self.environment, secret)
            .map_or_else(own, |file| self.instance.site_folder().join(file))
    }

    /// Where secrets of the environment lie: its own folder, and the files that the site gives.
    pub fn secret_places(&self) -> Vec<PathBuf> {
        let used = self.units.iter().flat_map(|unit| &unit.service.secrets);
        let files = used.map(|used| self.secret_file(used.secret));
        let own = self.instance.secrets();
        let given: BTreeSet<PathBuf> = files.filter(|file| !file.starts_with(&own)).collect();
        std::iter::once(own).chain(given).collect()
    }

    /// The variables of a unit: what it is told, and where its secrets lie.
    pub fn variables(&self, unit: &Unit<'_>, command: &Command) -> Vec<(String, String)> {
        let told = unit.service.variables.iter().chain(&command.variables);
        let told =
            told.filter_map(|variable| Some((variable.name.to_owned(), self.value(unit, &variable.value)?)));
        let secrets = unit.service.secrets.iter().filter_map(|used| {
            let path = self.secret_file(used.secret);
            Some((used.variable?.to_owned(), path.display().to_string()))
        });
        told.chain(secrets).collect()
    }

    fn fact(&self, unit: &Unit<'_>, fact: Fact) -> Option<String> {
        Some(match (fact, &self.environment.llm) {
            (Fact::Environment, _) => self.environment.name.clone(),
            (Fact::Tier, _) if self.environment.tier != Tier::Development => return None,
            (Fact::Tier, _) => self.environment.tier.to_string(),
            (Fact::Replica, _) => unit.replica_name(),
            (Fact::Release, _) => self.instance.release.as_ref()?.id.clone(),
            (Fact::HoldFile, _) => {
                self.instance.release.as_ref()?;
                self.instance.held(&unit.name()).display().to_string()
            }
            (Fact::MetricsFolder, _) => self.instance.metrics().display().to_string(),
            (Fact::HostRoot, _) => "/".to_owned(),
            (Fact::LlmBaseUrl, Some(llm)) => llm.base_url.clone(),
            (Fact::LlmModel, Some(llm)) => llm.model.clone(),
            (Fact::LlmPromptPrice, llm) => llm.as_ref()?.prompt_price.clone()?,
            (Fact::LlmCompletionPrice, llm) => llm.as_ref()?.completion_price.clone()?,
            (Fact::LlmBaseUrl, None) => self.url(self.platform.llm.stand_in, self.platform.llm.path)?,
            (Fact::LlmModel, None) => self.platform.llm.model.to_owned(),
            (Fact::LogFolder, _) => self.instance.logs().display().to_string(),
            (Fact::LogsKept, _) => format!("{}d", self.environment.retention.logs_days),
            (Fact::DrainLimit, _) => {
                let seconds = self.platform.draining.limit_seconds_in(self.environment.tier);
                (u32::from(seconds) * 1000).to_string()
            }
            (Fact::DrainDelay, _) => self.platform.drain_delay_ms(self.units.iter()).to_string(),
        })
    }
}

/// The file that the site names for a secret, where it does; everything else lies in the instance's own folder.
pub fn given<'a>(platform: &Platform, environment: &'a Environment, secret: SecretRef) -> Option<&'a str> {
    let llm = environment.llm.as_ref().filter(|_| secret == platform.llm.key)?;
    Some(&llm.api_key_file)
}
