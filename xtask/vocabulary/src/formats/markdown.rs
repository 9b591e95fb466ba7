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
/// When a row of a table has not as many cells as the table has headers.
#[must_use]
pub fn write(blocks: &[Block]) -> String {
    let texts: Vec<String> = blocks
        .iter()
        .map(|block| match block {
            Block::Comment(text) => format!("<!-- {text} -->\n"),
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
    format!("`{text}`")
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
    if cell.is_empty() { "-".to_owned() } else { cell.replace('|', "\\|").replace('\n', " ") }
}

#[cfg(test)]
mod tests {
    use super::{Block, write};

    #[test]
    fn a_cell_cannot_break_its_table() {
        let page = write(&[Block::Table {
            headers: vec!["a", "b"],
            rows: vec![vec!["x|y".to_owned(), String::new()], vec!["1\n2".to_owned(), "z".to_owned()]],
        }]);
        assert_eq!(page, "| a | b |\n|---|---|\n| x\\|y | - |\n| 1 2 | z |\n");
    }
}
