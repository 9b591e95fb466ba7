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
                    !value.contains(|c: char| c.is_whitespace() || "\"'#$\\`".contains(c)),
                    "{name}: a value that needs quoting has no portable form"
                );
                format!("{name}={value}\n")
            }
            Line::Blank => "\n".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Line, write};

    fn variable(value: &str) -> Line {
        Line::Variable { name: "KEY_FILE".to_owned(), value: value.to_owned() }
    }

    #[test]
    fn writes_lines_as_every_reader_takes_them() {
        let lines = [Line::Comment("what for".to_owned()), Line::Blank, variable("/run/secrets/key")];
        assert_eq!(write(&lines), "# what for\n\nKEY_FILE=/run/secrets/key\n");
    }

    #[test]
    fn values_without_a_portable_form_are_refused() {
        for value in ["a b", "a#b", "$HOME", "a\nb", "\"a\"", "it's", "a\\b", "`id`", "a\rb", "a\tb"] {
            let written = std::panic::catch_unwind(|| write(&[variable(value)]));
            assert!(written.is_err(), "{value:?}");
        }
    }
}
