//! Which lines of a text another version of it touches. Pure.

use std::collections::BTreeSet;
use std::ops::Range;

use similar::{Algorithm, DiffTag, capture_diff_slices};

/// How a text differs from an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Lines of the earlier text that are gone or are another now, from 0.
    pub old: BTreeSet<usize>,
    /// How many lines of the later text are new.
    pub added: usize,
}

/// Where several placements of a removed block say the same, that one counts which begins, then ends, least
/// indented, and of those the last: so a removed element is its own lines and not its neighbour's bracket.
pub fn touched(old: &str, new: &str) -> Touched {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let start = old.iter().zip(&new).take_while(|(left, right)| left == right).count();
    let rest = old.len().min(new.len()) - start;
    let end =
        old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(left, right)| left == right).count();
    let (middle, other) = (&old[start..old.len() - end], &new[start..new.len() - end]);
    let changes: Vec<(Range<usize>, usize)> = capture_diff_slices(Algorithm::Myers, middle, other)
        .iter()
        .filter(|change| change.tag() != DiffTag::Equal)
        .map(|change| {
            let range = change.old_range();
            (range.start + start..range.end + start, change.new_range().len())
        })
        .collect();
    let mut touched = Touched::default();
    for (at, (range, added)) in changes.iter().enumerate() {
        let lowest = at.checked_sub(1).map_or(0, |before| changes[before].0.end);
        let highest = changes.get(at + 1).map_or(old.len(), |(after, _)| after.start);
        let range = if *added == 0 { settle(&old, range.clone(), lowest..highest) } else { range.clone() };
        touched.old.extend(range);
        touched.added += added;
    }
    touched
}

fn settle(lines: &[&str], block: Range<usize>, within: Range<usize>) -> Range<usize> {
    let up = (1..=block.start - within.start)
        .take_while(|by| lines[block.start - by] == lines[block.end - by])
        .last()
        .unwrap_or(0);
    let down =
        (0..within.end - block.end).take_while(|by| lines[block.start + by] == lines[block.end + by]).count();
    let length = block.len();
    let indent = |at: usize| lines[at].len() - lines[at].trim_start().len();
    (block.start - up..=block.start + down)
        .rev()
        .min_by_key(|start| (indent(*start), indent(start + length - 1)))
        .map_or(block, |start| start..start + length)
}

#[cfg(test)]
mod tests {
    use super::touched;

    #[test]
    fn names_the_lines_that_go() {
        let list = "[\n  {\n    1\n  },\n  {\n    2\n  },\n  {\n    3\n  }\n]\n";
        let yaml = "jobs:\n  a:\n    x: 1\n  b:\n    x: 1\n  c:\n    x: 1\n";
        for (old, new, lines, added) in [
            ("a\nb\nc\n", "a\nb\nc\n", &[][..], 0),
            ("a\nb\nc\n", "a\nX\nc\n", &[1], 1),
            ("a\nb\nc\n", "a\nc\n", &[1], 0),
            ("a\nb\nc\n", "", &[0, 1, 2], 0),
            ("a\nc\n", "a\nb\nc\n", &[], 1),
            ("a\na\na\n", "a\na\n", &[2], 0),
            (list, "[\n  {\n    1\n  },\n  {\n    3\n  }\n]\n", &[4, 5, 6], 0),
            (list, "[\n  {\n    2\n  },\n  {\n    3\n  }\n]\n", &[1, 2, 3], 0),
            (yaml, "jobs:\n  a:\n    x: 1\n  c:\n    x: 1\n", &[3, 4], 0),
            (yaml, "jobs:\n  a:\n    x: 1\n  b:\n    x: 1\n", &[5, 6], 0),
        ] {
            let touched = touched(old, new);
            assert_eq!(touched.old.into_iter().collect::<Vec<_>>(), lines, "{old:?} -> {new:?}");
            assert_eq!(touched.added, added, "{old:?} -> {new:?}");
        }
    }
}
