//! Coverage as lcov writes it: which lines a file has, and how often each ran. Pure.

use std::collections::BTreeMap;

/// The lines of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Below the root, with `/`; as the report has it where that is outside the root.
    pub path: String,
    pub lines: u64,
    /// Of these, the lines that ran at least once.
    pub covered: u64,
}

/// The files of a report, by path. Its relative paths are below `base`, which is below the root; absolute ones lose the
/// root. A line that several records count ran when one of them says so.
///
/// # Errors
/// The first line that is not as lcov has it, with its number.
pub fn read(text: &str, root: &str, base: &str) -> Result<Vec<File>, String> {
    let mut files: BTreeMap<String, BTreeMap<u64, bool>> = BTreeMap::new();
    let mut open: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let wrong = |what: &str| format!("{}: {what}: {line:?}", index + 1);
        if let Some(name) = line.strip_prefix("SF:") {
            let path = below(name, root, base);
            files.entry(path.clone()).or_default();
            open = Some(path);
        } else if let Some(data) = line.strip_prefix("DA:") {
            let mut fields = data.split(',');
            let mut number = || fields.next().and_then(|field| field.trim().parse::<u64>().ok());
            let (Some(at), Some(hits)) = (number(), number()) else {
                return Err(wrong("expected DA:LINE,HITS"));
            };
            let path = open.as_ref().ok_or_else(|| wrong("no SF: names its file"))?;
            let ran = files.entry(path.clone()).or_default().entry(at).or_default();
            *ran |= hits > 0;
        } else if line == "end_of_record" {
            open = None;
        }
    }
    match open {
        Some(path) => Err(format!("the record of {path} has no end; the report is cut off")),
        None => Ok(files.into_iter().map(counted).collect()),
    }
}

fn counted((path, lines): (String, BTreeMap<u64, bool>)) -> File {
    let covered = lines.values().filter(|ran| **ran).count() as u64;
    File { path, lines: lines.len() as u64, covered }
}

fn below(name: &str, root: &str, base: &str) -> String {
    let name = name.replace('\\', "/");
    if let Some(rest) = name.strip_prefix(root).and_then(|rest| rest.strip_prefix('/')) {
        return rest.to_owned();
    }
    if name.starts_with('/') || base.is_empty() { name } else { format!("{base}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, lines: u64, covered: u64) -> File {
        File { path: path.to_owned(), lines, covered }
    }

    #[test]
    fn lines_are_counted_once_however_often_they_are_listed() {
        let text = "TN:\nSF:/tree/src/a.rs\nFN:1,main\nDA:1,5\nDA:2,0\nDA:3,0,sum\nLF:3\nend_of_record\nSF:b.js\nDA:1,1\nend_of_record\n\
                    SF:/tree/src/a.rs\nDA:2,1\nend_of_record\nSF:/other/c.rs\nDA:9,0\nend_of_record\n";
        let files = read(text, "/tree", "flows").unwrap();
        assert_eq!(files, [file("/other/c.rs", 1, 0), file("flows/b.js", 1, 1), file("src/a.rs", 3, 2)]);
        assert_eq!(read("", "/tree", "").unwrap(), []);
    }

    #[test]
    fn invalid_and_truncated_reports_are_errors() {
        for (text, expected) in [
            ("SF:a\nDA:x,1\n", "2: expected DA:LINE,HITS: \"DA:x,1\""),
            ("SF:a\nDA:1\n", "2: expected DA:LINE,HITS: \"DA:1\""),
            ("DA:1,1\n", "1: no SF: names its file: \"DA:1,1\""),
            ("SF:a\nDA:1,1\n", "the record of a has no end; the report is cut off"),
        ] {
            assert_eq!(read(text, "/tree", ""), Err(expected.to_owned()));
        }
    }
}
