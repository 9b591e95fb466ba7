//! The secret store of an environment on this machine, for the commands that set it up, open it and close it.

use std::collections::BTreeSet;

use anyhow::Result;
use vocabulary::model::environment::{Environment, SecretsIn};
use vocabulary::model::{Platform, Unit};

use super::opened::{OpenOptions, Opened, recorded};
use super::running;
use crate::context::Context;
use crate::deployment::Deployed;
use crate::engines::process::instance::Instance;
use crate::engines::process::resolve::Resolver;
use crate::engines::process::vault::{Client, Shares};
use crate::engines::record_in;
use foundation::exit::refused;
use foundation::files;
use foundation::interrupt::Interrupt;
use foundation::program_name::PROGRAM;
use judges::site;
use runner::plan::show::Show;

/// The file that is as old as the keys that unseal the store, below the folder of an environment.
pub const KEYS: &str = "unseal-keys";

/// An environment whose secrets are kept in the store, or are about to be.
pub struct SecretServer {
    platform: &'static Platform,
    environment: Environment,
    instance: Instance,
}

impl SecretServer {
    /// What was deployed here under this name, else what a checkout runs under it.
    ///
    /// # Errors
    /// Refused when there is no such environment here.
    pub fn of(context: &Context, name: &str) -> Result<Self> {
        let platform = context.platform;
        let (mut environment, folder, ports) = match Deployed::found(name) {
            Some(deployed) => {
                let site = files::read(&deployed.site()?, files::TEXT)?.bytes;
                let record = record_in(&deployed.folder())?;
                let ports = record.map(|record| record.ports).unwrap_or_default();
                (deployed.judged(platform, site)?, deployed.folder(), ports)
            }
            None => {
                let (folder, record) = recorded(context, name)?.ok_or_else(|| {
                    refused(format!(
                        "{name} was never started or deployed here; `{PROGRAM} secrets init {name}` starts its secret store"
                    ))
                })?;
                let environment = site::load(&context.root, name, &site::known(platform))?;
                (record.running(environment), folder, record.ports)
            }
        };
        // A deploy that changed to the store has failed until now, and left the earlier settings.
        environment.secret_store = SecretsIn::Vault;
        let instance = Instance { root: context.root.clone(), folder, ports, release: None };
        Ok(Self { platform, environment, instance })
    }

    /// The same, whose server runs: in a checkout it is started, and nothing else of the platform.
    ///
    /// # Errors
    /// As [`SecretServer::of`]; or it cannot be started.
    pub fn started(context: &Context, name: &str) -> Result<Self> {
        let answers = |server: Self| Ok(server.client()?.condition().is_ok());
        if Deployed::found(name).is_none() && !Self::of(context, name).and_then(answers).unwrap_or_default() {
            let running = running::record(context, name)?;
            let options = OpenOptions {
                any_ports: false,
                environment: name,
                engine: running.as_ref().map(|record| record.engine),
                ..OpenOptions::private(name)
            };
            let opened = Opened::open(context, &options, running.as_ref())?;
            start(context, &opened)?;
        }
        Self::of(context, name)
    }

    pub fn units(&self) -> Vec<Unit<'_>> {
        self.platform.units(&self.environment)
    }

    pub fn resolver<'a>(&'a self, units: &'a [Unit<'a>]) -> Resolver<'a> {
        Resolver { platform: self.platform, environment: &self.environment, instance: &self.instance, units }
    }

    /// Leaves when the keys were made.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keys_are_new(&self, shares: Shares) -> Result<()> {
        let text = format!("{} keys, of which {} unseal\n", shares.count, shares.threshold);
        files::write::whole(&self.instance.folder.join(KEYS), 0o600, text)
    }

    /// # Errors
    /// As [`Client::of`].
    pub fn client(&self) -> Result<Client> {
        Client::of(&self.resolver(&self.units()))
    }
}

/// The steps of the plan that end with a healthy store.
fn start(context: &Context, opened: &Opened) -> Result<()> {
    let mut plan = opened.plan();
    let store = opened.platform.secret_store.map(|store| format!("{}.ready", store.service()));
    let mut wanted: BTreeSet<String> = store.into_iter().collect();
    let mut before = 0;
    while wanted.len() > before {
        before = wanted.len();
        let needs = plan.steps.iter().filter(|step| wanted.contains(&step.id.0)).flat_map(|step| &step.needs);
        let needs: Vec<String> = needs.map(|need| need.0.clone()).collect();
        wanted.extend(needs);
    }
    plan.steps.retain(|step| wanted.contains(&step.id.0));
    plan.intent = format!("start the secret store of {}", opened.target);
    running::carry_out(context, opened, &plan, &Show::on_stderr(), &Interrupt::listen()?)?.into_result()
}
