//! Which version comes next, and why. Pure.

use semver::{Prerelease, Version};
use serde::Serialize;
use vocabulary::problem::Problem;

use super::conventional::{Reading, softened};
use super::problems::obstacle;
use super::version::{self, Bump, is_greater};

/// What the version is decided from.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// The last release that the commit contains, pre-releases too.
    pub last: Option<&'a Version>,
    /// The last one of those that is no pre-release.
    pub stable: Option<&'a Version>,
    /// What `Cargo.toml` says.
    pub declared: &'a Version,
    /// What the commits since the last stable release say.
    pub reading: &'a Reading,
    /// How many commits there are since the last release, pre-releases too, without merges.
    pub commits: usize,
}

/// What the user asks for.
#[derive(Debug, Clone, Default)]
pub struct Requested {
    pub bump: Option<Bump>,
    pub version: Option<Version>,
}

/// The next version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub version: Version,
    /// For people, after the version.
    pub why: String,
}

/// # Errors
/// When nothing tells the next version, or the tree declares a smaller one than the commits ask for.
pub fn decide(known: &Known<'_>, requested: &Requested) -> Result<Decision, Problem> {
    let Known { last, stable, declared, reading, .. } = known;
    let decision = |version: Version, why: String| Ok(Decision { version, why });
    if let Some(version) = &requested.version {
        return decision(version.clone(), "as asked with --version".to_owned());
    }
    // Before the first release, bumps start from nothing.
    let nothing = Version::new(0, 0, 0);
    if let Some(bump) = requested.bump {
        let base = last.unwrap_or(&nothing);
        let of = last.map_or("nothing".to_owned(), Version::to_string);
        return decision(version::next(base, bump), format!("a {} bump, as asked, of {of}", bump.word()));
    }
    let Some(last) = last else {
        return decision((*declared).clone(), "the first release, as Cargo.toml declares it".to_owned());
    };
    // What pre-releases prepare was new since the stable release before them.
    let base = stable.unwrap_or(&nothing);
    let bump = reading.bump.map(|bump| softened(bump, base));
    let by_commits = bump.map(|bump| {
        (version::next(base, bump), format!("a {} bump of {base}: {}", bump.word(), counted(reading)))
    });
    let prepared = (!last.pre.is_empty()).then(|| (full(last), format!("what {last} prepares")));
    let least = match (prepared, by_commits) {
        (Some(prepared), Some(by_commits)) if is_greater(&by_commits.0, &prepared.0) => Some(by_commits),
        (prepared, by_commits) => prepared.or(by_commits),
    };
    if is_greater(declared, last) {
        let least = least.filter(|(least, _)| is_greater(least, &full(declared)));
        if let Some((least, why)) = least {
            return Err(obstacle(
                "version",
                format!(
                    "Cargo.toml declares {declared}, but after {last} it must be at least {least} ({why})"
                ),
                format!("cargo xtask release prepare --version {least}, or insist with --version {declared}"),
            ));
        }
        return decision((*declared).clone(), format!("after {last}, as Cargo.toml declares it"));
    }
    match least {
        Some((version, why)) => decision(version, why),
        None if known.commits == 0 => Err(obstacle(
            "version",
            format!("nothing was committed since {last}"),
            "there is nothing to release",
        )),
        None => Err(obstacle(
            "version",
            format!(
                "cannot determine the version after {last}: none of the {} commits since then asks for one in the form \
                 of Conventional Commits (`feat: ..`, `fix: ..`)",
                known.commits
            ),
            "choose with --bump major, minor or patch",
        )),
    }
}

/// Without what makes it a pre-release.
fn full(version: &Version) -> Version {
    Version { pre: Prerelease::EMPTY, ..version.clone() }
}

/// `3 feat, 1 fix, 12 other`.
pub fn counted(reading: &Reading) -> String {
    let types = reading.types.iter().map(|(kind, count)| format!("{count} {kind}"));
    let other = (!reading.other.is_empty()).then(|| format!("{} other", reading.other.len()));
    let all: Vec<_> = types.chain(other).collect();
    if all.is_empty() { "no commits".to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(
        last: Option<&str>,
        declared: &str,
        bump: Option<Bump>,
        requested: &Requested,
    ) -> Result<String, String> {
        let read = |text: &str| version::read(text).unwrap();
        let reading = Reading { bump, types: [("feat".to_owned(), 2)].into(), ..Reading::default() };
        let mut tags = last.unwrap_or_default().split_whitespace().map(read);
        let (last, declared) = (tags.next(), read(declared));
        let stable = last.clone().into_iter().chain(tags).find(|tag| tag.pre.is_empty());
        let known = Known {
            last: last.as_ref(),
            stable: stable.as_ref(),
            declared: &declared,
            reading: &reading,
            commits: 3,
        };
        decide(&known, requested).map(|decision| decision.version.to_string()).map_err(|problem| problem.seen)
    }

    #[test]
    fn the_version_comes_from_the_wish_the_tree_or_the_commits() {
        let none = Requested::default();
        let bump = |bump| Requested { bump: Some(bump), ..Requested::default() };
        let named = Requested { version: Some(Version::new(3, 0, 0)), ..Requested::default() };
        for (last, declared, commits, requested, expected) in [
            (None, "0.1.0", None, &none, "0.1.0"),
            (None, "0.1.0", Some(Bump::Major), &none, "0.1.0"),
            (None, "0.1.0", None, &bump(Bump::Major), "1.0.0"),
            (Some("0.1.0"), "0.1.0", Some(Bump::Minor), &none, "0.2.0"),
            (Some("0.1.0"), "0.1.0", Some(Bump::Major), &none, "0.2.0"),
            (Some("1.1.0"), "1.1.0", Some(Bump::Major), &none, "2.0.0"),
            (Some("1.1.0"), "1.1.0", None, &bump(Bump::Patch), "1.1.1"),
            (Some("1.1.0"), "1.2.0", None, &none, "1.2.0"),
            (Some("1.1.0"), "1.2.0", Some(Bump::Patch), &none, "1.2.0"),
            (Some("1.1.0"), "1.2.0", Some(Bump::Major), &named, "3.0.0"),
            // Release candidates: the stable version has what came since the last stable one.
            (Some("1.2.0-rc.1 1.1.0"), "1.1.0", Some(Bump::Minor), &none, "1.2.0"),
            (Some("1.2.0-rc.1 1.1.0"), "1.1.0", None, &none, "1.2.0"),
            (Some("1.2.0-rc.1 1.1.0"), "1.1.0", Some(Bump::Patch), &none, "1.2.0"),
            (Some("1.1.1-rc.1 1.1.0"), "1.1.0", Some(Bump::Minor), &none, "1.2.0"),
            (Some("1.2.0-rc.2 1.1.0"), "1.1.0", Some(Bump::Major), &none, "2.0.0"),
            (Some("2.0.0-rc.1 1.1.0"), "2.0.0-rc.1", Some(Bump::Minor), &none, "2.0.0"),
            (Some("1.2.0-rc.1 1.1.0"), "1.2.0-rc.2", Some(Bump::Minor), &none, "1.2.0-rc.2"),
            (Some("1.2.0-rc.1 1.1.0"), "1.2.0", Some(Bump::Minor), &none, "1.2.0"),
            (Some("1.1.0"), "1.2.0-rc.1", Some(Bump::Minor), &none, "1.2.0-rc.1"),
            (Some("1.0.0-rc.1"), "1.0.0-rc.1", Some(Bump::Minor), &none, "1.0.0"),
            (Some("1.0.0-rc.1"), "1.0.0-rc.2", Some(Bump::Major), &none, "1.0.0-rc.2"),
            (Some("1.2.0-rc.1 1.1.0"), "1.1.0", None, &bump(Bump::Patch), "1.2.0"),
        ] {
            assert_eq!(
                decided(last, declared, commits, requested).as_deref(),
                Ok(expected),
                "{last:?} {declared}"
            );
        }
    }

    #[test]
    fn nothing_is_guessed() {
        let none = Requested::default();
        let error = decided(Some("1.1.0"), "1.1.0", None, &none).unwrap_err();
        assert!(error.contains("none of the 3 commits since then asks for one in the form"), "{error}");
        let error = decided(Some("1.1.0"), "1.1.1", Some(Bump::Minor), &none).unwrap_err();
        assert!(error.contains("after 1.1.0 it must be at least 1.2.0 (a minor bump"), "{error}");
        let error = decided(Some("1.1.1-rc.1 1.1.0"), "1.1.1-rc.2", Some(Bump::Minor), &none).unwrap_err();
        assert!(
            error.contains("declares 1.1.1-rc.2, but after 1.1.1-rc.1 it must be at least 1.2.0"),
            "{error}"
        );
    }
}
