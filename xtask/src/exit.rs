//! How a run ends: 0 done, 1 the check or the action failed, 2 the invocation or the configuration is wrong.

use std::fmt;
use std::process::ExitCode;

/// The invocation or the configuration is wrong (exit code 2). The text names the file, the place, what was
/// expected and what to do.
#[derive(Debug)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// The check or the action failed and has already told why (exit code 1): nothing more is printed.
#[derive(Debug)]
pub struct Reported;

impl fmt::Display for Reported {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("failed; see above")
    }
}

impl std::error::Error for Reported {}

/// Shorthand for an [`anyhow::Error`] that ends the run with exit code 2.
pub fn refused(text: impl Into<String>) -> anyhow::Error {
    Refused(text.into()).into()
}

/// Prints the error, if there is one, and derives the exit code from its type.
pub fn report(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.downcast_ref::<Reported>().is_some() => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.downcast_ref::<Refused>().is_some() { 2 } else { 1 })
        }
    }
}
