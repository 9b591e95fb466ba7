//! `.gitattributes`.

/// One line: a pattern and the attributes that its files have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Comment(String),
    Attributes { pattern: String, attributes: Vec<&'static str> },
}

/// The file's text. A pattern holds no space: git would end it there.
///
/// # Panics
/// When a pattern does.
#[must_use]
pub fn write(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| match line {
            Line::Comment(text) => format!("# {text}\n"),
            Line::Attributes { pattern, attributes } => {
                assert!(
                    !pattern.contains([' ', '\t', '\n', '"']),
                    "{pattern}: a pattern that git would split"
                );
                format!("{pattern} {}\n", attributes.join(" "))
            }
        })
        .collect()
}
