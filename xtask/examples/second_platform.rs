//! The program put together with the platform of the tests: what an adopter's `main.rs` looks like.

fn main() -> std::process::ExitCode {
    program::run(second_platform::platform())
}
