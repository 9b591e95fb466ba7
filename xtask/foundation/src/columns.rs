//! Text in columns, by the cells that a terminal gives it: some characters take two and some none. Pure.

use unicode_width::UnicodeWidthStr as _;

/// The cells of the widest text.
pub fn widest<'a>(texts: impl IntoIterator<Item = &'a str>) -> usize {
    texts.into_iter().map(|text| text.width()).max().unwrap_or(0)
}

/// The text, and spaces up to so many cells.
pub fn left(text: &str, cells: usize) -> String {
    format!("{text}{}", " ".repeat(cells.saturating_sub(text.width())))
}

/// A line for each name and what is said of it, which begins in the same cell everywhere.
pub fn list<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let cells = widest(rows.iter().map(|(name, _)| *name));
    rows.iter().map(|(name, about)| format!("{}  {about}\n", left(name, cells))).collect()
}

/// Columns as wide as their widest cell, two spaces between.
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let cells: [usize; N] = std::array::from_fn(|column| widest(rows.iter().map(|row| row[column].as_str())));
    let line = |row: &[String; N]| {
        let row: Vec<_> = row.iter().zip(cells).map(|(cell, cells)| left(cell, cells)).collect();
        format!("{}\n", row.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_begin_in_the_same_cell_whatever_comes_before() {
        let names = ["a", "secrets-in-history", "größe", "検査", "e\u{301}", ""];
        let shown = list(names.map(|name| (name, "about")));
        for (line, name) in shown.lines().zip(names) {
            let (before, _) = line.split_once("about").unwrap();
            assert!(before.starts_with(name) && before.width() == 20, "{line:?}");
        }
        assert_eq!(list([]), "");
        assert_eq!(list([("one", "x")]), "one  x\n", "no wider than it has to be");
    }
}
