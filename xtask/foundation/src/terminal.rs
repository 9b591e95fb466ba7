//! Whether somebody watches: live lines are for a terminal that can move its cursor, and for nothing else.

use std::io::IsTerminal as _;

/// Whether standard error is such a terminal.
pub fn on_stderr() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb");
    !dumb && std::io::stderr().is_terminal()
}
