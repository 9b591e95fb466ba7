//! Flowship's one program: parse, build the context, dispatch, print the error. Nothing else.

mod artifacts;
mod called;
mod checks;
mod cli;
mod columns;
mod commands;
mod context;
mod digest;
mod engines;
mod escape;
mod evidence;
mod exit;
mod files;
mod forge;
mod images;
mod judging;
mod nearest;
mod plan;
mod platform;
mod release;
mod review;
mod session;
mod shorten;
mod site;
mod stdout;
mod terminal;
mod thresholds;
mod tools;

fn main() -> std::process::ExitCode {
    let cli = cli::parse();
    let context = if cli.command.needs_tree() { context::Context::new } else { context::Context::anywhere };
    let outcome = context(&cli.global).and_then(|context| commands::run(&context, &cli.words, cli.command));
    exit::report(outcome)
}
