//! What is wrong in an environment file, where, and what would be right.

use std::ops::Range;

use vocabulary::problem::{self, Place, Problem};

use foundation::shorten::shorten;

/// All problems, one a line, below a headline that counts them.
pub fn listing(problems: &[Problem]) -> String {
    let lines = problem::listing(problems);
    match problems.len() {
        1 => lines,
        many => format!("{many} problems in the environments\n{lines}"),
    }
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
        let place = Place::offset(self.path, self.text, at.start);
        let remedy = nearest.map_or_else(String::new, |name| format!("did you mean \"{name}\"?"));
        self.found.push(Problem::new(place, shorten(&wrong.into())).expected(expected).remedy(remedy));
    }
}
