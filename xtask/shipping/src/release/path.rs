//! Which paths an archive of a release may hold: those that every file system, shell and terminal takes for the same thing.

use unicase::UniCase;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use foundation::escape::is_visible;

/// What is wrong with a relative path.
pub fn problem(path: &str) -> Option<&'static str> {
    path.split('/').find_map(|part| match part {
        "" | "." => Some("a path that is not in our normal form"),
        ".." => Some("a path that leaves the archive's folder"),
        part => name_problem(part),
    })
}

/// What is wrong with one name of a path, or of what a link leads to.
pub fn name_problem(name: &str) -> Option<&'static str> {
    if name.contains('\\') {
        Some("a backslash, which other systems use to separate folders")
    } else if !name.chars().all(is_visible) {
        Some("an invisible character, or one that changes how others look")
    } else if !is_nfc(name) {
        Some("letters that are not in Unicode's normal form C")
    } else if name.starts_with(['-', ' ']) {
        Some("a name that begins with a dash or a blank, which programs misread")
    } else if name.ends_with(['.', ' ']) {
        Some("a name that ends with a full stop or a blank, which other systems drop")
    } else {
        None
    }
}

/// Equal for paths that some file system takes for the same: those that differ in capitals or in how letters are composed.
pub fn folded(path: &str) -> String {
    let composed: String = path.nfkc().collect();
    UniCase::new(composed).to_folded_case().nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_plain_for_everybody() {
        for good in [
            "a",
            "a/b.c",
            "a b",
            ".github/x",
            "a-b",
            "größe",
            "日本語/ファイル",
            "x'y",
            "[id].js",
            "@scope/a",
            "LICENSE",
            "...a",
            "e+1",
            "a~",
            "#x",
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
        for (bad, part) in [
            ("", "not in our normal form"),
            ("a//b", "not in our normal form"),
            ("./a", "not in our normal form"),
            ("a/", "not in our normal form"),
            ("a/../b", "leaves"),
            ("..", "leaves"),
            ("z\\..\\x", "backslash"),
            ("-rf", "begins with a dash"),
            ("a/--help", "begins with a dash"),
            (" a", "begins with a dash or a blank"),
            ("a /b", "ends with"),
            ("a ", "ends with"),
            ("a.", "ends with"),
            ("a./b", "ends with"),
            ("a\nb", "an invisible character"),
            ("a\u{1b}[31mb", "an invisible character"),
            ("a\u{7f}", "an invisible character"),
            ("a\u{202e}gpj.exe", "an invisible character"),
            ("a\u{2067}b", "an invisible character"),
            ("a\u{200f}b", "an invisible character"),
            ("a\u{200b}b", "an invisible character"),
            ("a\u{a0}b", "an invisible character"),
            ("a\u{2028}b", "an invisible character"),
            ("a\u{ad}b", "an invisible character"),
            ("o\u{308}", "normal form C"),
            ("\u{212b}", "normal form C"),
        ] {
            let found = problem(bad);
            assert!(found.is_some_and(|found| found.contains(part)), "{bad:?}: {found:?}");
        }
    }

    #[test]
    fn twins_are_folded_to_the_same() {
        for (one, other) in [
            ("README.md", "readme.MD"),
            ("stra\u{df}e", "STRASSE"),
            ("\u{e9}", "e\u{301}"),
            ("\u{c9}", "e\u{301}"),
            ("\u{3a3}", "\u{3c2}"),
            ("\u{fb01}le", "FILE"),
            ("\u{ff41}", "a"),
            ("\u{212a}", "k"),
        ] {
            assert_eq!(folded(one), folded(other), "{one:?} {other:?}");
        }
        assert_ne!(folded("a-b"), folded("a_b"));
    }

    /// Of every letter of the scripts that have capitals, and of all that are composed: folding twice changes nothing, and
    /// capitals make no difference.
    #[test]
    fn folding_is_stable() {
        for letter in (0..0x3000).chain(0xa640..0xac00).chain(0xf900..0x1_0000).filter_map(char::from_u32) {
            let folds = folded(&letter.to_string());
            assert_eq!(folded(&folds), folds, "{letter:?}");
            let lower = letter.to_lowercase().to_string();
            if lower.to_uppercase() == letter.to_string() {
                assert_eq!(folded(&lower), folds, "{letter:?}");
            }
        }
    }
}
