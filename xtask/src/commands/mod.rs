//! One module per subcommand: each states its intent and shows the result.

pub mod check;
pub mod doctor;
pub mod environment;
pub mod generate;
pub mod supervise;

use anyhow::Result;

use crate::cli::Command;
use crate::context::Context;

/// Runs one subcommand.
///
/// # Errors
/// Whatever the subcommand reports; [`crate::exit`] derives the exit code.
pub fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Generate(options) => generate::run(context, &options),
        Command::Doctor(options) => doctor::run(context, &options),
        Command::Environment(options) => environment::run(context, options),
        Command::Check(options) => check::run(context, options),
        Command::Supervise(options) => supervise::run(&options),
    }
}
