//! The composition root: the program and the platform that it ships.

fn main() -> std::process::ExitCode {
    program::run(platform::platform())
}
