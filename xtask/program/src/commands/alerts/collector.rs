//! The configuration of the log collector, judged by the collector itself.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use vocabulary::model::{LogStore, Value};

use crate::context::Context;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::exit::refused;
use foundation::files;

/// The planted fault: the collector knows no such part.
const FAULT: &str = "planted: {}\n";

/// What it finds, with the file; nothing where the platform has no log store.
///
/// # Errors
/// It cannot be had, it accepts a fault that was planted, or there is no configuration.
pub fn judge(context: &Context) -> Result<Option<String>> {
    let Some(store) = context.platform.log_store else { return Ok(None) };
    let collector = context.platform.service(store.collector).context("the platform has no log collector")?;
    let path = context.path(LogStore::CONFIGURATION);
    let text = fs::read_to_string(&path).map_err(|error| {
        refused(format!("{}: {error}; run `cargo xtask generate`, which writes it", LogStore::CONFIGURATION))
    })?;
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::OtelCollector], progress::on_stderr().as_ref())?;
    let folder = files::temporary::folder("flowship-alerts-")?;
    let finding = |path: &Path| -> Result<Option<String>> {
        let argument = format!("--config={}", path.display());
        let argv = toolbox.invocation(Program::OtelCollector)?.argv(["validate", &argument]);
        let mut command = duct::cmd(&argv[0], &argv[1..]).stdin_null().stderr_to_stdout().stdout_capture();
        for variable in &collector.variables {
            let value = match variable.value {
                Value::BindAddress(_) => "127.0.0.1".into(),
                Value::BindPort(_) => "1".into(),
                Value::Url { .. } => "http://127.0.0.1:1".into(),
                _ => folder.path().to_path_buf().into_os_string(),
            };
            command = command.env(variable.name, value);
        }
        let output = command.unchecked().run().with_context(|| Path::new(&argv[0]).display().to_string())?;
        let said = String::from_utf8_lossy(&output.stdout);
        Ok((!output.status.success()).then(|| format!("{}: {}", LogStore::CONFIGURATION, said.trim())))
    };
    let planted = folder.path().join("planted.yaml");
    fs::write(&planted, text + FAULT)?;
    if finding(&planted)?.is_none() {
        bail!("the log collector accepts a configuration with an unknown part: it checks nothing");
    }
    finding(&path)
}
