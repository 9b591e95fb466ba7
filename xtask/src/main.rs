//! Flowship's one program: parse, build the context, dispatch, print the error. Nothing else.

mod artifacts;
mod cli;
mod commands;
mod context;
mod engines;
mod images;
mod judging;
mod platform;
mod review;
mod session;
mod tools;

fn main() -> std::process::ExitCode {
    let cli = cli::parse();
    let context = if cli.command.needs_tree() { context::Context::new } else { context::Context::anywhere };
    let outcome = context(&cli.global).and_then(|context| commands::run(&context, &cli.words, cli.command));
    foundation::exit::report(outcome)
}
