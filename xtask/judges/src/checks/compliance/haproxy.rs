//! Configurations of HAProxy as sections of lines, each line as its words.

use std::rc::Rc;

use super::row::Place;

/// `global`, `defaults`, `frontend NAME`, ...
#[derive(Debug)]
pub struct Section {
    pub place: Place,
    pub kind: String,
    pub name: String,
    pub lines: Vec<Line>,
}

#[derive(Debug)]
pub struct Line {
    pub place: Place,
    pub words: Vec<String>,
}

const KINDS: &[&str] = &[
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "userlist",
    "peers",
    "resolvers",
    "mailers",
    "cache",
    "http-errors",
    "ring",
    "program",
    "crt-store",
    "acme",
    "traces",
    "log-forward",
    "fcgi-app",
];

impl Section {
    /// Lines that begin with these words.
    pub fn all<'a>(&'a self, words: &'a [&str]) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.begins(words))
    }

    /// The last such line: in HAProxy the last one holds.
    pub fn last<'a>(&'a self, words: &'a [&str]) -> Option<&'a Line> {
        self.all(words).last()
    }
}

impl Line {
    pub fn begins(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len() && self.words.iter().zip(words).all(|(own, word)| own == word)
    }

    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    /// The word after this one.
    pub fn after(&self, word: &str) -> Option<&str> {
        let at = self.words.iter().position(|own| own == word)?;
        self.words.get(at + 1).map(String::as_str)
    }
}

pub fn read(path: &str, text: &str) -> Vec<Section> {
    let file: Rc<str> = path.into();
    let mut sections: Vec<Section> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words = words(line);
        let Some(first) = words.first() else { continue };
        let place = Place { file: file.clone(), line: index + 1 };
        if KINDS.contains(&first.as_str()) && !line.starts_with(char::is_whitespace) {
            let name = words.get(1).cloned().unwrap_or_default();
            sections.push(Section { place, kind: first.clone(), name, lines: vec![] });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(Line { place, words });
        }
    }
    sections
}

/// Single quotes keep all, double quotes keep blanks, a backslash keeps the next letter, `#` begins a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(letter),
            (_, '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') => break,
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_lines_and_words() {
        let text = "# head\nglobal\n    maxconn 10 # why\ndefaults\n    log-format 'a \"b\" # c'\n\nfrontend x\n    bind \"${A}:1\"\n    acl a path \\#\n";
        let sections = read("h.cfg", text);
        let kinds: Vec<_> =
            sections.iter().map(|one| (one.kind.as_str(), one.name.as_str(), one.place.line)).collect();
        assert_eq!(kinds, [("global", "", 2), ("defaults", "", 4), ("frontend", "x", 7)]);
        assert_eq!(sections[0].lines[0].words, ["maxconn", "10"]);
        assert_eq!(sections[1].lines[0].words, ["log-format", "a \"b\" # c"]);
        assert_eq!(sections[2].lines[1].words, ["acl", "a", "path", "#"]);
        assert_eq!(sections[2].last(&["bind"]).unwrap().after("bind"), Some("${A}:1"));
    }
}
