//! YAML 1.2, written so that 1.1 readers understand the same: block style, ordered, with comments.
//!
//! A writer of our own because the maintained crates carry no comments, and an action's version must stand
//! beside its commit.

/// A YAML value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yaml {
    Boolean(bool),
    Integer(i64),
    /// A number that need not be whole, as it is written.
    Decimal(String),
    /// Quoted when it needs to be; of several lines, a literal block.
    Text(String),
    Sequence(Vec<Yaml>),
    Mapping(Vec<(String, Yaml)>),
    /// A scalar with a comment behind it.
    Commented(Box<Yaml>, String),
}

impl Yaml {
    pub fn text(text: impl Into<String>) -> Self {
        Yaml::Text(text.into())
    }

    #[must_use]
    pub fn mapping<const N: usize>(entries: [(&str, Yaml); N]) -> Self {
        Yaml::Mapping(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

/// `header` becomes comment lines at the top.
///
/// # Panics
/// When a comment has several lines, or stands behind something else than a scalar.
#[must_use]
pub fn write(header: &[String], document: &Yaml) -> String {
    let mut out: String = header.iter().map(|line| format!("# {}\n", one_line(line))).collect();
    match document {
        Yaml::Mapping(entries) if !entries.is_empty() => mapping(entries, 0, &mut out),
        Yaml::Sequence(items) if !items.is_empty() => sequence(items, 0, &mut out),
        scalar => {
            out.push_str(&inline(scalar));
            out.push('\n');
        }
    }
    out
}

fn mapping(entries: &[(String, Yaml)], depth: usize, out: &mut String) {
    for (position, (key, value)) in entries.iter().enumerate() {
        if position > 0 {
            out.push_str(&"  ".repeat(depth));
        }
        out.push_str(&scalar(key));
        out.push(':');
        entry(value, depth, out);
    }
}

fn entry(value: &Yaml, depth: usize, out: &mut String) {
    let inner = "  ".repeat(depth + 1);
    match value {
        Yaml::Mapping(entries) if !entries.is_empty() => {
            out.push('\n');
            out.push_str(&inner);
            mapping(entries, depth + 1, out);
        }
        Yaml::Sequence(items) if !items.is_empty() => {
            out.push('\n');
            out.push_str(&inner);
            sequence(items, depth + 1, out);
        }
        Yaml::Text(text) if is_block(text) => block(text, depth + 1, out),
        other => {
            out.push(' ');
            out.push_str(&inline(other));
            out.push('\n');
        }
    }
}

fn sequence(items: &[Yaml], depth: usize, out: &mut String) {
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push_str(&"  ".repeat(depth));
        }
        out.push_str("- ");
        match item {
            Yaml::Mapping(entries) if !entries.is_empty() => mapping(entries, depth + 1, out),
            Yaml::Sequence(inner) if !inner.is_empty() => sequence(inner, depth + 1, out),
            Yaml::Text(text) if is_block(text) => {
                out.pop();
                block(text, depth + 1, out);
            }
            other => {
                out.push_str(&inline(other));
                out.push('\n');
            }
        }
    }
}

/// A text of several lines that a literal block keeps as it is.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n'])
        && text.chars().all(|c| c == '\n' || !needs_escape(c))
        && !text.ends_with("\n\n")
}

fn block(text: &str, depth: usize, out: &mut String) {
    out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
    for line in text.lines() {
        if !line.is_empty() {
            out.push_str(&"  ".repeat(depth));
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn inline(value: &Yaml) -> String {
    match value {
        Yaml::Boolean(flag) => flag.to_string(),
        Yaml::Integer(number) => number.to_string(),
        Yaml::Decimal(number) => number.clone(),
        Yaml::Text(text) => scalar(text),
        Yaml::Sequence(_) => "[]".to_owned(),
        Yaml::Mapping(_) => "{}".to_owned(),
        Yaml::Commented(value, comment) => {
            let is_scalar = matches!(**value, Yaml::Boolean(_) | Yaml::Integer(_) | Yaml::Text(_));
            assert!(is_scalar, "a comment stands behind a scalar only: {comment}");
            format!("{} # {}", inline(value), one_line(comment))
        }
    }
}

fn one_line(comment: &str) -> &str {
    assert!(!comment.contains(['\n', '\r']), "a comment has one line: {comment:?}");
    comment
}

fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Conservative: whatever could be read as something else than this very text is quoted.
fn is_plain(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_' || c == '.');
    let ends_well = !text.ends_with([' ', ':']);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/_.-+@ (),=:;<>~^".contains(c);
    // Words that YAML 1.1 readers take for booleans or null. GitHub's own key `on` is one; its readers know it.
    let words = ["true", "false", "yes", "no", "off", "null", "y", "n", "~", ".inf", ".nan"];
    starts_well
        && ends_well
        && text.chars().all(allowed)
        && !text.contains(": ")
        && !words.contains(&text.to_ascii_lowercase().as_str())
        && !text.starts_with(|c: char| c == '.' && text[1..].starts_with(|next: char| next.is_ascii_digit()))
        && !(text.starts_with('.') && text.len() == 1)
        // The end of a document.
        && !text.starts_with("...")
}

/// Characters that YAML does not print, or takes for a byte order mark or, in version 1.1, for a line break.
fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if needs_escape(c) => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::{Yaml, write};

    #[test]
    fn writes_nested_blocks_with_comments() {
        let document = Yaml::mapping([
            ("name", Yaml::text("CI")),
            ("empty", Yaml::Mapping(vec![])),
            (
                "steps",
                Yaml::Sequence(vec![
                    Yaml::mapping([(
                        "uses",
                        Yaml::Commented(Box::new(Yaml::text("actions/checkout@abc")), "v1".to_owned()),
                    )]),
                    Yaml::mapping([("run", Yaml::text("a\n\nb\n")), ("shell", Yaml::text("bash"))]),
                ]),
            ),
        ]);
        assert_eq!(
            write(&["head".to_owned()], &document),
            "# head\nname: CI\nempty: {}\nsteps:\n  - uses: actions/checkout@abc # v1\n  - run: |\n      a\n\n      \
             b\n    shell: bash\n"
        );
    }

    #[test]
    fn quotes_what_would_be_read_as_something_else() {
        for (text, shown) in [
            ("plain words", "plain words"),
            ("on", "on"),
            ("no", "\"no\""),
            ("True", "\"True\""),
            ("1.0", "\"1.0\""),
            ("", "\"\""),
            (".5", "\".5\""),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("- x", "\"- x\""),
            ("*a", "\"*a\""),
            ("${{ x }}", "\"${{ x }}\""),
            ("tab\t", "\"tab\\t\""),
            ("0 3 * * 1", "\"0 3 * * 1\""),
        ] {
            assert_eq!(write(&[], &Yaml::text(text)), format!("{shown}\n"), "{text:?}");
        }
    }
}
