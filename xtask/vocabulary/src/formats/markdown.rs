//! Markdown pages of headings, paragraphs and tables.

/// One part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// An HTML comment: readers of the page do not see it.
    Comment(String),
    Heading(u8, String),
    Paragraph(String),
    Table {
        headers: Vec<&'static str>,
        rows: Vec<Vec<String>>,
    },
}

/// # Panics
/// When a row of a table has not as many cells as the table has headers, or a comment holds `--`.
#[must_use]
pub fn write(blocks: &[Block]) -> String {
    let texts: Vec<String> = blocks
        .iter()
        .map(|block| match block {
            Block::Comment(text) => {
                assert!(!text.contains("--"), "it would end the comment: {text}");
                format!("<!-- {text} -->\n")
            }
            Block::Heading(level, text) => format!("{} {text}\n", "#".repeat(usize::from(*level))),
            Block::Paragraph(text) => format!("{text}\n"),
            Block::Table { headers, rows } => table(headers, rows),
        })
        .collect();
    texts.join("\n")
}

/// `text` as code, safe inside a table.
#[must_use]
pub fn code(text: &str) -> String {
    // Of two marks around, a single one inside is text.
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(headers.iter().map(|header| (*header).to_owned()).collect());
    out.push_str(&format!("|{}\n", "---|".repeat(headers.len())));
    for row in rows {
        assert_eq!(row.len(), headers.len(), "a row has as many cells as the table has headers");
        out.push_str(&line(row.iter().map(|cell| escape(cell)).collect()));
    }
    out
}

fn escape(cell: &str) -> String {
    if cell.is_empty() {
        return "-".to_owned();
    }
    // Outside of code a `<` may begin a tag, which readers of the page would not see.
    let mut parts = cell
        .split('`')
        .enumerate()
        .map(|(index, part)| if index % 2 == 0 { part.replace('<', "&lt;") } else { part.to_owned() });
    let first = parts.next().unwrap_or_default();
    let shown = parts.fold(first, |shown, part| shown + "`" + &part);
    shown.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::{Block, code, write};

    #[test]
    fn a_cell_cannot_break_its_table() {
        let page = write(&[Block::Table {
            headers: vec!["a", "b"],
            rows: vec![vec!["x|y".to_owned(), String::new()], vec!["1\n2".to_owned(), "z".to_owned()]],
        }]);
        assert_eq!(page, "| a | b |\n|---|---|\n| x\\|y | - |\n| 1 2 | z |\n");
    }

    #[test]
    fn tags_show_as_they_are_written() {
        let rows = vec![vec!["a <b> `sizes.<service>` <c>".to_owned(), code("x`y|z")]];
        let page = write(&[Block::Table { headers: vec!["a", "b"], rows }]);
        assert!(page.ends_with("| a &lt;b> `sizes.<service>` &lt;c> | `` x`y\\|z `` |\n"), "{page}");
    }

    #[test]
    #[should_panic(expected = "as many cells")]
    fn a_row_that_is_too_short_is_a_defect() {
        let _ = write(&[Block::Table { headers: vec!["a", "b"], rows: vec![vec!["1".to_owned()]] }]);
    }

    #[test]
    #[should_panic(expected = "end the comment")]
    fn a_comment_cannot_end_early() {
        let _ = write(&[Block::Comment("a --> b".to_owned())]);
    }
}
