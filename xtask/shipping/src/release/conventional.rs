//! What commits in the form of Conventional Commits say: how far the next version is, and what readers should know.

use std::collections::BTreeMap;

use serde::Serialize;

use super::history::Commit;
use super::reverts;
use super::version::Bump;

/// The types of commits that are understood.
const TYPES: [&str; 14] = [
    "feat",
    "fix",
    "perf",
    "revert",
    "security",
    "deprecate",
    "remove",
    "docs",
    "style",
    "refactor",
    "test",
    "build",
    "ci",
    "chore",
];

/// A group of a changelog, in the order of Keep a Changelog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    Added,
    Changed,
    Deprecated,
    Removed,
    Fixed,
    Security,
}

impl Section {
    /// Every section, in order.
    pub const ALL: [Self; 6] =
        [Self::Added, Self::Changed, Self::Deprecated, Self::Removed, Self::Fixed, Self::Security];

    /// As its heading has it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Added => "Added",
            Self::Changed => "Changed",
            Self::Deprecated => "Deprecated",
            Self::Removed => "Removed",
            Self::Fixed => "Fixed",
            Self::Security => "Security",
        }
    }
}

/// One line of a changelog that a commit makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub section: Section,
    /// Markdown, without the bullet.
    pub text: String,
    pub commit: String,
}

/// What some commits say together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// What readers should know, in the order of the commits; what breaks them first.
    pub entries: Vec<Entry>,
    /// How many commits there are of each type: `feat`, `fix`, ...
    pub types: BTreeMap<String, usize>,
    /// Commits that are not in the form, as `id subject`. Merges are not among them.
    pub other: Vec<String>,
    /// The least that the next version must be away from the last; none when no commit says anything about that.
    pub bump: Option<Bump>,
}

/// Reads commits, the newest first. Merges are left out, and so is what was taken back.
pub fn read(commits: &[&Commit]) -> Reading {
    let mut reading = Reading::default();
    let mut breaking = Vec::new();
    for commit in reverts::standing(commits).into_iter().filter(|commit| !commit.is_merge()) {
        let said = git_conventional::Commit::parse(reverts::said(commit)).ok();
        // A sentence with a colon, such as `Flows: an API for tasks`, has the form by accident.
        let Some(said) = said.filter(|said| TYPES.contains(&said.type_().as_str().to_lowercase().as_str()))
        else {
            if reverts::is_revert(commit) {
                *reading.types.entry("revert".to_owned()).or_default() += 1;
                reading.bump = reading.bump.max(bump("revert"));
                let text = commit.subject().to_owned();
                reading.entries.push(Entry { section: Section::Changed, text, commit: commit.id.clone() });
                continue;
            }
            reading.other.push(format!("{} {}", super::history::short(&commit.id), commit.subject()));
            continue;
        };
        let kind = said.type_().as_str().to_lowercase();
        *reading.types.entry(kind.clone()).or_default() += 1;
        let scope = said.scope().map(|scope| scope.as_str().to_owned());
        let section = section(&kind, scope.as_deref());
        let bump = if said.breaking() { Some(Bump::Major) } else { bump(&kind) };
        reading.bump = reading.bump.max(bump);
        let scope = scope.map(|scope| format!("**{scope}:** ")).unwrap_or_default();
        let entry = |section, text| Entry { section, text, commit: commit.id.clone() };
        if said.breaking() {
            // Footers say what breaks; without one, the description is all there is.
            let footers = said.footers().iter().filter(|footer| footer.breaking());
            let mut whats: Vec<_> = footers.map(|footer| one_line(footer.value())).collect();
            let described = whats.is_empty();
            if described {
                whats.push(said.description().to_owned());
            }
            let changed = |what: String| entry(Section::Changed, format!("**Breaking:** {scope}{what}"));
            breaking.extend(whats.into_iter().map(changed));
            if described {
                continue;
            }
        }
        if let Some(section) = section {
            reading.entries.push(entry(section, format!("{scope}{}", said.description())));
        }
    }
    breaking.append(&mut reading.entries);
    reading.entries = breaking;
    reading
}

/// Below 1.0.0 nothing is promised yet: what breaks users makes the next minor version.
pub fn softened(bump: Bump, last: &semver::Version) -> Bump {
    if last.major == 0 { bump.min(Bump::Minor) } else { bump }
}

fn bump(kind: &str) -> Option<Bump> {
    match kind {
        "feat" => Some(Bump::Minor),
        "fix" | "perf" | "revert" | "security" => Some(Bump::Patch),
        _ => None,
    }
}

/// Where readers look for it; none for what they do not notice (docs, tests, refactorings, chores).
fn section(kind: &str, scope: Option<&str>) -> Option<Section> {
    match (kind, scope) {
        ("security", _) | ("fix", Some("security")) => Some(Section::Security),
        ("feat", _) => Some(Section::Added),
        ("fix", _) => Some(Section::Fixed),
        ("perf" | "revert", _) => Some(Section::Changed),
        ("deprecate", _) => Some(Section::Deprecated),
        ("remove", _) => Some(Section::Removed),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(message: &str) -> Commit {
        Commit { id: "0123456789abcdef".into(), time: 0, parents: vec![], message: message.into() }
    }

    fn reading(messages: &[&str]) -> Reading {
        let commits: Vec<_> = messages.iter().map(|message| commit(message)).collect();
        read(&commits.iter().collect::<Vec<_>>())
    }

    #[test]
    fn each_commit_has_its_place_and_its_weight() {
        use Section::{Added, Changed, Fixed, Security};
        for (message, section, bump) in [
            ("feat: a", Some((Added, "a")), Some(Bump::Minor)),
            ("feat(flows): a", Some((Added, "**flows:** a")), Some(Bump::Minor)),
            ("Fix: a", Some((Fixed, "a")), Some(Bump::Patch)),
            ("fix(security): a", Some((Security, "**security:** a")), Some(Bump::Patch)),
            ("perf: a", Some((Changed, "a")), Some(Bump::Patch)),
            ("docs: a", None, None),
            ("chore(deps)!: a", Some((Changed, "**Breaking:** **deps:** a")), Some(Bump::Major)),
            (
                "refactor: a\n\nwhy\n\nBREAKING CHANGE: rename b\n  to c",
                Some((Changed, "**Breaking:** rename b to c")),
                Some(Bump::Major),
            ),
        ] {
            let reading = reading(&[message]);
            let found = reading.entries.first().map(|entry| (entry.section, entry.text.as_str()));
            assert_eq!((found, reading.bump), (section, bump), "{message}");
            assert!(reading.other.is_empty() && reading.entries.len() <= 1, "{message}");
        }
    }

    #[test]
    fn breaking_changes_come_first_and_are_also_listed_by_type() {
        let reading = reading(&["fix: a", "feat: b\n\nBREAKING CHANGE: c", "feat!: d"]);
        let texts: Vec<_> = reading.entries.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(texts, ["**Breaking:** c", "**Breaking:** d", "a", "b"]);
        assert_eq!(reading.types, [("feat".to_owned(), 2), ("fix".to_owned(), 1)].into());
        assert_eq!(reading.bump, Some(Bump::Major));
        assert_eq!(softened(Bump::Major, &semver::Version::new(0, 3, 0)), Bump::Minor);
        assert_eq!(softened(Bump::Major, &semver::Version::new(1, 0, 0)), Bump::Major);
    }

    #[test]
    fn every_breaking_change_footer_is_listed() {
        let message = "feat(api)!: b\n\nwhy\n\nBREAKING CHANGE: c is\n  gone\nReviewed-by: Z\nBREAKING-CHANGE: d is new\nBREAKING CHANGE: e";
        let texts: Vec<_> = reading(&[message]).entries.into_iter().map(|entry| entry.text).collect();
        let told = ["c is gone", "d is new", "e"].map(|what| format!("**Breaking:** **api:** {what}"));
        assert_eq!(texts, [&told[..], &["**api:** b".to_owned()]].concat());
    }

    #[test]
    fn reverts_are_listed_if_they_take_back_a_released_change() {
        let git =
            reading(&["Revert \"feat: a\"\n\nThis reverts commit 00000000000000000000000000000000000000ff."]);
        assert_eq!((git.entries[0].text.as_str(), git.bump), ("Revert \"feat: a\"", Some(Bump::Patch)));
        assert_eq!((git.types["revert"], git.other.len()), (1, 0));
        let again = reading(&[
            "Reapply \"feat: a\"\n\nThis reverts commit 00000000000000000000000000000000000000ff.",
        ]);
        assert_eq!((again.entries[0].text.as_str(), again.bump), ("a", Some(Bump::Minor)));
        assert_eq!(reading(&["Revert \"feat: a\"", "feat: a"]), Reading::default());
    }

    #[test]
    fn unconventional_commits_are_listed_and_do_not_affect_the_version() {
        let mut merge = commit("Merge the review");
        merge.parents = vec!["a".into(), "b".into()];
        let plain = commit("One file for each gate; say what it reads");
        let colon = commit("Flows: an API for tasks");
        let reading = read(&[&merge, &plain, &colon]);
        let expected =
            ["0123456789 One file for each gate; say what it reads", "0123456789 Flows: an API for tasks"];
        assert_eq!(reading.other, expected);
        assert_eq!((reading.bump, reading.entries.len(), reading.types.len()), (None, 0, 0));
    }
}
