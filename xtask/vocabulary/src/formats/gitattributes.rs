//! `.gitattributes`.

/// One line: a pattern and the attributes that its files have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Comment(String),
    Attributes { pattern: String, attributes: Vec<&'static str> },
}

#[must_use]
pub fn write(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| match line {
            Line::Comment(text) => format!("# {text}\n"),
            Line::Attributes { pattern, attributes } => format!("{pattern} {}\n", attributes.join(" ")),
        })
        .collect()
}
