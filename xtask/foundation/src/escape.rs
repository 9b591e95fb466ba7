//! What somebody else wrote, as it may be shown: nothing in it moves the cursor, changes colours or the direction of
//! reading, hides, or begins a line of its own. Backslashes and quotation marks stay.

use std::borrow::Cow;

/// Of a name: everything in it shows, and it stays on its line.
pub fn name(text: &str) -> Cow<'_, str> {
    escape(text, is_visible)
}

/// Of a text for people: it keeps its lines, and blanks and joiners that languages need.
pub fn text(text: &str) -> Cow<'_, str> {
    escape(text, |letter| matches!(letter, '\n' | '\t') || !letter.is_control() && !turns(letter))
}

fn escape(text: &str, shows: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&shows) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if shows(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_unicode());
        }
    }
    shown.into()
}

/// What Unicode calls Bidi_Control.
fn turns(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a letter shows as what it is. Marks that belong to the letter before do; controls, formats and what Unicode has
/// not assigned do not.
pub fn is_visible(letter: char) -> bool {
    // Of a string only the first mark is escaped.
    let mut pair = [0; 5];
    pair[0] = b'a';
    let end = 1 + letter.encode_utf8(&mut pair[1..]).len();
    let pair = std::str::from_utf8(&pair[..end]).unwrap_or_default();
    matches!(letter, '\\' | '\'' | '"') || pair.escape_debug().eq(pair.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_escaped_and_nothing_else() {
        for shows in ["a b", r#"C:\x "y" 'z'"#, "größe", "日本語", "✓ → …", "e\u{301}", "👍"] {
            assert_eq!((name(shows), text(shows)), (shows.into(), shows.into()));
        }
        assert_eq!(text("a\n\tb"), "a\n\tb");
        for (bad, shown) in [
            ("a\x1b[31mb", r"a\u{1b}[31mb"),
            ("a\rb", r"a\u{d}b"),
            ("a\x07", r"a\u{7}"),
            ("a\x7f", r"a\u{7f}"),
            ("a\u{9b}2J", r"a\u{9b}2J"),
            ("a\u{202e}cba", r"a\u{202e}cba"),
            ("a\u{2066}b", r"a\u{2066}b"),
            ("a\u{61c}b", r"a\u{61c}b"),
            ("a\u{200b}b", r"a\u{200b}b"),
            ("a\u{feff}b", r"a\u{feff}b"),
            ("a\u{2028}b", r"a\u{2028}b"),
            ("a\u{a0}b", r"a\u{a0}b"),
            ("a\u{e000}", r"a\u{e000}"),
        ] {
            assert_eq!(name(bad), shown);
            let readable = ['\u{200b}', '\u{feff}', '\u{2028}', '\u{a0}', '\u{e000}'];
            assert_eq!(text(bad), if bad.contains(readable) { bad } else { shown });
        }
        assert_eq!(name("a\n✓ signature"), r"a\u{a}✓ signature");
    }
}
