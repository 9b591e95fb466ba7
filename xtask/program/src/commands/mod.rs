//! One module per subcommand: each states its intent and shows the result.

pub mod alerts;
pub mod bench;
pub mod check;
pub mod ci;
pub mod contract;
pub mod dashboards;
pub mod deploy;
pub mod dev;
pub mod doctor;
pub mod down;
pub mod drift;
pub mod drill;
pub mod environment;
pub mod generate;
pub mod history;
pub mod image;
pub mod impact;
pub mod keys;
pub mod lock;
pub mod logs;
pub mod measure;
pub mod promote;
pub mod rehearse;
pub mod release;
pub mod releases;
pub mod reset;
pub mod rollback;
pub mod secrets;
pub mod smoke;
pub mod start;
pub mod status;
pub mod supervise;
pub mod test;
pub mod why;

use anyhow::Result;

use crate::cli::{Command, for_checkouts};
use crate::context::Context;
use crate::session::{killed_runs, rehearsal};
use foundation::exit::refused;
use foundation::program_name::command_line;
use runner::plan::register::Registered;

/// Runs one subcommand, which these words called.
///
/// # Errors
/// Whatever the subcommand reports; [`foundation::exit`] derives the exit code.
pub fn run(context: &Context, words: &str, command: Command) -> Result<()> {
    if let Some(name) = for_checkouts(words).filter(|_| context.is_bundle()) {
        return Err(refused(format!(
            "{}: this is an unpacked release, and {name} needs the sources: run `cargo xtask {name}` in a checkout",
            context.root.display()
        )));
    }
    let _registered = is_registered(&command).then(|| {
        let target = matches!(command, Command::Rehearse(_)).then_some(rehearsal::TARGET);
        Registered::begin(context.state(), &command_line(), target)
    });
    if !matches!(command, Command::Supervise(_)) {
        for problem in killed_runs::clean_up(context) {
            eprintln!("warning: {problem}");
        }
    }
    match command {
        Command::Alerts(options) => alerts::run(context, &options),
        Command::Dashboards(options) => dashboards::run(context, &options),
        Command::Dev(options) => dev::run(context, &options),
        Command::Contract(options) => contract::run(context, &options),
        Command::Deploy(options) => deploy::run(context, &options),
        Command::Promote(options) => promote::run(context, &options),
        Command::Rollback(options) => rollback::run(context, &options),
        Command::History(options) => history::run(context, &options),
        Command::Releases(options) => releases::run(context, &options),
        Command::Drift(options) => drift::run(context, &options),
        Command::Keys(options) => keys::run(context, &options),
        Command::Lock(options) => lock::run(context, &options),
        Command::Status(options) => status::run(context, &options),
        Command::Logs(options) => logs::run(context, &options),
        Command::Secrets(options) => secrets::run(context, &options),
        Command::Smoke(options) => smoke::run(context, &options),
        Command::Down(options) => down::run(context, &options),
        Command::Start(options) => start::run(context, &options),
        Command::Drill(options) => drill::run(context, &options),
        Command::Rehearse(options) => rehearse::run(context, &options),
        Command::Reset(options) => reset::run(context, &options),
        Command::Test(options) => test::run(context, &options),
        Command::Ci(options) => ci::run(context, &options),
        Command::Bench(options) => bench::run(context, &options),
        Command::Measure(options) => measure::run(context, &options),
        Command::Generate(options) => generate::run(context, &options),
        Command::Why(options) => why::run(context, &options),
        Command::Impact(options) => impact::run(context, &options),
        Command::Check(options) => check::run(context, options),
        Command::Image(options) => image::run(context, &options),
        Command::Release(options) => release::run(context, &options),
        Command::Environment(options) => environment::run(context, options),
        Command::Doctor(options) => doctor::run(context, &options),
        Command::Supervise(options) => supervise::run(&options),
    }
}

/// The commands that make something for themselves only, such as a temporary folder, or run programs for long.
fn is_registered(command: &Command) -> bool {
    match command {
        Command::Alerts(options) => options.is_registered(),
        Command::Smoke(options) => options.is_private(),
        Command::Check(options) => options.is_registered(),
        Command::Measure(options) => options.is_registered(),
        Command::Release(options) => options.is_registered(),
        Command::Test(_)
        | Command::Ci(_)
        | Command::Rehearse(_)
        | Command::Drill(_)
        | Command::Bench(_)
        | Command::Image(_) => true,
        _ => false,
    }
}
