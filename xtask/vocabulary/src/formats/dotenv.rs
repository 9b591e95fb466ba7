//! `.env` files: `NAME=value` lines as Docker, Compose and shells read them.

use crate::problem::Problem;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Comment(String),
    Variable { name: String, value: String },
    Blank,
}

/// # Errors
/// Every value that would need quoting: the readers of these files do not agree on how.
pub fn write(lines: &[Line]) -> Result<String, Vec<Problem>> {
    let unquoted = |value: &str| !value.contains(|c: char| c.is_whitespace() || "\"'#$\\`".contains(c));
    let mut text = String::new();
    let mut problems = Vec::new();
    for line in lines {
        match line {
            Line::Comment(comment) => text += &format!("# {comment}\n"),
            Line::Variable { name, value } if unquoted(value) => text += &format!("{name}={value}\n"),
            Line::Variable { name, value } => problems.push(
                Problem::new(name.as_str(), format!("{value:?} needs quoting, which has no portable form"))
                    .expected("no space, quote, #, $, \\ or `"),
            ),
            Line::Blank => text.push('\n'),
        }
    }
    if problems.is_empty() { Ok(text) } else { Err(problems) }
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
        assert_eq!(write(&lines).unwrap(), "# what for\n\nKEY_FILE=/run/secrets/key\n");
    }

    #[test]
    fn values_without_a_portable_form_are_refused() {
        for value in ["a b", "a#b", "$HOME", "a\nb", "\"a\"", "it's", "a\\b", "`id`", "a\rb", "a\tb"] {
            let problems = write(&[variable(value), variable("good"), variable(value)]).unwrap_err();
            assert_eq!(problems.len(), 2, "{value:?}");
        }
    }
}
