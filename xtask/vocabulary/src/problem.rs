//! Something that is wrong: where, what it is, what would be right, and what to do about it.

use std::fmt;

use serde::Serialize;

/// One problem. Functions return all of them at once, so that nobody meets them one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    #[serde(flatten)]
    pub place: Place,
    /// Id of the rule that is broken; empty where rules have none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    pub level: Level,
    pub seen: String,
    /// Empty where it follows from what is seen.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// What to do, as a sentence without its full stop; empty where it follows from what is expected.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// Where a problem is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Below the root, with `/`; empty where it is in no file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// From 1; 0 where it is about the whole file, or in none.
    #[serde(skip_serializing_if = "is_zero")]
    pub line: usize,
    /// From 1, in characters; 0 where the line is enough.
    #[serde(skip_serializing_if = "is_zero")]
    pub column: usize,
    /// What it is about, such as a service, a node or a package.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
}

/// Whether it refuses what was judged. A warning refuses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warning,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Problem {
    pub fn new(place: impl Into<Place>, seen: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            rule: String::new(),
            level: Level::Error,
            seen: seen.into(),
            expected: String::new(),
            remedy: String::new(),
        }
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

    #[must_use]
    pub fn rule(mut self, rule: impl fmt::Display) -> Self {
        self.rule = rule.to_string();
        self
    }

    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    #[must_use]
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }

    /// Without the place in the file and the rule, for those who show them by themselves.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { place: Place { subject, .. }, seen, expected, remedy, .. } = self;
        let part = |before: &str, part: &str, after: &str| match part {
            "" => String::new(),
            part => format!("{before}{part}{after}"),
        };
        let (subject, expected) = (part("", subject, ": "), part("; expected ", expected, ""));
        format!("{subject}{seen}{expected}{}", part("; ", remedy, ""))
    }
}

impl Place {
    /// `line` from 1, or 0 for the whole file.
    pub fn line(file: impl Into<String>, line: usize) -> Self {
        Self { file: file.into(), line, ..Self::default() }
    }

    /// At a byte offset of the file's text.
    pub fn offset(file: impl Into<String>, text: &str, offset: usize) -> Self {
        let offset = (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[line_start..].chars().count() + 1;
        Self { column, ..Self::line(file, before.matches('\n').count() + 1) }
    }

    /// What is meant at that place.
    #[must_use]
    pub fn of(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }
}

impl From<&str> for Place {
    fn from(subject: &str) -> Self {
        Self::default().of(subject)
    }
}

impl From<String> for Place {
    fn from(subject: String) -> Self {
        Self::default().of(subject)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, rule, level, .. } = self;
        match (&*place.file, place.line, place.column) {
            ("", ..) => {}
            (file, 0, _) => write!(out, "{file}: ")?,
            (file, line, 0) => write!(out, "{file}:{line}: ")?,
            (file, line, column) => write!(out, "{file}:{line}:{column}: ")?,
        }
        if *level == Level::Warning {
            out.write_str("warning: ")?;
        }
        if !rule.is_empty() {
            write!(out, "[{rule}] ")?;
        }
        out.write_str(&self.message())
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for Vec<Problem> {
    fn from(one: Problem) -> Self {
        vec![one]
    }
}

/// All of them, one a line.
#[must_use]
pub fn listing(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_problem_is_shown_in_one_order() {
        let problem = Problem::new("service a", "no port");
        assert_eq!(problem.to_string(), "service a: no port");
        let place = Place { column: 2, ..Place::line("a.toml", 3).of("key") };
        let problem = Problem { place, ..problem }.expected("one").remedy("add it").rule("ports");
        let problem = problem.level(Level::Warning);
        assert_eq!(problem.to_string(), "a.toml:3:2: warning: [ports] key: no port; expected one; add it");
        let json = serde_json::to_value(Problem::new(Place::line("a", 1), "b")).unwrap();
        assert_eq!(json, serde_json::json!({ "file": "a", "line": 1, "level": "error", "seen": "b" }));
    }

    #[test]
    fn positions_count_lines_and_characters() {
        let text = "a = 1\nköln = 2\n";
        for (offset, expected, why) in [
            (0, (1, 1), ""),
            (6, (2, 1), ""),
            (text.find('=').unwrap(), (1, 3), ""),
            (text.rfind('=').unwrap(), (2, 6), ""),
            (8, (2, 2), "inside a character: its start"),
            (999, (3, 1), ""),
        ] {
            let Place { line, column, .. } = Place::offset("a", text, offset);
            assert_eq!((line, column), expected, "{offset} {why}");
        }
    }
}
