//! One module per subcommand: each states its intent and shows the result.

mod doctor;

use anyhow::Result;

use crate::cli::Command;
use crate::context::Context;

/// Runs one subcommand.
///
/// # Errors
/// Whatever the subcommand reports; [`crate::exit`] derives the exit code.
pub fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Doctor(options) => doctor::run(context, &options),
    }
}
