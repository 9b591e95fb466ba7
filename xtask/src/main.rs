//! Flowship's one program: parse, build the context, dispatch, print the error. Nothing else.

mod cli;
mod commands;
mod context;
mod engines;
mod generated;
mod images;
mod judging;
mod session;
mod tools;

fn main() -> std::process::ExitCode {
    let cli = cli::parse();
    let context = if cli.command.needs_tree() { context::Context::new } else { context::Context::anywhere };
    // The model's texts live as long as the program, and so does the one platform that it is put together with.
    let platform = Box::leak(Box::new(platform::platform()));
    let outcome =
        context(&cli.global, platform).and_then(|context| commands::run(&context, &cli.words, cli.command));
    foundation::exit::report(outcome)
}
