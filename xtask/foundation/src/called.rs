//! How this program is called: `cargo xtask` in a checkout, `flowship` on an operator's machine, where there is no cargo.
//! Every text says the former; where texts leave the program, [`as_called`] puts the latter in its place.

use std::borrow::Cow;
use std::env;
use std::path::Path;
use std::sync::OnceLock;

/// In a checkout.
const DEVELOPERS: &str = "cargo xtask";
/// In a release.
const OPERATORS: &str = "flowship";

/// What works on the sources, which a release has not: an operator is sent to a checkout with it.
const FOR_CHECKOUTS: [&str; 18] = [
    "bench",
    "check compliance",
    "check licences",
    "check secrets",
    "ci",
    "generate",
    "impact",
    "measure",
    "rehearse",
    "release notes",
    "release operator",
    "release package",
    "release plan",
    "release prepare",
    "release publish",
    "release verify --rebuild",
    "test",
    "why",
];

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

/// As people type it.
pub fn name() -> &'static str {
    if by_operator() { OPERATORS } else { DEVELOPERS }
}

/// The command as typed, for locks and the audit log.
pub fn command_line() -> String {
    std::iter::once(name().to_owned()).chain(env::args().skip(1)).collect::<Vec<_>>().join(" ")
}

/// A text for people that names the program as it was called.
pub fn as_called(text: &str) -> Cow<'_, str> {
    if by_operator() && text.contains(DEVELOPERS) { for_operators(text).into() } else { text.into() }
}

/// A command's own help as it was called; an operator sees no examples of what works on the sources.
pub fn help(text: &str) -> String {
    if by_operator() { help_for_operators(text) } else { text.to_owned() }
}

fn help_for_operators(text: &str) -> String {
    let can = |line: &&str| {
        let mut called = line.split(DEVELOPERS).skip(1);
        !called.any(|words| for_checkouts(words.trim_start()).is_some())
    };
    text.lines().filter(can).collect::<Vec<_>>().join("\n").replace(DEVELOPERS, OPERATORS)
}

fn for_operators(text: &str) -> String {
    let mut parts = text.split(DEVELOPERS);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        told.push_str(if for_checkouts(part.trim_start()).is_some() { DEVELOPERS } else { OPERATORS });
        told.push_str(part);
    }
    told
}

/// The command that works on the sources which these words begin with, if it is one. An option may stand after arguments.
pub fn for_checkouts(words: &str) -> Option<&'static str> {
    FOR_CHECKOUTS.into_iter().find(|command| {
        let (command, option) = command.split_once(" --").unwrap_or((command, ""));
        let line = words.lines().next().unwrap_or_default();
        line.strip_prefix(command).is_some_and(|rest| {
            !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-')
                && (option.is_empty() || rest.contains(&format!(" --{option}")))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_told_what_they_can_type() {
        for (text, expected) in [
            ("run `cargo xtask dev`, then `cargo xtask smoke`", "run `flowship dev`, then `flowship smoke`"),
            ("cargo xtask doctor --install, or by itself", "flowship doctor --install, or by itself"),
            ("`cargo xtask release verify` judges it", "`flowship release verify` judges it"),
            ("run `cargo xtask ci` in a checkout", "run `cargo xtask ci` in a checkout"),
            ("`cargo xtask release package` made it", "`cargo xtask release package` made it"),
            ("`cargo xtask release verify X --rebuild`", "`cargo xtask release verify X --rebuild`"),
            ("`cargo xtask whyever`", "`flowship whyever`"),
            ("nothing of it", "nothing of it"),
        ] {
            assert_eq!(for_operators(text), expected);
        }
        assert_eq!(
            help_for_operators(
                "Examples:\n  cargo xtask dev\n  cargo xtask ci  all\n  cargo xtask release verify"
            ),
            "Examples:\n  flowship dev\n  flowship release verify"
        );
        assert_eq!(
            as_called("run `cargo xtask dev`"),
            "run `cargo xtask dev`",
            "nobody calls a test flowship"
        );
    }
}
