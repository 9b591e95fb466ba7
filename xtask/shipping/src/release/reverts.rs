//! Commits that take others back: neither they nor what they took back are news. `git revert` writes `This reverts commit
//! ID.`, a squashed branch has several of these, GitHub's button writes only the subject. Pure.

use std::collections::HashSet;

use super::history::Commit;

/// Digits of an id that are enough to mean a commit.
const LEAST: usize = 7;

/// What is left of a range, the newest first, once every revert in it has taken back what it names. A revert of something
/// older than the range stays, and so does everything that a revert took back which was itself taken back.
pub fn standing<'a>(commits: &[&'a Commit]) -> Vec<&'a Commit> {
    let mut gone: HashSet<usize> = HashSet::new();
    for (place, commit) in commits.iter().enumerate() {
        if gone.contains(&place) {
            continue;
        }
        let named = ids(&commit.message);
        let older = place + 1..commits.len();
        let mut whole = true;
        let mut targets = Vec::new();
        for Named { id, since } in &named {
            let target = older.clone().find(|target| commits[*target].id.starts_with(id.as_str()));
            match (target, since) {
                (Some(target), None) => targets.push(target),
                (Some(target), Some(since)) => targets.extend(merged(commits, target, since)),
                (None, _) => whole = false,
            }
        }
        if named.is_empty() {
            let Some(subject) = taken_back(commit.subject()) else { continue };
            let same = |target: &usize| !gone.contains(target) && commits[*target].subject() == subject;
            match older.clone().find(same) {
                Some(target) => targets.push(target),
                None => whole = false,
            }
        }
        gone.extend(targets);
        if whole && only_reverts(commit) {
            gone.insert(place);
        }
    }
    let places = (0..commits.len()).filter(|place| !gone.contains(place));
    places.map(|place| commits[place]).collect()
}

/// What a commit says of itself. One that applies again what an older release had lost says what that said.
pub fn said(commit: &Commit) -> &str {
    quoted(commit.subject(), "Reapply \"").unwrap_or(&commit.message)
}

/// Whether it is one of those that git or GitHub write.
pub fn is_revert(commit: &Commit) -> bool {
    taken_back(commit.subject()).is_some()
}

/// Something else than a revert may name what it takes back; then it is news all the same.
fn only_reverts(commit: &Commit) -> bool {
    let subject = commit.subject();
    let kind = subject.split([':', '(', '!']).next().unwrap_or_default();
    is_revert(commit) || kind.eq_ignore_ascii_case("revert")
}

/// The subject that a revert quotes.
fn taken_back(subject: &str) -> Option<String> {
    // What reverts `Revert "x"` is called `Reapply "x"`.
    quoted(subject, "Revert \"")
        .map(str::to_owned)
        .or_else(|| quoted(subject, "Reapply \"").map(|again| format!("Revert \"{again}\"")))
}

fn quoted<'a>(subject: &'a str, begins: &str) -> Option<&'a str> {
    // GitHub puts the number of the pull request behind it.
    let (quoted, _) = subject.strip_prefix(begins)?.rsplit_once('"')?;
    Some(quoted)
}

/// A commit that a message names.
struct Named {
    id: String,
    /// For a merge: the parent whose state came back.
    since: Option<String>,
}

/// The ids in `This reverts commit ID.`, also of several commits, and of merges with `reversing changes made to ID`.
fn ids(message: &str) -> Vec<Named> {
    let words: Vec<_> = message.split_whitespace().collect();
    let id = |word: &str| {
        let id = word.trim_end_matches(['.', ',', ';', ':', ')']);
        let is_id = id.len() >= LEAST && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| id.to_lowercase())
    };
    let mut named: Vec<Named> = Vec::new();
    for (place, window) in words.windows(3).enumerate() {
        let begins = window[0].eq_ignore_ascii_case("this")
            && window[1] == "reverts"
            && matches!(window[2], "commit" | "commits");
        if !begins {
            continue;
        }
        let mut rest = words[place + 3..].iter().peekable();
        while let Some(word) = rest.next() {
            if let Some(id) = id(word) {
                named.push(Named { id, since: None });
            } else if *word == "reversing" {
                let since = rest.clone().take(4).find_map(|word| id(word));
                if let Some(last) = named.last_mut() {
                    last.since = since;
                }
                break;
            } else if !matches!(*word, "and" | "," | "&") {
                break;
            }
            if word.ends_with('.') {
                break;
            }
        }
    }
    named
}

/// The places of what a merge brought besides the parent.
fn merged(commits: &[&Commit], merge: usize, parent: &str) -> Vec<usize> {
    let place = |id: &str| commits.iter().position(|commit| commit.id.starts_with(id));
    let ancestors = |from: Option<usize>| {
        let mut seen: HashSet<usize> = HashSet::new();
        let mut open: Vec<usize> = from.into_iter().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(commits[next].parents.iter().filter_map(|parent| place(parent)));
            }
        }
        seen
    };
    ancestors(Some(merge)).difference(&ancestors(place(parent))).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, parents (none: the one before) and a message, in which `@x` is the id of x.
    type Made = (&'static str, &'static [&'static str], &'static str);

    /// From the oldest to the newest.
    fn left(history: &[Made]) -> String {
        let id =
            |name: &str| format!("{:0>40}", name.bytes().map(|byte| format!("{byte:x}")).collect::<String>());
        let mut commits: Vec<Commit> = Vec::new();
        for (name, parents, message) in history {
            let mut message = (*message).to_owned();
            for (other, ..) in history {
                message = message.replace(&format!("@{other}"), &id(other));
            }
            let parents = match (parents, commits.last()) {
                (&[], Some(before)) => vec![before.id.clone()],
                (parents, _) => parents.iter().map(|parent| id(parent)).collect(),
            };
            commits.push(Commit { id: id(name), time: 0, parents, message });
        }
        commits.reverse();
        let left = standing(&commits.iter().collect::<Vec<_>>());
        let name = |commit: &Commit| history.iter().find(|(name, ..)| id(name) == commit.id).unwrap().0;
        left.iter().rev().map(|commit| name(commit)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_was_taken_back_is_no_news_and_what_was_applied_again_is() {
        let revert = "Revert \"feat: a\"\n\nThis reverts commit @a.";
        let again = "Reapply \"feat: a\"\n\nThis reverts commit @r.";
        let old = "Revert \"Revert \"feat: a\"\"\n\nThis reverts commit @r.";
        let none: &[&'static str] = &[];
        let cases: &[(&[Made], &str)] = &[
            (&[("a", none, "feat: a"), ("b", none, "fix: b"), ("r", none, revert)], "b"),
            (&[("a", none, "feat: a"), ("r", none, revert), ("s", none, again)], "a"),
            (&[("a", none, "feat: a"), ("r", none, revert), ("s", none, old)], "a"),
            (
                &[
                    ("a", none, "feat: a"),
                    ("r", none, revert),
                    ("s", none, again),
                    ("t", none, "Revert \"Reapply \"feat: a\"\"\n\nThis reverts commit @s."),
                ],
                "",
            ),
            // Not in the range: what an older release had is taken back, or back again.
            (&[("r", none, "Revert \"feat: a\"\n\nThis reverts commit abcdef0123456789.")], "r"),
            (&[("s", none, "Reapply \"feat: a\"\n\nThis reverts commit abcdef0123456789.")], "s"),
            (
                &[
                    ("a", none, "feat: a"),
                    ("r", none, "Revert \"x\"\n\nThis reverts commits @a and abcdef01."),
                ],
                "r",
            ),
            // Conventional, squashed, shortened, in one sentence.
            (&[("a", none, "feat: a"), ("r", none, "revert: feat: a\n\nThis reverts commit @a.")], ""),
            (
                &[
                    ("a", none, "feat: a"),
                    ("b", none, "feat: b"),
                    ("c", none, "fix: c"),
                    (
                        "r",
                        none,
                        "revert: all of it\n\n* Revert\n\nThis reverts commit @a.\n\nThis reverts commit @b.",
                    ),
                ],
                "c",
            ),
            (
                &[
                    ("a", none, "feat: a"),
                    ("b", none, "feat: b"),
                    ("r", none, "revert: both\n\nThis reverts commits @a, @b."),
                ],
                "",
            ),
            // News that takes something back.
            (&[("a", none, "feat: a"), ("b", none, "feat: b instead\n\nThis reverts commit @a.")], "b"),
            // GitHub's button; the same subject twice.
            (
                &[("a", none, "feat: a (#1)"), ("r", none, "Revert \"feat: a (#1)\" (#2)\n\nReverts o/r#1")],
                "",
            ),
            (&[("a", none, "feat: a"), ("b", none, "feat: a"), ("r", none, "Revert \"feat: a\"")], "a"),
            (
                &[
                    ("a", none, "feat: a"),
                    ("r", none, "Revert \"feat: a\""),
                    ("s", none, "Reapply \"feat: a\""),
                ],
                "a",
            ),
            (&[("r", none, "Revert \"feat: a\"")], "r"),
            // A merge of b and c into a.
            (
                &[
                    ("a", none, "feat: a"),
                    ("b", &["a"], "feat: b"),
                    ("c", &["b"], "fix: c"),
                    ("d", &["a"], "fix: d"),
                    ("m", &["d", "c"], "Merge"),
                    ("r", none, "Revert \"Merge\"\n\nThis reverts commit @m, reversing\nchanges made to @d."),
                ],
                "a d",
            ),
            // No revert.
            (&[("a", none, "feat: a"), ("b", none, "fix: This reverts commitment, nothing else")], "a b"),
            (&[("a", none, "feat: a"), ("b", none, "docs: how git writes This reverts commit 12.")], "a b"),
        ];
        for (history, expected) in cases {
            assert_eq!(left(history), *expected, "{history:?}");
        }
    }
}
