//! Which version comes next, and why. Pure.

use semver::Version;
use serde::Serialize;

use super::conventional::{Reading, softened};
use super::problems::Problem;
use super::version::{self, Bump, is_greater};

/// What the version is decided from.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// The last release that the commit contains.
    pub last: Option<&'a Version>,
    /// What `Cargo.toml` says.
    pub declared: &'a Version,
    /// What the commits since the last release say.
    pub reading: &'a Reading,
    /// How many commits there are since, without merges.
    pub commits: usize,
}

/// What the user asks for.
#[derive(Debug, Clone, Default)]
pub struct Wish {
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
pub fn decide(known: &Known<'_>, wish: &Wish) -> Result<Decision, Problem> {
    let Known { last, declared, reading, .. } = known;
    let decision = |version: Version, why: String| Ok(Decision { version, why });
    if let Some(version) = &wish.version {
        return decision(version.clone(), "as asked with --version".to_owned());
    }
    // Before the first release, bumps start from nothing.
    let nothing = Version::new(0, 0, 0);
    let base = last.unwrap_or(&nothing);
    if let Some(bump) = wish.bump {
        let why = format!(
            "a {} bump, as asked, of {}",
            bump.word(),
            last.map_or("nothing".into(), |last| format!("{last}"))
        );
        return decision(version::next(base, bump), why);
    }
    let Some(last) = last else {
        return decision((*declared).clone(), "the first release, as Cargo.toml declares it".to_owned());
    };
    let asked_for = reading.bump.map(|bump| softened(bump, last));
    if is_greater(declared, last) {
        let least = asked_for.map(|bump| version::next(last, bump));
        if let Some(least) = least.filter(|least| is_greater(least, declared)) {
            return Err(Problem::new(
                "version",
                format!(
                    "Cargo.toml declares {declared}, but the commits since {last} ask for {least} at least ({})",
                    counted(reading)
                ),
                format!("cargo xtask release prepare --version {least}, or insist with --version {declared}"),
            ));
        }
        return decision((*declared).clone(), format!("after {last}, as Cargo.toml declares it"));
    }
    match asked_for {
        Some(bump) => {
            let why = format!("a {} bump of {last}: {}", bump.word(), counted(reading));
            decision(version::next(last, bump), why)
        }
        None if known.commits == 0 => Err(Problem::new(
            "version",
            format!("nothing was committed since {last}"),
            "there is nothing to release",
        )),
        None => Err(Problem::new(
            "version",
            format!(
                "nothing tells the version after {last}: of {} commits since, none in the form of Conventional Commits \
                 (`feat: ..`, `fix: ..`) asks for one",
                known.commits
            ),
            "say how far it is with --bump major, minor or patch",
        )),
    }
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
        wish: &Wish,
    ) -> Result<String, String> {
        let read = |text: &str| version::read(text).unwrap();
        let reading = Reading { bump, types: [("feat".to_owned(), 2)].into(), ..Reading::default() };
        let (last, declared) = (last.map(read), read(declared));
        let known = Known { last: last.as_ref(), declared: &declared, reading: &reading, commits: 3 };
        decide(&known, wish).map(|decision| decision.version.to_string()).map_err(|problem| problem.what)
    }

    #[test]
    fn the_version_comes_from_the_wish_the_tree_or_the_commits() {
        let none = Wish::default();
        let bump = |bump| Wish { bump: Some(bump), ..Wish::default() };
        let named = Wish { version: Some(Version::new(3, 0, 0)), ..Wish::default() };
        for (last, declared, commits, wish, expected) in [
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
        ] {
            assert_eq!(
                decided(last, declared, commits, wish).as_deref(),
                Ok(expected),
                "{last:?} {declared}"
            );
        }
    }

    #[test]
    fn nothing_is_guessed() {
        let none = Wish::default();
        let error = decided(Some("1.1.0"), "1.1.0", None, &none).unwrap_err();
        assert!(error.contains("of 3 commits since, none in the form"), "{error}");
        let error = decided(Some("1.1.0"), "1.1.1", Some(Bump::Minor), &none).unwrap_err();
        assert!(error.contains("ask for 1.2.0 at least (2 feat)"), "{error}");
    }
}
