//! Something that is wrong: where, what it is, what would be right, and what to do about it.

use std::fmt;

use serde::Serialize;

/// One problem. Functions return all of them at once, so that nobody meets them one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// A file with its line, a service, a setting.
    pub place: String,
    pub seen: String,
    /// Empty where it follows from what is seen.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// What to do, as a sentence without its full stop; empty where it follows from what is expected.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Problem {
    pub fn new(place: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { place: place.into(), seen: seen.into(), expected: String::new(), remedy: String::new() }
    }

    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.seen)?;
        if !self.expected.is_empty() {
            write!(out, "; expected {}", self.expected)?;
        }
        if !self.remedy.is_empty() {
            write!(out, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
