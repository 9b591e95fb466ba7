//! What is wrong in an environment file, where, and what would be right.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use foundation::shorten::shorten;

/// One fault of an environment file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Relative to the root.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub wrong: String,
    pub expected: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, wrong, expected, nearest } = self;
        write!(out, "{file}:{line}:{column}: {wrong}; expected {expected}")?;
        match nearest {
            Some(name) => write!(out, "; did you mean \"{name}\"?"),
            None => Ok(()),
        }
    }
}

/// Something that a file says and that has no effect yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotYet {
    /// Relative to the root.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// With names and indices filled in, such as `hosts[0].name`.
    pub key: String,
    pub why: String,
}

impl fmt::Display for NotYet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: not yet: {}: {}", self.file, self.line, self.key, self.why)
    }
}

/// All problems, one a line, below a headline that counts them.
pub fn listing(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    match lines.as_slice() {
        [only] => only.clone(),
        many => format!("{} problems in the environments\n{}", many.len(), many.join("\n")),
    }
}

/// Line and column, from 1, of a byte offset; the column counts characters.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let offset = (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Collects the problems of one file.
#[derive(Debug)]
pub struct Problems<'a> {
    path: &'a str,
    text: &'a str,
    pub found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, text, found: Vec::new() }
    }

    /// Adds a problem at a byte range of the text.
    pub fn add(
        &mut self,
        at: &Range<usize>,
        wrong: impl Into<String>,
        expected: impl Into<String>,
        nearest: Option<&str>,
    ) {
        let (line, column) = position(self.text, at.start);
        self.found.push(Problem {
            file: self.path.to_owned(),
            line,
            column,
            wrong: shorten(&wrong.into()).into_owned(),
            expected: expected.into(),
            nearest: nearest.map(str::to_owned),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let text = "a = 1\nköln = 2\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 6), (2, 1));
        assert_eq!(position(text, text.find('=').unwrap()), (1, 3));
        assert_eq!(position(text, text.rfind('=').unwrap()), (2, 6));
        assert_eq!(position(text, 8), (2, 2), "inside a character: its start");
        assert_eq!(position(text, 999), (3, 1));
    }
}
