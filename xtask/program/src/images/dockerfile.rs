//! The little that must be read from a Dockerfile: its stages, and the arguments that name its bases. Pure.

/// An `ARG NAME=default` above the first `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    pub name: String,
    pub default: String,
}

/// The arguments above the first stage that have a default.
pub fn global_arguments(text: &str) -> Vec<Argument> {
    let lines = instructions(text);
    let above = lines.iter().take_while(|line| !begins(line, "FROM"));
    above
        .filter(|line| begins(line, "ARG"))
        .flat_map(|line| line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|word| {
            let (name, default) = word.split_once('=')?;
            Some(Argument { name: name.to_owned(), default: default.trim_matches(['"', '\'']).to_owned() })
        })
        .collect()
}

/// The names of the stages.
pub fn stages(text: &str) -> Vec<String> {
    instructions(text)
        .iter()
        .filter(|line| begins(line, "FROM"))
        .filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let at = words.iter().position(|word| word.eq_ignore_ascii_case("as"))?;
            words.get(at + 1).map(|name| (*name).to_owned())
        })
        .collect()
}

/// Bases that are written out in a `FROM` instead of coming from an argument: no stand-in can take their place.
pub fn fixed_bases(text: &str) -> Vec<String> {
    let stages = stages(text);
    instructions(text)
        .iter()
        .filter(|line| begins(line, "FROM"))
        .filter_map(|line| {
            line.split_whitespace().skip(1).find(|word| !word.starts_with("--")).map(str::to_owned)
        })
        .filter(|base| !base.contains('$') && base != "scratch" && !stages.contains(base))
        .collect()
}

/// Whether an argument's default is the image `reference`, with or without digest and Docker's own registry.
pub fn names(default: &str, reference: &str) -> bool {
    let bare = default.split('@').next().unwrap_or(default);
    let bare = bare.strip_prefix("docker.io/").unwrap_or(bare);
    bare.strip_prefix("library/").unwrap_or(bare) == reference
}

/// Whether an argument's default names an image by digest.
pub fn pinned(default: &str) -> bool {
    default.contains("@sha256:")
}

fn begins(line: &str, word: &str) -> bool {
    line.split_whitespace().next().is_some_and(|first| first.eq_ignore_ascii_case(word))
}

/// Lines with their continuations joined, without comments.
fn instructions(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        match line.strip_suffix('\\') {
            Some(start) => open = open + start + " ",
            None => lines.push(std::mem::take(&mut open) + line),
        }
    }
    lines.into_iter().filter(|line| !line.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# syntax comment\nARG NODE=docker.io/library/node:24-bookworm-slim@sha256:ab\nARG EMPTY\n\
        FROM ${NODE} AS deps\nARG INNER=1\nRUN a \\\n  && b\nFROM --platform=linux/amd64 postgres:18 as migrate\n\
        FROM deps AS node-red\nFROM scratch AS mcp-tools\n";

    #[test]
    fn bases_and_stages_are_found() {
        let arguments = global_arguments(TEXT);
        assert_eq!(arguments.len(), 1);
        assert_eq!(arguments[0].name, "NODE");
        assert!(names(&arguments[0].default, "node:24-bookworm-slim") && pinned(&arguments[0].default));
        assert!(!names(&arguments[0].default, "node:24"));
        assert_eq!(stages(TEXT), ["deps", "migrate", "node-red", "mcp-tools"]);
        assert_eq!(fixed_bases(TEXT), ["postgres:18"]);
    }
}
