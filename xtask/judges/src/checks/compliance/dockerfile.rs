//! Dockerfiles as stages of instructions, each with its line.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::row::Place;

/// One file.
#[derive(Debug)]
pub struct Dockerfile {
    /// `# syntax=`: an image that runs while the file is read.
    pub syntax: Option<(Place, String)>,
    /// `ARG NAME=default` before the first stage.
    pub arguments: Vec<Instruction>,
    pub stages: Vec<Stage>,
}

#[derive(Debug)]
pub struct Stage {
    pub place: Place,
    /// As `AS` names it, or else its number.
    pub name: String,
    /// With the defaults of arguments in place.
    pub base: String,
    pub instructions: Vec<Instruction>,
}

/// One instruction, continued lines joined.
#[derive(Debug)]
pub struct Instruction {
    pub place: Place,
    /// In capital letters.
    pub keyword: String,
    /// `--name=value` words before the rest.
    pub flags: Vec<String>,
    /// What follows, as it is written, bodies of here-documents included.
    pub rest: String,
}

impl Instruction {
    /// The value of `--name=`.
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find_map(|flag| flag.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='))
    }

    /// Words of the JSON form, or of the text.
    pub fn words(&self) -> Vec<String> {
        serde_json::from_str(&self.rest)
            .unwrap_or_else(|_| self.rest.split_whitespace().map(str::to_owned).collect())
    }

    /// `NAME=value` words of ENV, ARG and LABEL; the old form `ENV NAME value` too.
    pub fn assignments(&self) -> Vec<(String, String)> {
        let words = super::shell::words(&self.rest);
        match words.split_first() {
            Some((name, rest)) if !name.contains('=') => vec![(name.clone(), rest.join(" "))],
            _ => words
                .iter()
                .filter_map(|word| word.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

impl Dockerfile {
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name.eq_ignore_ascii_case(name))
    }

    /// The stage itself, then the one it stands on, and so on down to an image of others.
    pub fn chain<'a>(&'a self, stage: &'a Stage) -> Vec<&'a Stage> {
        let mut chain = vec![stage];
        while let Some(below) = self.stage(&chain[chain.len() - 1].base) {
            if chain.iter().any(|seen| std::ptr::eq(*seen, below)) {
                break;
            }
            chain.push(below);
        }
        chain
    }

    /// Stages that nothing else is made of: what is built is run.
    pub fn targets(&self) -> impl Iterator<Item = &Stage> {
        self.stages.iter().filter(|stage| {
            !self.stages.iter().any(|other| {
                other.base.eq_ignore_ascii_case(&stage.name)
                    || other.copied_from().any(|from| from.eq_ignore_ascii_case(&stage.name))
            })
        })
    }

    /// The last instruction of a kind that a stage or what it stands on gives.
    pub fn effective<'a>(&'a self, stage: &'a Stage, keyword: &str) -> Option<&'a Instruction> {
        self.chain(stage)
            .into_iter()
            .find_map(|stage| stage.instructions.iter().rev().find(|one| one.keyword == keyword))
    }
}

impl Stage {
    /// Stages and images that files are copied from.
    pub fn copied_from(&self) -> impl Iterator<Item = &str> {
        self.instructions.iter().filter(|one| one.keyword == "COPY").filter_map(|copy| copy.flag("from"))
    }
}

/// Reads a file; what it cannot understand it leaves out, as hadolint and the engine tell what is no Dockerfile.
pub fn read(path: &str, text: &str) -> Dockerfile {
    let file: Rc<str> = path.into();
    let mut dockerfile = Dockerfile { syntax: None, arguments: vec![], stages: vec![] };
    let mut defaults = BTreeMap::new();
    for line in text.lines().take_while(|line| line.starts_with('#')) {
        if let Some(("syntax", image)) =
            line.trim_start_matches(['#', ' ']).split_once('=').map(|(key, image)| (key.trim(), image.trim()))
        {
            dockerfile.syntax = Some((Place { file: file.clone(), line: 1 }, image.to_owned()));
        }
    }
    for instruction in instructions(&file, text) {
        match (instruction.keyword.as_str(), dockerfile.stages.last_mut()) {
            ("FROM", _) => {
                let words: Vec<&str> = instruction.rest.split_whitespace().collect();
                let base = resolved(words.first().copied().unwrap_or_default(), &defaults);
                let name = match words.get(1) {
                    Some(word) if word.eq_ignore_ascii_case("as") => words.get(2).copied(),
                    _ => None,
                };
                let name = name.map_or_else(|| dockerfile.stages.len().to_string(), str::to_owned);
                dockerfile.stages.push(Stage { place: instruction.place, name, base, instructions: vec![] });
            }
            (_, Some(stage)) => stage.instructions.push(instruction),
            ("ARG", None) => {
                defaults.extend(instruction.assignments());
                dockerfile.arguments.push(instruction);
            }
            _ => {}
        }
    }
    dockerfile
}

/// With `${NAME}`, `$NAME` and `${NAME:-default}` replaced by what the arguments default to.
fn resolved(text: &str, defaults: &BTreeMap<String, String>) -> String {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inside, rest) = match part.strip_prefix('{').and_then(|part| part.split_once('}')) {
            Some(found) => found,
            None => {
                let end = part.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
                part.split_at(end.unwrap_or(part.len()))
            }
        };
        let (name, otherwise) = inside.split_once(":-").unwrap_or((inside, ""));
        out += defaults.get(name).map_or(otherwise, String::as_str);
        out += rest;
    }
    out
}

fn instructions(file: &Rc<str>, text: &str) -> Vec<Instruction> {
    let escape = text
        .lines()
        .take_while(|line| line.starts_with('#'))
        .find_map(|line| line.trim_start_matches(['#', ' ']).strip_prefix("escape="))
        .and_then(|escape| escape.chars().next())
        .unwrap_or('\\');
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let first = at;
        let mut whole = String::new();
        while at < lines.len() {
            let line = lines[at];
            at += 1;
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                // Within an instruction they are passed over.
                if whole.is_empty() {
                    break;
                }
                continue;
            }
            match line.trim_end().strip_suffix(escape) {
                Some(part) => whole.extend([part, " "]),
                None => {
                    whole.push_str(line.trim_end());
                    break;
                }
            }
        }
        if whole.is_empty() {
            continue;
        }
        for ending in here_documents(&whole) {
            while at < lines.len() && lines[at].trim_start_matches('\t') != ending {
                whole.extend(["\n", lines[at]]);
                at += 1;
            }
            at += 1;
        }
        let whole = whole.trim();
        let (keyword, rest) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
        let place = Place { file: file.clone(), line: first + 1 };
        found.push(instruction(place, keyword.to_uppercase(), rest.trim()));
    }
    found
}

/// The words that end the here-documents which an instruction begins.
fn here_documents(instruction: &str) -> Vec<String> {
    let keyword = instruction.split_whitespace().next().unwrap_or_default().to_uppercase();
    if !["RUN", "COPY", "ADD"].contains(&keyword.as_str()) {
        return Vec::new();
    }
    let starts = instruction.split("<<").skip(1);
    let words = starts.map(|after| after.trim_start_matches('-').trim_start_matches(['"', '\'']));
    words
        .map(|word| word.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
        .filter(|word: &String| !word.is_empty())
        .collect()
}

fn instruction(place: Place, keyword: String, rest: &str) -> Instruction {
    let mut flags = Vec::new();
    let mut rest = rest;
    while rest.starts_with("--") {
        let (flag, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        flags.push(flag.to_owned());
        rest = after.trim_start();
    }
    Instruction { place, keyword, flags, rest: rest.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# syntax=docker/dockerfile:1\nARG BASE=node:24@sha256:00\nFROM --platform=x ${BASE} AS one\n\
        RUN a \\\n# why\n    b\nRUN <<EOF\ninstall\nFROM nothing\nEOF\nfrom one as two\nUSER 1:1\n\
        ENV A=1 B=\"2 3\"\nFROM scratch\nCOPY --from=two /x /\n";

    #[test]
    fn lines_stages_and_arguments() {
        let read = read("Dockerfile", TEXT);
        assert_eq!(read.syntax.as_ref().unwrap().1, "docker/dockerfile:1");
        let bases: Vec<_> =
            read.stages.iter().map(|stage| (stage.name.as_str(), stage.base.as_str())).collect();
        assert_eq!(bases, [("one", "node:24@sha256:00"), ("two", "one"), ("2", "scratch")]);
        let runs: Vec<_> =
            read.stages[0].instructions.iter().map(|run| (run.place.line, run.rest.as_str())).collect();
        assert_eq!(runs, [(4, "a      b"), (7, "<<EOF\ninstall\nFROM nothing")]);
        assert_eq!(read.stages[1].place.line, 11);
        let pairs = read.stages[1].instructions[1].assignments();
        assert_eq!(pairs, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2 3".to_owned())]);
        assert_eq!(read.targets().map(|stage| stage.name.as_str()).collect::<Vec<_>>(), ["2"]);
        assert_eq!(read.chain(&read.stages[1]).len(), 2);
        assert_eq!(read.effective(&read.stages[1], "USER").unwrap().rest, "1:1");
    }
}
