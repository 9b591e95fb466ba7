//! `.env` files: `NAME=value` lines as Docker, Compose and shells read them.

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Comment(String),
    Variable { name: String, value: String },
    Blank,
}

/// # Panics
/// When a value would need quoting, which the readers of these files do not agree on.
#[must_use]
pub fn write(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| match line {
            Line::Comment(text) => format!("# {text}\n"),
            Line::Variable { name, value } => {
                assert!(
                    !value.contains(['\n', '"', '\'', '#', '$', ' ']),
                    "{name}: a value that needs quoting has no portable form"
                );
                format!("{name}={value}\n")
            }
            Line::Blank => "\n".to_owned(),
        })
        .collect()
}
