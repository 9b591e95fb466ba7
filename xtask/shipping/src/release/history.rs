//! The commits and tags of a repository, from what `git` prints. Pure.

use std::collections::HashMap;

use semver::Version;
use serde::Serialize;

use super::version;

/// What [`commits`] reads: `git log` with these arguments and a range.
pub const LOG: [&str; 4] = ["log", "-z", "--topo-order", "--format=%H%n%ct%n%P%n%B"];
/// What [`tags`] reads.
pub const TAGS: [&str; 3] = [
    "for-each-ref",
    "refs/tags",
    "--format=%(refname:strip=2) %(objectname) %(*objectname) %(creatordate:unix)",
];

/// A commit, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Commit {
    pub id: String,
    /// Seconds since 1970.
    pub time: u64,
    #[serde(skip)]
    pub parents: Vec<String>,
    /// The whole message, without the newlines at its end.
    #[serde(skip)]
    pub message: String,
}

impl Commit {
    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// Merges tell nothing that the merged commits do not.
    pub fn is_merge(&self) -> bool {
        self.parents.len() > 1
    }
}

/// A tag that names a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tag {
    pub version: Version,
    pub commit: String,
    /// Seconds since 1970.
    pub time: u64,
}

/// What a tag itself is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagObject {
    pub id: String,
    /// Else it is lightweight: a mere name of a commit.
    pub annotated: bool,
    pub signed: bool,
}

impl TagObject {
    /// Reads the kind of object, its id and its signature; none of nothing.
    pub fn read(printed: &str) -> Option<Self> {
        let mut words = printed.split_whitespace();
        let (kind, id) = (words.next()?, words.next()?);
        let annotated = kind == "tag";
        // Of a lightweight tag git prints the signature of the commit.
        Some(Self { id: id.to_owned(), annotated, signed: annotated && words.next().is_some() })
    }
}

/// The first digits of a commit's id, enough for people.
pub fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}

/// Reads what `git` prints for [`LOG`]. What is not UTF-8 is replaced.
///
/// # Errors
/// When it is not of that form.
pub fn commits(printed: &[u8]) -> Result<Vec<Commit>, String> {
    let records = printed.split(|byte| *byte == 0).filter(|record| !record.is_empty());
    records.map(|record| commit(&String::from_utf8_lossy(record))).collect()
}

fn commit(record: &str) -> Result<Commit, String> {
    let mut parts = record.splitn(4, '\n');
    let mut part = || parts.next().ok_or_else(|| format!("git log printed `{record}`: expected four parts"));
    let (id, time, parents, message) = (part()?, part()?, part()?, part()?);
    Ok(Commit {
        id: id.to_owned(),
        time: time.parse().map_err(|_| format!("git log printed the time `{time}`: expected seconds"))?,
        parents: parents.split_whitespace().map(str::to_owned).collect(),
        message: message.trim_end().to_owned(),
    })
}

/// The tags that name releases, the latest version first.
pub fn tags(printed: &str) -> Vec<Tag> {
    let mut tags: Vec<_> = printed.lines().filter_map(tag).collect();
    tags.sort_by(|left, right| right.version.cmp_precedence(&left.version));
    tags
}

fn tag(line: &str) -> Option<Tag> {
    let mut words = line.split(' ');
    let version = version::of_tag(words.next()?)?;
    let (object, peeled, time) = (words.next()?, words.next()?, words.next()?);
    // Only an annotated tag points at something else than a commit.
    let commit = if peeled.is_empty() { object } else { peeled };
    Some(Tag { version, commit: commit.to_owned(), time: time.parse().unwrap_or_default() })
}

/// The last of these tags, the latest first, that is older than the version. To a stable version only stable ones count: what
/// its release candidates had is its own.
pub fn before<'a>(tags: &'a [Tag], version: &Version) -> Option<&'a Tag> {
    let counts = |tag: &&Tag| !version.pre.is_empty() || tag.version.pre.is_empty();
    tags.iter().filter(counts).find(|tag| version::is_greater(version, &tag.version))
}

/// Of each commit the place in `tags` of the first release that it is part of; none for what no release holds yet.
/// `tags` has the latest version first, `commits` is a whole history.
pub fn releases_of(commits: &[Commit], tags: &[Tag]) -> Vec<Option<usize>> {
    let places: HashMap<&str, usize> =
        commits.iter().enumerate().map(|(place, commit)| (commit.id.as_str(), place)).collect();
    let mut releases = vec![None; commits.len()];
    for (release, tag) in tags.iter().enumerate().rev() {
        let mut open: Vec<usize> = places.get(tag.commit.as_str()).copied().into_iter().collect();
        while let Some(place) = open.pop() {
            if releases[place].is_none() {
                releases[place] = Some(release);
                open.extend(commits[place].parents.iter().filter_map(|parent| places.get(parent.as_str())));
            }
        }
    }
    releases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_whatever_its_messages_contain() {
        let printed = b"aa\n100\nbb cc\nMerge x\n\0bb\n90\n\nfix: a\n\nbody\n\nwith \xff\n\0cc\n80\n\n\0";
        let commits = commits(printed).unwrap();
        assert_eq!(commits.len(), 3);
        assert!(commits[0].is_merge() && !commits[1].is_merge());
        assert_eq!(commits[1].message, "fix: a\n\nbody\n\nwith \u{fffd}");
        assert_eq!((commits[1].subject(), commits[2].subject(), commits[2].time), ("fix: a", "", 80));
        assert!(super::commits(b"aa\nx\n\nmessage\0").unwrap_err().contains("expected seconds"));
        assert!(super::commits(b"aa\n").unwrap_err().contains("expected four parts"));
    }

    #[test]
    fn tags_are_sorted_by_version_and_peeled() {
        let tags = tags("v1.9.0 t1 c1 5\nv1.10.0 c2  7\nnightly c3  8\nv2.0.0-rc.1 c4  9\n");
        let found: Vec<_> = tags.iter().map(|tag| (tag.version.to_string(), tag.commit.as_str())).collect();
        let expected = [("2.0.0-rc.1", "c4"), ("1.10.0", "c2"), ("1.9.0", "c1")];
        assert_eq!(found, expected.map(|(version, commit)| (version.to_owned(), commit)));
    }

    #[test]
    fn a_stable_version_comes_after_a_stable_one() {
        let tags = tags("v1.1.0-rc.1 c2  2\nv1.1.0 c2  3\nv1.1.0-rc.2 c2  3\nv1.0.0 c1  1\nv1.2.0 c2  4\n");
        let before = |text: &str| {
            before(&tags, &version::read(text).unwrap()).map_or(String::new(), |tag| tag.version.to_string())
        };
        for (version, expected) in [
            ("1.3.0", "1.2.0"),
            ("1.2.0", "1.1.0"),
            ("1.1.0", "1.0.0"),
            ("1.1.0-rc.2", "1.1.0-rc.1"),
            ("1.1.0-rc.1", "1.0.0"),
            ("1.0.0", ""),
        ] {
            assert_eq!(before(version), expected, "{version}");
        }
    }

    #[test]
    fn a_commit_belongs_to_the_first_release_that_holds_it() {
        // e (head) - d (v1.1.0) - merge of c and x; x comes from before b (v1.0.0), but was merged later.
        let log = "e\n5\nd\ne\0d\n4\nc x\nd\0c\n3\nb\nc\0x\n1\na\nx\0b\n2\na\nb\0a\n0\n\na\0";
        let commits = commits(log.as_bytes()).unwrap();
        let tags = tags("v1.1.0 d  4\nv1.0.0 b  2\n");
        let found: Vec<_> = commits
            .iter()
            .zip(releases_of(&commits, &tags))
            .map(|(commit, release)| (commit.id.as_str(), release))
            .collect();
        let expected =
            [("e", None), ("d", Some(0)), ("c", Some(0)), ("x", Some(0)), ("b", Some(1)), ("a", Some(1))];
        assert_eq!(found, expected);
    }
}
