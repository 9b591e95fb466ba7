//! The words of an action: written out, taken from an earlier step, or read from a secret file at run time.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::step::StepId;

/// A secret by name and by the file that holds its value. It never holds the value itself, so nothing that prints
/// or serialises a plan can show it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// What people call it, such as `postgres-password`.
    pub name: String,
    /// Absolute path of the file; the value is its contents without the newlines at the end.
    pub file: PathBuf,
}

/// `key` of what an earlier step put out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRef {
    pub step: StepId,
    pub key: String,
}

/// One word of an action. In JSON a literal is a plain string, the others are `{"output": ..}`, `{"secret": ..}`
/// and `{"joined": [..]}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arg {
    /// Known when the step runs: an output of a step it needs, directly or through others.
    Output(OutputRef),
    /// Read when the step runs, and masked wherever it would show.
    Secret(Secret),
    /// The parts without anything between them, such as `postgres://app:` + secret + `@localhost/app`.
    Joined(Vec<Arg>),
    /// Known when the plan is made.
    #[serde(untagged)]
    Literal(String),
}

impl Arg {
    /// The output `key` of the step `step`.
    pub fn output(step: impl Into<StepId>, key: impl Into<String>) -> Self {
        Self::Output(OutputRef { step: step.into(), key: key.into() })
    }

    /// The secret `name`, read from `file` at run time.
    pub fn secret(name: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        Self::Secret(Secret { name: name.into(), file: file.into() })
    }

    /// Every part that is not [`Arg::Joined`], in order.
    pub fn leaves(&self) -> Vec<&Arg> {
        match self {
            Self::Joined(parts) => parts.iter().flat_map(Arg::leaves).collect(),
            leaf => vec![leaf],
        }
    }
}

impl Default for Arg {
    fn default() -> Self {
        Self::Literal(String::new())
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Literal(text.to_owned())
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Literal(text)
    }
}

impl From<Secret> for Arg {
    fn from(secret: Secret) -> Self {
        Self::Secret(secret)
    }
}

impl fmt::Display for Arg {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => out.write_str(text),
            Self::Output(from) => write!(out, "<{}.{}>", from.step, from.key),
            Self::Secret(secret) => write!(out, "<secret {}>", secret.name),
            Self::Joined(parts) => parts.iter().try_for_each(|part| part.fmt(out)),
        }
    }
}
