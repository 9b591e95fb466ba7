//! What stands in the way of a release, each thing with what to do about it. Pure.

use semver::Version;
use serde::Serialize;
use vocabulary::problem::Problem;

use super::history::{TagObject, short};
use super::version::{self, is_greater};

/// So many names are enough to see what it is about.
const NAMED: usize = 5;

/// `about` is for scripts, as docs/release.md lists them.
pub fn obstacle(about: &str, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
    Problem::new(about, what).remedy(remedy)
}

/// `a, b and 3 more`.
pub fn some(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Files that differ from the commit.
pub fn dirty(files: &[String]) -> Option<Problem> {
    let count = files.len();
    (count > 0).then(|| {
        obstacle(
            "tree",
            format!("{count} uncommitted: {}", some(files)),
            "commit, stash (git stash -u) or ignore them",
        )
    })
}

/// A history that was cut off hides releases and commits.
pub fn shallow(shallow: bool, remote: &str) -> Option<Problem> {
    shallow.then(|| {
        obstacle(
            "history",
            "this clone is shallow: releases and commits are missing from its history",
            format!("git fetch --unshallow --tags {remote} (actions/checkout: fetch-depth: 0)"),
        )
    })
}

/// What a remote's branch and a commit have to do with each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// The branch contains the commit.
    Yes,
    /// The branch lacks so many commits.
    Lacks(usize),
    /// The branch is at a commit that is not here, so that nobody can tell.
    NotFetched(String),
    /// There is no such branch.
    NoBranch,
    /// The remote gave no answer.
    Unknown(String),
}

/// A release is made of what the release branch has.
pub fn branch(current: Option<&str>, wanted: &str, pushed: &Pushed) -> Option<Problem> {
    match current {
        Some(current) if current == wanted => None,
        // As CI checks out: what counts is that the branch contains the commit.
        None if *pushed == Pushed::Yes => None,
        Some(current) => Some(obstacle(
            "branch",
            format!("the branch is {current}, but releases are made from {wanted}"),
            format!("git switch {wanted}, or select another branch with --branch"),
        )),
        None => Some(obstacle(
            "branch",
            format!("no branch is checked out, but releases are made from {wanted}"),
            format!("git switch {wanted}, or check out a commit that it contains"),
        )),
    }
}

/// Whether everybody can get the commit.
pub fn pushed(pushed: &Pushed, remote: &str, branch: &str) -> Option<Problem> {
    let push = format!("git push {remote} {branch}");
    match pushed {
        Pushed::Yes => None,
        Pushed::Lacks(1) => Some(obstacle("pushed", format!("{remote} lacks 1 commit of {branch}"), push)),
        Pushed::Lacks(count) => {
            Some(obstacle("pushed", format!("{remote} lacks {count} commits of {branch}"), push))
        }
        Pushed::NotFetched(tip) => Some(obstacle(
            "pushed",
            format!("{branch} of {remote} is at {}, which is not here", short(tip)),
            format!("git fetch --tags {remote}"),
        )),
        Pushed::NoBranch => Some(obstacle("pushed", format!("{remote} has no branch {branch}"), push)),
        Pushed::Unknown(why) => Some(obstacle(
            "pushed",
            format!("{remote} does not answer: {why}"),
            "check the network and the credentials, then try again",
        )),
    }
}

/// Where the tag of the new version is already, here or at the remote.
pub fn tag(version: &Version, commit: &str, here: Option<&str>, there: Option<&str>) -> Option<Problem> {
    let name = version::tag(version);
    let at = |place: &str, at: &str| format!("{name} exists {place} at {}", short(at));
    let found: Vec<_> = [("here", here), ("at the remote", there)]
        .into_iter()
        .filter_map(|(place, tag)| Some((place, tag?)))
        .collect();
    if found.is_empty() {
        return None;
    }
    let what = found.iter().map(|(place, tag)| at(place, tag)).collect::<Vec<_>>().join(", ");
    let remedy = if found.iter().all(|(_, tag)| *tag == commit) {
        "it is at this commit: continue with `cargo xtask release publish`, or plan a later version"
            .to_owned()
    } else if there.is_some_and(|there| there != commit) {
        "a tag that others may have is never moved: release a later version".to_owned()
    } else {
        format!("git tag --delete {name}, if it was a mistake")
    };
    Some(obstacle("tag", what, remedy))
}

/// A tag at the right commit that is not what a release is tagged with, given what the remote of that name has as the tag.
pub fn tag_kind(
    name: &str,
    commit: &str,
    here: Option<&TagObject>,
    (remote, there): (&str, Option<&str>),
    signed: bool,
) -> Option<Problem> {
    let told = |what: &str, remedy: &str| {
        let remedy = remedy.replace("REMOTE", remote).replace("TAG", name);
        Some(obstacle("tag", format!("{name} {what}"), remedy))
    };
    let again = "git tag --delete TAG, then run again: it creates the tag";
    match here {
        _ if there == Some(commit) => told(
            "is a lightweight tag at the remote; a release needs an annotated one",
            "release a later version; or, if nobody can have fetched it, git push --delete REMOTE TAG",
        ),
        Some(here) if !here.annotated => {
            told("is a lightweight tag here; a release needs an annotated one", again)
        }
        _ if !signed => None,
        here if there.is_some() && here.map(|here| here.id.as_str()) != there => told(
            "is at the remote, but not here, so its signature cannot be checked",
            "git fetch --force REMOTE refs/tags/TAG:refs/tags/TAG, then run again",
        ),
        Some(here) if !here.signed && there.is_some() => told(
            "is at the remote without a signature",
            "leave --sign-tag out: a tag that others may have is never replaced",
        ),
        Some(here) if !here.signed => told("is here without a signature", again),
        _ => None,
    }
}

/// Releases go forward.
pub fn greater(version: &Version, last: Option<&Version>) -> Option<Problem> {
    let last = last.filter(|last| !is_greater(version, last))?;
    Some(obstacle(
        "version",
        format!("{version} is not higher than {last}, the last release before this commit"),
        "choose a higher one with --version or --bump",
    ))
}

/// Tags that the remote has and nobody here knows: the last release may be another one than it seems.
pub fn unknown_releases(version: &Version, unknown: &[Version], remote: &str) -> Option<Problem> {
    let later: Vec<_> =
        unknown.iter().filter(|known| !is_greater(version, known)).map(ToString::to_string).collect();
    (!later.is_empty()).then(|| {
        obstacle(
            "version",
            format!("{remote} has {}, which is not fetched and not older than {version}", some(&later)),
            format!("git fetch --tags {remote}, then plan again"),
        )
    })
}

/// What CI says of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Ci {
    Green,
    /// It ended otherwise: `failure`, `cancelled`, ...
    Red {
        conclusion: String,
    },
    /// It is under way.
    Running {
        status: String,
    },
    /// Nobody can tell.
    Unknown {
        why: String,
    },
}

/// CI must have passed on the very commit.
pub fn ci(ci: &Ci, commit: &str, check: &str) -> Option<Problem> {
    let commit = short(commit);
    match ci {
        Ci::Green => None,
        Ci::Red { conclusion } => Some(obstacle(
            "ci",
            format!("the check {check} of {commit} ended with {conclusion}"),
            "fix what failed and commit, or run the failed jobs again",
        )),
        Ci::Running { status } => Some(obstacle(
            "ci",
            format!("the check {check} of {commit} is {}", status.replace('_', " ")),
            "wait for it",
        )),
        Ci::Unknown { why } => Some(obstacle(
            "ci",
            format!("cannot determine whether CI passed on {commit}: {why}"),
            "push the commit and let CI run; gh must be on PATH and GH_TOKEN set",
        )),
    }
}

/// Generated files that are not what the platform says.
pub fn generated(files: &[String]) -> Option<Problem> {
    let count = files.len();
    (count > 0).then(|| {
        obstacle(
            "generated",
            format!(
                "{count} generated {} from the platform's definition: {}",
                if count == 1 { "file differs" } else { "files differ" },
                some(files)
            ),
            "cargo xtask generate, then commit",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        version::read(text).unwrap()
    }

    #[test]
    fn a_tag_is_fine_nowhere_resumed_here_and_never_moved() {
        let told = |here, there| tag(&version("1.0.0"), "c1", here, there).map(|problem| problem.remedy);
        assert_eq!(told(None, None), None);
        assert!(told(Some("c1"), None).unwrap().contains("release publish"));
        assert!(told(Some("c1"), Some("c1")).unwrap().contains("release publish"));
        assert!(told(Some("c2"), None).unwrap().contains("git tag --delete v1.0.0"));
        assert!(told(Some("c1"), Some("c2")).unwrap().contains("never moved"));
        assert!(told(None, Some("c2")).unwrap().contains("never moved"));
    }

    #[test]
    fn a_tag_of_another_kind_is_reported_with_what_to_do() {
        let read = |printed| Some(TagObject::read(printed).unwrap());
        let (light, plain) = (read("commit c1 -----BEGIN PGP SIGNATURE-----"), read("tag t1 "));
        let signed = read("tag t1 -----BEGIN SSH SIGNATURE-----\nU1NI\n");
        assert_eq!(TagObject::read(""), None);
        for (here, there, sign, part) in [
            (&None, None, true, None),
            (&plain, None, false, None),
            (&plain, Some("t2"), false, None),
            (&signed, Some("t1"), true, None),
            (&light, None, false, Some("git tag --delete v1")),
            (&light, Some("c1"), false, Some("at the remote")),
            (&plain, Some("c1"), false, Some("git push --delete origin v1")),
            (&plain, None, true, Some("git tag --delete v1")),
            (&plain, Some("t1"), true, Some("leave --sign-tag out")),
            (&signed, Some("t2"), true, Some("refs/tags/v1:refs/tags/v1")),
            (&None, Some("t2"), true, Some("git fetch")),
        ] {
            let told = tag_kind("v1", "c1", here.as_ref(), ("origin", there), sign);
            let told = told.map(|problem| format!("{}: {}", problem.seen, problem.remedy));
            assert_eq!(told.is_some(), part.is_some(), "{told:?}");
            assert!(told.unwrap_or_default().contains(part.unwrap_or_default()), "{part:?}");
        }
    }

    #[test]
    fn releases_go_forward() {
        assert_eq!(greater(&version("0.1.0"), None), None);
        assert_eq!(greater(&version("1.0.0"), Some(&version("1.0.0-rc.1"))), None);
        for last in ["1.0.0", "1.0.1", "2.0.0-rc.1"] {
            assert!(greater(&version("1.0.0"), Some(&version(last))).is_some(), "{last}");
        }
        let unknown = [version("0.9.0"), version("1.1.0")];
        let problem = unknown_releases(&version("1.0.0"), &unknown, "origin").unwrap();
        assert!(problem.seen.starts_with("origin has 1.1.0,"), "{}", problem.seen);
        assert_eq!(unknown_releases(&version("1.2.0"), &unknown, "origin"), None);
    }

    #[test]
    fn a_release_is_made_of_what_the_branch_has() {
        assert_eq!(branch(Some("main"), "main", &Pushed::Lacks(2)), None);
        assert_eq!(branch(None, "main", &Pushed::Yes), None, "as CI checks out");
        assert!(branch(None, "main", &Pushed::Lacks(1)).is_some());
        assert!(branch(Some("topic"), "main", &Pushed::Yes).unwrap().seen.contains("topic"));
        assert_eq!(pushed(&Pushed::Yes, "origin", "main"), None);
        for (state, part) in [
            (Pushed::Lacks(1), "lacks 1 commit of main"),
            (Pushed::Lacks(7), "lacks 7 commits"),
            (Pushed::NotFetched("abc".into()), "at abc, which is not here"),
            (Pushed::NoBranch, "no branch main"),
            (Pushed::Unknown("no route".into()), "no route"),
        ] {
            let problem = pushed(&state, "origin", "main").unwrap();
            assert!(problem.seen.contains(part), "{}", problem.seen);
        }
    }

    #[test]
    fn only_green_is_green() {
        assert_eq!(ci(&Ci::Green, "c1", "Required"), None);
        for state in [
            Ci::Red { conclusion: "cancelled".into() },
            Ci::Running { status: "in_progress".into() },
            Ci::Unknown { why: "no check ran".into() },
        ] {
            assert_eq!(ci(&state, "c1", "Required").unwrap().place.subject, "ci");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<_> = (0..7).map(|number| number.to_string()).collect();
        assert_eq!(some(&names), "0, 1, 2, 3, 4 and 2 more");
        assert!(dirty(&names).unwrap().seen.starts_with("7 uncommitted: 0,"));
        assert_eq!((dirty(&[]), generated(&[])), (None, None));
    }
}
