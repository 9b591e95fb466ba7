//! Words and commands of shell text, as far as judging them needs: quotes and escapes, no expansion.

/// The words of the text.
pub fn words(text: &str) -> Vec<String> {
    commands(text).concat()
}

/// The commands of the text, each as its words; `&&`, `||`, `;`, `|`, `&` and the end of a line part them.
pub fn commands(text: &str) -> Vec<Vec<String>> {
    let mut reader = Reader::default();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (reader.quote, letter) {
            (Some('\''), '\'') | (Some('"'), '"') => reader.quote = None,
            (Some('\''), _) => reader.push(letter),
            (_, '\\') => match letters.next() {
                Some('\n') | None => {}
                Some(escaped) => reader.push(escaped),
            },
            (Some(_), _) => reader.push(letter),
            (None, '\'' | '"') => {
                reader.quote = Some(letter);
                reader.word.get_or_insert_default();
            }
            (None, '#') if reader.word.is_none() => {
                while letters.peek().is_some_and(|letter| *letter != '\n') {
                    letters.next();
                }
            }
            (None, ';' | '|' | '&' | '\n') => reader.end_command(),
            (None, letter) if letter.is_whitespace() => reader.end_word(),
            (None, _) => reader.push(letter),
        }
    }
    reader.end_command();
    reader.commands
}

#[derive(Default)]
struct Reader {
    quote: Option<char>,
    word: Option<String>,
    command: Vec<String>,
    commands: Vec<Vec<String>>,
}

impl Reader {
    fn push(&mut self, letter: char) {
        self.word.get_or_insert_default().push(letter);
    }

    fn end_word(&mut self) {
        self.command.extend(self.word.take());
    }

    fn end_command(&mut self) {
        self.end_word();
        if !self.command.is_empty() {
            self.commands.push(std::mem::take(&mut self.command));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_escapes_and_ends() {
        assert_eq!(
            commands("a 'b c' \"d \\\" e\" && f\\ g; # no\nh''|i"),
            [vec!["a", "b c", "d \" e"], vec!["f g"], vec!["h"], vec!["i"]]
        );
        assert_eq!(words("A=1 B=\"2 3\" ''"), ["A=1", "B=2 3", ""]);
    }
}
