//! Variables in the values of Compose files.

/// Stands for a value that the site must give: it is not empty, and not known here.
pub const GIVEN: &str = "<given by the site>";

/// The value that Compose would use when only what it demands is set: a default is taken, what is demanded is [`GIVEN`],
/// everything else is empty.
pub fn settled(text: &str) -> String {
    settled_within(text, 0)
}

/// So many defaults in defaults are followed; what lies deeper is taken for [`GIVEN`].
const DEPTH: usize = 20;

fn settled_within(text: &str, depth: usize) -> String {
    if depth > DEPTH {
        return GIVEN.to_owned();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = closing(after);
            out.push_str(&substituted(&after[..end], depth + 1));
            rest = after.get(end + 1..).unwrap_or_default();
        } else {
            rest = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
        }
    }
    out + rest
}

/// Where the brace that is open closes.
fn closing(text: &str) -> usize {
    let mut depth = 1_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn substituted(inside: &str, depth: usize) -> String {
    let end = inside.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let operator = end.map_or("", |end| &inside[end..]);
    let operator = operator.strip_prefix(':').unwrap_or(operator);
    match operator.strip_prefix('-') {
        Some(default) => settled_within(default, depth),
        None if operator.starts_with('?') => GIVEN.to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_demands_and_nothing() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${A:-512}m", "512m"),
            ("${A-}", ""),
            ("${A}:$B/x", ":/x"),
            ("${A:?what it is}", GIVEN),
            ("${A:-${B:?of {braces}}/key}", "<given by the site>/key"),
            ("$$HOME", "$HOME"),
            ("${A:+set}", ""),
        ] {
            assert_eq!(settled(text), expected, "{text}");
        }
    }
}
