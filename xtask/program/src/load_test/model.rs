//! The platform's stand-in for the model, as a process of the drill: what is deployed asks it as it would a provider.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context as _, Result};
use vocabulary::model::environment::Environment;

use super::process;
use crate::context::Context;
use crate::engines::process::instance::{ADDRESS, Instance, socket};
use crate::engines::process::resolve::Resolver;
use crate::tools::{NpmProject, Tool, Toolbox, progress};
use foundation::files;

/// It ends with this value.
pub struct Model {
    child: Child,
    /// `http://127.0.0.1:4711/v1`
    pub url: String,
    pub key_file: PathBuf,
}

impl Drop for Model {
    fn drop(&mut self) {
        // It has no state that needs a clean exit.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Model {
    /// Starts it, with its key in `folder`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(context: &Context, folder: &Path) -> Result<Self> {
        let toolbox = Toolbox::open(context)?;
        let progress = progress::on_stderr();
        toolbox.ensure(&[Tool::Node], progress.as_ref())?;
        toolbox.npm_modules(NpmProject { folder: &context.path("flows") }, progress.as_ref())?;
        let platform = context.platform;
        let environment = Environment { name: "drill".to_owned(), ..Environment::default() };
        let units = platform.units(&environment);
        let stand_in = platform.llm.stand_in;
        let unit = units.iter().find(|unit| unit.service.id == stand_in.service);
        let unit = unit.context("the platform has no stand-in for the model on the process engine")?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let instance = Instance {
            root: context.root.clone(),
            folder: folder.to_owned(),
            ports: [(socket(unit, stand_in.name), port)].into(),
            release: None,
        };
        let resolver = Resolver { platform, environment: &environment, instance: &instance, units: &units };
        let key_file = instance.secret(platform.llm.key);
        std::fs::create_dir_all(instance.secrets())?;
        files::write::whole(&key_file, 0o600, "the-key-of-the-drill\n")?;
        let child = process::command(&toolbox, &resolver, unit)?
            .spawn()
            .context("starting the stand-in for the model")?;
        Ok(Self { child, url: format!("http://{ADDRESS}:{port}{}", platform.llm.path), key_file })
    }
}
