//! Results on standard output. A reader that has seen enough (`| head`) is no failure.

use std::io::{self, ErrorKind, Write as _};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::escape;

/// Writes the text; nothing in it can steer a terminal.
///
/// # Errors
/// When it cannot be written, except that nobody reads on.
pub fn text(text: &str) -> Result<()> {
    write(&escape::text(text))
}

fn write(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes the value as indented JSON.
///
/// # Errors
/// As [`text`].
pub fn json(value: &impl Serialize) -> Result<()> {
    // Its strings have an escape of their own.
    write(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
