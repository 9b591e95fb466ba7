//! Texts that quote what a file or a caller holds, however long that is. Pure.

use std::borrow::Cow;

/// Longer lines are cut, in bytes.
const LONGEST: usize = 1000;
/// So much of a cut line is kept at each end, in bytes: the start names the place, the end says what to do.
const KEPT: usize = 350;

/// The text, each line that is too long without its middle.
pub fn shorten(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST || text.lines().all(|line| line.len() <= LONGEST) {
        return text.into();
    }
    let lines = text.split('\n').map(|line| {
        if line.len() <= LONGEST {
            return line.to_owned();
        }
        let ends = |at: usize| (0..=at).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        let (start, end) = (ends(KEPT), ends(line.len() - KEPT));
        format!("{} [{} more bytes] {}", &line[..start], end - start, &line[end..])
    });
    lines.collect::<Vec<_>>().join("\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_lines_lose_their_middle() {
        let list = "a name of thirty characters, ..\n".repeat(1000);
        for short in ["", "plain\n", &list, &"x".repeat(LONGEST)] {
            assert_eq!(shorten(short), short);
        }
        let text = format!("a.toml:1:2: \"{}\"; expected less\nnext\n", "ä".repeat(1 << 20));
        let shown = shorten(&text);
        assert!(shown.len() < LONGEST, "{shown}");
        assert!(
            shown.starts_with("a.toml:1:2: \"ää") && shown.ends_with("ä\"; expected less\nnext\n"),
            "{shown}"
        );
        assert!(shown.contains("ä [2096"), "{shown}");
    }
}
