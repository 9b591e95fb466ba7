//! `SHA256SUMS`, as `sha256sum --check` reads it: what the signature is over.

use std::collections::BTreeMap;

/// The file's name.
pub const FILE: &str = "SHA256SUMS";

/// SHA-256 in lower-case hexadecimal, by file name.
pub type Sums = BTreeMap<String, String>;

/// The file's text, sorted by name.
pub fn text(sums: &Sums) -> String {
    sums.iter().map(|(name, sha256)| format!("{sha256}  {name}\n")).collect()
}

/// Reads the file's text. Strict: only what [`text`] writes, so that two readers cannot understand it differently.
///
/// # Errors
/// Every problem, with its line.
pub fn parse(text: &str) -> Result<Sums, Vec<String>> {
    let mut sums = Sums::new();
    let mut problems = Vec::new();
    if text.is_empty() || !text.ends_with('\n') {
        problems
            .push(format!("{FILE} is truncated: expected at least one line, and a line end after the last"));
    }
    for (index, line) in text.lines().enumerate() {
        let place = format!("{FILE}:{}", index + 1);
        let Some((sha256, name)) = line.split_once("  ").filter(|(sha256, _)| is_sha256(sha256)) else {
            problems.push(format!(
                "{place}: expected 64 lower-case hexadecimal digits, two spaces and a file name"
            ));
            continue;
        };
        if !is_plain(name) {
            problems.push(format!(
                "{place}: {name:?} is no plain file name: expected letters, digits and `._+-`, without a folder"
            ));
        } else if sums.insert(name.to_owned(), sha256.to_owned()).is_some() {
            problems.push(format!("{place}: {name} is listed twice"));
        }
    }
    if problems.is_empty() && self::text(&sums) != text {
        problems.push(format!(
            "{FILE}: expected the lines in the order of their names, each ended by a line feed alone"
        ));
    }
    if problems.is_empty() { Ok(sums) } else { Err(problems) }
}

/// Whether it is a lower-case SHA-256.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a name can be a file of a release: no folder, nothing that a shell or a terminal would take for more.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn what_is_written_is_read() {
        let sums = Sums::from([("b.json".to_owned(), A.to_owned()), ("a.tar.gz".to_owned(), A.to_owned())]);
        let text = text(&sums);
        assert_eq!(text, format!("{A}  a.tar.gz\n{A}  b.json\n"));
        assert_eq!(parse(&text).unwrap(), sums);
    }

    #[test]
    fn nothing_else_is_read() {
        for (text, part) in [
            (String::new(), "truncated"),
            (format!("{A}  a"), "truncated"),
            (format!("{A} *a\n"), "SHA256SUMS:1: expected 64"),
            (format!("{}  a\n", A.to_uppercase()), "SHA256SUMS:1: expected 64"),
            (format!("{A}  a\n{A}  a\n"), "SHA256SUMS:2: a is listed twice"),
            (format!("{A}  ../a\n"), "no plain file name"),
            (format!("{A}  /etc/passwd\n"), "no plain file name"),
            (format!("{A}  -rf\n"), "no plain file name"),
            (format!("{A}  .hidden\n"), "no plain file name"),
            (format!("{A}  a b\n"), "no plain file name"),
        ] {
            let problems = parse(&text).unwrap_err().join("\n");
            assert!(problems.contains(part), "{text:?}: {problems}");
        }
    }
}
