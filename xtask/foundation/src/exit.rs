//! How a run ends: 0 done, 1 the check or the action failed, 2 the invocation or the configuration is wrong.

use std::fmt;
use std::process::ExitCode;

use crate::escape;
use crate::shorten::shorten;

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

/// Another program of ours has already told why, and this is how it exited.
#[derive(Debug)]
pub struct ReportedAs(pub u8);

impl fmt::Display for ReportedAs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "failed with exit code {}; see above", self.0)
    }
}

impl std::error::Error for ReportedAs {}

/// A signal ended the run, and everything it had started (exit code 128 + the signal's number, as shells have it).
#[derive(Debug)]
pub struct Interrupted {
    pub signal: i32,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "interrupted by {}",
            signal_hook::low_level::signal_name(self.signal).unwrap_or("a signal")
        )
    }
}

impl std::error::Error for Interrupted {}

/// Shorthand for an [`anyhow::Error`] that ends the run with exit code 2.
pub fn refused(text: impl Into<String>) -> anyhow::Error {
    Refused(text.into()).into()
}

/// Prints the error, if there is one, and derives the exit code from its type.
pub fn report(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    if !error.is::<Reported>() && !error.is::<ReportedAs>() {
        eprintln!("error: {}", escape::text(&shorten(&format!("{error:#}"))));
    }
    ExitCode::from(code(&error))
}

/// The exit code of a run that ended with `error`.
pub fn code(error: &anyhow::Error) -> u8 {
    if let Some(Interrupted { signal }) = error.downcast_ref() {
        return u8::try_from(128 + signal).unwrap_or(1);
    }
    if let Some(ReportedAs(code)) = error.downcast_ref() {
        return *code;
    }
    if error.is::<Refused>() { 2 } else { 1 }
}
