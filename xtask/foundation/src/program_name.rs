//! What people type to run this program: `cargo xtask` in a checkout, `flowship` on an operator's machine, where there is
//! no cargo.
//!
//! A text that names a command which a release has as well says it with [`PROGRAM`]; what only a checkout has is always
//! `cargo xtask`. Nothing rewrites a text later: it may hold words of others, such as a log or the command of whoever
//! holds a lock.

use std::env;
use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

/// In a checkout.
pub const DEVELOPERS: &str = "cargo xtask";
/// In a release.
pub const OPERATORS: &str = "flowship";

/// The name, in a text: `format!("run `{PROGRAM} dev`")`.
pub const PROGRAM: Program = Program;

/// See [`PROGRAM`].
#[derive(Debug, Clone, Copy)]
pub struct Program;

impl fmt::Display for Program {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if by_operator() { OPERATORS } else { DEVELOPERS })
    }
}

/// Whether an operator called it.
pub fn by_operator() -> bool {
    static CALLED: OnceLock<bool> = OnceLock::new();
    *CALLED.get_or_init(|| {
        let called = env::args_os().next();
        called
            .as_deref()
            .and_then(|called| Path::new(called).file_name())
            .is_some_and(|name| name == OPERATORS)
    })
}

/// The option by which one program of ours gives another the command that was typed.
pub const TYPED: &str = "--typed";

/// The command as typed, for locks and the audit log.
pub fn command_line() -> String {
    if let Some(typed) = env::args().skip_while(|word| word != TYPED).nth(1) {
        return typed;
    }
    std::iter::once(PROGRAM.to_string()).chain(env::args().skip(1)).collect::<Vec<_>>().join(" ")
}
