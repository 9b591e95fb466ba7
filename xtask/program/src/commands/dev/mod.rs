//! `cargo xtask dev`: brings the platform up, follows it, and takes it down again.

mod follow;
mod panel;

use anyhow::Result;
use serde_json::json;
use vocabulary::model::environment::EngineKind;

use crate::context::Context;
use crate::images::stand_in::WARNING;
use crate::session::opened::{OpenOptions, Opened};
use crate::session::{DEFAULT, dry_run, running};
use foundation::exit::Reported;
use foundation::interrupt::Interrupt;
use foundation::stdout;
use runner::plan::report::Outcome;
use runner::plan::show::Show;
use runner::supervisor::Recovered;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask dev                   start the platform; Ctrl-C stops it
  cargo xtask dev -d                leave it running in the background; `cargo xtask down` stops it
  cargo xtask dev --with monitoring
                                    start Prometheus and Alertmanager, too (docs/monitoring.md)
  cargo xtask dev --inspect         open the Node.js debugger on loopback
  cargo xtask dev --engine compose  use containers (docs/containers.md)
  cargo xtask dev --dry-run         only show the plan

To use a real model provider, set base_url, model and api_key_file under [llm] in ops/environments/dev.toml.

Exit code 0 when Ctrl-C or SIGTERM stopped the running platform, 130 or 143 when they came earlier; 1 when \
it cannot start or its supervisor was killed; 2 when its configuration is wrong.")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV", default_value = DEFAULT)]
    environment: String,
    /// How to run the services [default: the engine that is running, else the environment's]
    #[arg(long, value_enum)]
    engine: Option<Choice>,
    /// Also start optional parts of the platform, by their names [default: those that are running, else the environment's]
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    with: Vec<String>,
    /// Leave the platform running in the background
    #[arg(short, long)]
    detach: bool,
    /// Open Node-RED's Node.js debugger on loopback [default port: one of this checkout's]
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0")]
    inspect: Option<u16>,
    /// Do not watch the sources for changes
    #[arg(long)]
    no_watch: bool,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
}

/// Engines that run a platform here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// Processes under Flowship's supervisor
    Process,
    /// Containers
    Compose,
}

impl Choice {
    fn kind(self) -> EngineKind {
        match self {
            Self::Process => EngineKind::Process,
            Self::Compose => EngineKind::Compose,
        }
    }
}

/// # Errors
/// Refused when the environment is wrong; otherwise when it cannot be brought up.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let show = Show::on_stderr();
    if !options.dry_run {
        running::recover(context, &options.environment, &show)?;
    }
    let engine = options.engine.map(Choice::kind);
    let (opened, was_running) = loop {
        let record = running::record(context, &options.environment)?;
        if !options.dry_run {
            running::leave_other_engine(context, &options.environment, engine, record.as_ref(), &show)?;
        }
        let wanted = OpenOptions {
            environment: &options.environment,
            target: &options.environment,
            any_ports: false,
            inspect: options.inspect,
            watches: !options.no_watch,
            engine: engine.or_else(|| record.as_ref().map(|record| record.engine)),
            replicas: None,
            with: match (&options.with[..], &record) {
                ([], Some(record)) => &record.with,
                (with, _) => with,
            },
            tier: None,
        };
        let opened = Opened::open(context, &wanted, record.as_ref());
        // Another run that brings it up has taken its ports: then that run is the cause, and not the ports.
        if !options.dry_run {
            running::refuse_held(context, &options.environment)?;
        }
        let opened = opened?;
        if opened.moved.is_none() || running::record(context, &options.environment)? == record {
            break (opened, record.is_some());
        }
        // It came up just now, with these ports.
    };
    if let Some(moved) = &opened.moved {
        show.say(moved);
    }
    let plan = opened.plan();
    if !opened.stand_ins().is_empty() {
        show.say(&format!(
            "{WARNING}
  for {}",
            opened.stand_ins().join(", ")
        ));
    }
    if options.dry_run {
        return dry_run::show(context, &plan);
    }
    let interrupt = Interrupt::listen()?;
    let report = running::bring_up(context, &opened, &plan, &show, &interrupt)?;
    if report.outcome != Outcome::Done {
        if !was_running {
            running::bring_down(context, &options.environment, &show, &interrupt.heeded())?;
        }
        return report.into_result();
    }
    if context.json {
        let debugger = opened.debugger(options.inspect.is_some());
        let record = json!({ "record": opened.record(), "report": report, "debugger_port": debugger });
        stdout::json(&record)?;
    } else {
        stdout::text(&panel::text(&opened, report.duration_ms, options.detach, options.inspect.is_some()))?;
    }
    if options.detach {
        return Ok(());
    }
    follow::until_interrupted(&opened, &show, &interrupt)?;
    if interrupt.raised() {
        running::recover(context, &options.environment, &show)?;
        return running::bring_down(context, &options.environment, &show, &interrupt.heeded());
    }
    match running::recover(context, &options.environment, &show)? {
        Recovered::Ended(_) => return Err(Reported.into()),
        Recovered::Clean => show.say("another command stopped it"),
        Recovered::Running => show.say("another command restarted it; that platform keeps running"),
    }
    Ok(())
}
