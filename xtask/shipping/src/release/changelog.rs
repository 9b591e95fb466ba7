//! CHANGELOG.md in the form of Keep a Changelog: which release has which notes, and how a release is entered.

use std::collections::HashSet;

use semver::Version;

use super::conventional::{Entry, Section};
use super::version;

/// Where a tree keeps it.
pub const FILE: &str = "CHANGELOG.md";
const UNRELEASED: &str = "Unreleased";

/// A changelog that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changelog<'a> {
    pub parts: Vec<Part<'a>>,
}

/// What one `##` heading stands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    pub of: Of,
    /// The line of its heading, from 1.
    pub line: usize,
    /// Without the heading, blank lines around it, and definitions of links at its end.
    pub notes: &'a str,
}

/// What a part is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    Unreleased,
    Release(Version),
    /// A heading that names neither.
    Else(String),
}

/// The notes of one release, by section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// What stands before the first section.
    pub intro: String,
    /// Title and text, in the order in which they are shown.
    pub sections: Vec<(String, String)>,
}

impl<'a> Changelog<'a> {
    /// Reads the text; headings inside fenced code are none.
    pub fn read(text: &'a str) -> Self {
        let headings = headings(text);
        let ends = headings.iter().skip(1).map(|heading| heading.start).chain([text.len()]);
        let parts = headings
            .iter()
            .zip(ends)
            .map(|(heading, end)| Part {
                of: of(heading.title),
                line: heading.line,
                notes: trimmed(&text[heading.start + heading.length..end]),
            })
            .collect();
        Self { parts }
    }

    /// The part of what is not released yet.
    pub fn unreleased(&self) -> Option<&Part<'a>> {
        self.parts.iter().find(|part| part.of == Of::Unreleased)
    }

    /// The part of a release.
    pub fn release(&self, version: &Version) -> Option<&Part<'a>> {
        self.parts.iter().find(|part| part.of == Of::Release(version.clone()))
    }
}

struct Heading<'a> {
    title: &'a str,
    start: usize,
    length: usize,
    line: usize,
}

fn headings(text: &str) -> Vec<Heading<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut fence: Option<&str> = None;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let opens = ["```", "~~~"].into_iter().find(|fence| line.trim_start().starts_with(fence));
        match (fence, opens) {
            (None, Some(_)) => fence = opens,
            (Some(open), Some(close)) if open == close => fence = None,
            _ => {}
        }
        if let (None, Some(title)) = (fence, line.strip_prefix("## ")) {
            found.push(Heading { title: title.trim(), start, length: line.len(), line: index + 1 });
        }
        start += line.len();
    }
    found
}

/// `[1.2.0] - 2026-11-24`, `1.2.0`, `v1.2.0 (2026-11-24)`, `[Unreleased]`.
fn of(title: &str) -> Of {
    let first = title.split_whitespace().next().unwrap_or_default();
    let name = first.trim_matches(['[', ']']);
    if name.eq_ignore_ascii_case(UNRELEASED) {
        return Of::Unreleased;
    }
    match version::read(name.strip_prefix('v').unwrap_or(name)) {
        Ok(version) => Of::Release(version),
        Err(_) => Of::Else(title.to_owned()),
    }
}

/// Without blank lines around it, and without definitions of links at the end: they belong to the whole file.
fn trimmed(notes: &str) -> &str {
    let mut notes = notes.trim_end();
    while let Some(last) = notes.lines().last().filter(|line| line.starts_with('[') && line.contains("]: ")) {
        notes = notes[..notes.len() - last.len()].trim_end();
    }
    notes.trim_start_matches(['\n', '\r'])
}

impl Notes {
    /// Takes the text of a part apart.
    pub fn read(text: &str) -> Self {
        let mut notes = Self::default();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("### ") {
                notes.close(&current);
                current.clear();
                notes.sections.push((title.trim().to_owned(), String::new()));
            } else {
                current.push_str(line);
                current.push('\n');
            }
        }
        notes.close(&current);
        notes
    }

    fn close(&mut self, text: &str) {
        let text = text.trim_matches('\n').trim_end().to_owned();
        match self.sections.last_mut() {
            Some((_, of_section)) => *of_section = text,
            None => self.intro = text,
        }
    }

    /// Adds what commits say and nobody has written yet, apart from its form. What stands there stays as it was written.
    pub fn add(&mut self, entries: &[Entry]) {
        let mut said: HashSet<String> = self.sections.iter().flat_map(|(_, text)| bullets(text)).collect();
        for entry in entries {
            if said.insert(plain(&entry.text)) {
                let text = self.section(entry.section);
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str("- ");
                text.push_str(&entry.text);
            }
        }
    }

    fn section(&mut self, section: Section) -> &mut String {
        let rank = |title: &str| Section::ALL.iter().position(|known| known.title() == title);
        let place =
            self.sections.iter().position(|(title, _)| title == section.title()).unwrap_or_else(|| {
                let own = rank(section.title());
                let before = |(title, _): &(String, String)| rank(title).is_none_or(|rank| Some(rank) > own);
                let place = self.sections.iter().position(before).unwrap_or(self.sections.len());
                self.sections.insert(place, (section.title().to_owned(), String::new()));
                place
            });
        &mut self.sections[place].1
    }

    /// Whether they tell nothing.
    pub fn is_empty(&self) -> bool {
        self.intro.is_empty() && self.sections.iter().all(|(_, text)| text.is_empty())
    }

    /// As Markdown, without an end of line; sections without text are left out.
    pub fn text(&self) -> String {
        let intro = (!self.intro.is_empty()).then(|| self.intro.clone());
        let sections = self
            .sections
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(title, text)| format!("### {title}\n\n{text}"));
        intro.into_iter().chain(sections).collect::<Vec<_>>().join("\n\n")
    }
}

/// The entries of a section, each on one line and plain.
fn bullets(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")), found.last_mut()) {
            (Some(begun), _) => found.push(begun.to_owned()),
            (None, Some(open)) => {
                open.push(' ');
                open.push_str(line);
            }
            (None, None) => {}
        }
    }
    found.iter().map(|text| plain(text)).collect()
}

/// Without emphasis, doubled blanks, capitals and the full stop at the end.
fn plain(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").replace(['*', '`'], "").trim_end_matches('.').to_lowercase()
}

/// The changelog in which `notes` are those of `version`, released on `date` (`2026-11-24`): what was not released yet
/// moves there, and a new empty part takes its place.
///
/// # Errors
/// When it has that release already.
pub fn released(text: &str, version: &Version, date: &str, notes: &Notes) -> Result<String, String> {
    let changelog = Changelog::read(text);
    if let Some(part) = changelog.release(version) {
        return Err(format!("{FILE}:{}: {version} already exists", part.line));
    }
    let bracket = text.contains(&format!("## [{UNRELEASED}]"));
    let (unreleased, heading) = if bracket {
        (format!("## [{UNRELEASED}]"), format!("## [{version}] - {date}"))
    } else {
        (format!("## {UNRELEASED}"), format!("## {version} - {date}"))
    };
    let entered = format!("{unreleased}\n\n{heading}\n\n{}\n", notes.text());
    let found = headings(text);
    let place = found.iter().position(|heading| of(heading.title) == Of::Unreleased);
    let (start, end) = match place {
        Some(place) => {
            let heading = &found[place];
            let whole = found.get(place + 1).map_or(text.len(), |next| next.start);
            let body = heading.start + heading.length;
            let used = trimmed(&text[body..whole]);
            let after = text[body..whole].find(used).map_or(body, |at| body + at + used.len());
            (heading.start, after)
        }
        None => {
            let start = found.first().map_or(text.len(), |first| first.start);
            (start, start)
        }
    };
    let rest = text[end..].trim_start_matches(['\n', '\r']);
    let gap = if rest.is_empty() { "" } else { "\n" };
    let head = text[..start].trim_end();
    let head = if head.is_empty() { String::new() } else { format!("{head}\n\n") };
    Ok(format!("{head}{entered}{gap}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Changelog\n\nWords.\n\n## [Unreleased]\n\nAn intro.\n\n### Added\n\n- One\n  thing.\n\n### \
                        Oddities\n\n- Odd.\n\n## [1.1.0] - 2026-01-02\n\n```\n## no heading\n```\n\n## v1.0.0\n\n- First.\n\n[1.1.0]: \
                        https://example.org/1\n[unreleased]: https://example.org/2\n";

    fn entry(section: Section, text: &str) -> Entry {
        Entry { section, text: text.into(), commit: String::new() }
    }

    fn version(text: &str) -> Version {
        version::read(text).unwrap()
    }

    #[test]
    fn parts_are_found_by_what_their_headings_name() {
        let changelog = Changelog::read(TEXT);
        let found: Vec<_> = changelog.parts.iter().map(|part| (part.of.clone(), part.line)).collect();
        let expected =
            [(Of::Unreleased, 5), (Of::Release(version("1.1.0")), 18), (Of::Release(version("1.0.0")), 24)];
        assert_eq!(found, expected);
        assert_eq!(changelog.release(&version("1.1.0")).unwrap().notes, "```\n## no heading\n```");
        assert_eq!(changelog.release(&version("1.0.0")).unwrap().notes, "- First.", "without the links");
        assert_eq!(Changelog::read("# C\n\n## Later\n").parts[0].of, Of::Else("Later".into()));
        assert!(Changelog::read("").unreleased().is_none());
    }

    #[test]
    fn commits_add_what_nobody_has_written() {
        let mut notes = Notes::read(Changelog::read(TEXT).unreleased().unwrap().notes);
        notes.add(&[
            entry(Section::Added, "**one** thing"),
            entry(Section::Added, "another"),
            entry(Section::Fixed, "a fault"),
            entry(Section::Changed, "a habit"),
        ]);
        let expected = "An intro.\n\n### Added\n\n- One\n  thing.\n- another\n\n### Changed\n\n- a habit\n\n### Fixed\n\n- a \
                        fault\n\n### Oddities\n\n- Odd.";
        assert_eq!(notes.text(), expected);
        assert_eq!(Notes::read(&notes.text()), notes);
        assert!(Notes::read("\n### Added\n\n### Fixed\n").is_empty());
    }

    #[test]
    fn a_release_takes_what_was_not_released() {
        let mut notes = Notes::read(Changelog::read(TEXT).unreleased().unwrap().notes);
        notes.add(&[entry(Section::Fixed, "a fault")]);
        let text = released(TEXT, &version("1.2.0"), "2026-11-24", &notes).unwrap();
        assert!(
            text.starts_with(
                "# Changelog\n\nWords.\n\n## [Unreleased]\n\n## [1.2.0] - 2026-11-24\n\nAn intro."
            ),
            "{text}"
        );
        assert!(text.contains("- Odd.\n\n## [1.1.0] - 2026-01-02\n"), "{text}");
        assert!(text.ends_with("[unreleased]: https://example.org/2\n"), "{text}");
        let changelog = Changelog::read(&text);
        assert_eq!(changelog.unreleased().unwrap().notes, "");
        assert_eq!(Notes::read(changelog.release(&version("1.2.0")).unwrap().notes), notes);
        assert_eq!(changelog.parts.len(), 4);
        let error = released(&text, &version("1.2.0"), "2026-11-25", &notes).unwrap_err();
        assert!(error.starts_with("CHANGELOG.md:7: 1.2.0 already exists"), "{error}");
    }

    #[test]
    fn a_changelog_without_the_part_or_any_gets_one() {
        let notes = Notes::read("### Added\n\n- A.");
        for (text, expected) in [
            ("", "## Unreleased\n\n## 0.1.0 - 2026-11-24\n\n### Added\n\n- A.\n"),
            (
                "# C\n\n## Unreleased\n",
                "# C\n\n## Unreleased\n\n## 0.1.0 - 2026-11-24\n\n### Added\n\n- A.\n",
            ),
            (
                "# C\n\n## 0.0.1\n\n- Old.\n",
                "# C\n\n## Unreleased\n\n## 0.1.0 - 2026-11-24\n\n### Added\n\n- A.\n\n## 0.0.1\n\n- Old.\n",
            ),
        ] {
            assert_eq!(released(text, &version("0.1.0"), "2026-11-24", &notes).unwrap(), expected, "{text}");
        }
    }
}
