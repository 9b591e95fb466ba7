//! Flowship's program, for whichever platform it is put together with.

pub mod alert_receivers;
mod cli;
mod commands;
mod context;
mod dashboard_pictures;
mod deployment;
mod engines;
mod generated;
mod images;
mod judging;
mod load_test;
pub mod open_pages;
mod session;
mod tools;

use std::process::ExitCode;

use vocabulary::model::Platform;

/// Parses the command line, builds the context, dispatches, prints the error. Nothing else.
pub fn run(platform: Platform) -> ExitCode {
    foundation::processes::leave_no_cores();
    let cli = cli::parse();
    let context = if cli.command.needs_tree() { context::Context::new } else { context::Context::anywhere };
    // The model's texts live as long as the program, and so does the one platform that it is put together with.
    let platform = Box::leak(Box::new(platform));
    let outcome =
        context(&cli.global, platform).and_then(|context| commands::run(&context, &cli.words, cli.command));
    foundation::exit::report(outcome)
}
