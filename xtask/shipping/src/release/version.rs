//! Versions, the tags that name them, and which one comes next.

use semver::{BuildMetadata, Prerelease, Version};
use serde::{Deserialize, Serialize};

/// What a tag begins with: `v1.2.0` names 1.2.0. Other tags name no release.
const PREFIX: char = 'v';

/// How far the next version is from the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Bump {
    /// Only fixes
    Patch,
    /// New features; below 1.0.0 also breaking changes
    Minor,
    /// Breaking changes
    Major,
}

impl Bump {
    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }
}

/// The tag of a version.
pub fn tag(version: &Version) -> String {
    format!("{PREFIX}{version}")
}

/// The version that a tag names; none when it names no release.
pub fn of_tag(tag: &str) -> Option<Version> {
    read(tag.strip_prefix(PREFIX)?).ok()
}

/// A version as users type it. Build metadata is refused: two versions that differ only there are equally new, and
/// `+` is no letter of an image's tag.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(text: &str) -> Result<Version, String> {
    let version = Version::parse(text).map_err(|error| {
        format!("`{text}` is not a version ({error}); expected three numbers such as 1.2.0, or 1.2.0-rc.1")
    })?;
    if !version.build.is_empty() {
        return Err(format!("`{text}` has build metadata after `+`; leave it out"));
    }
    Ok(version)
}

/// The version after `last`. The release that a pre-release prepares comes before any further one: `1.2.0-rc.1` becomes
/// 1.2.0 by a patch and by a minor bump.
pub fn next(last: &Version, bump: Bump) -> Version {
    let numbers = |major, minor, patch| Version {
        major,
        minor,
        patch,
        pre: Prerelease::EMPTY,
        build: BuildMetadata::EMPTY,
    };
    let Version { major, minor, patch, .. } = *last;
    let prepares = !last.pre.is_empty();
    match bump {
        Bump::Major if prepares && minor == 0 && patch == 0 => numbers(major, 0, 0),
        Bump::Major => numbers(major + 1, 0, 0),
        Bump::Minor if prepares && patch == 0 => numbers(major, minor, 0),
        Bump::Minor => numbers(major, minor + 1, 0),
        Bump::Patch if prepares => numbers(major, minor, patch),
        Bump::Patch => numbers(major, minor, patch + 1),
    }
}

/// Whether `new` is a later release than `old`.
pub fn is_greater(new: &Version, old: &Version) -> bool {
    new.cmp_precedence(old).is_gt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_version_follows_the_last() {
        for (last, bump, next_one) in [
            ("0.1.0", Bump::Patch, "0.1.1"),
            ("0.1.4", Bump::Minor, "0.2.0"),
            ("0.9.9", Bump::Major, "1.0.0"),
            ("1.2.3", Bump::Major, "2.0.0"),
            ("1.2.0-rc.1", Bump::Patch, "1.2.0"),
            ("1.2.0-rc.1", Bump::Minor, "1.2.0"),
            ("1.2.1-rc.1", Bump::Minor, "1.3.0"),
            ("1.2.0-rc.1", Bump::Major, "2.0.0"),
            ("2.0.0-rc.2", Bump::Major, "2.0.0"),
        ] {
            let last = read(last).unwrap();
            let found = next(&last, bump);
            assert_eq!(found.to_string(), next_one, "{last} {bump:?}");
            assert!(is_greater(&found, &last) && !is_greater(&last, &found) && !is_greater(&last, &last));
        }
    }

    #[test]
    fn only_tags_of_versions_name_releases() {
        for (text, version) in [("v1.2.0", Some("1.2.0")), ("v1.2.0-rc.1", Some("1.2.0-rc.1"))] {
            assert_eq!(of_tag(text).map(|version| version.to_string()).as_deref(), version);
            assert_eq!(tag(&of_tag(text).unwrap()), text);
        }
        for text in ["1.2.0", "v1.2", "v01.2.0", "v1.2.0+build", "vein", "V1.2.0", ""] {
            assert_eq!(of_tag(text), None, "{text}");
        }
    }

    #[test]
    fn a_wrong_version_is_explained() {
        assert!(read("1.2").unwrap_err().contains("expected three numbers"));
        assert!(read("v1.2.0").unwrap_err().contains("`v1.2.0` is not a version"));
        assert!(read("1.2.0+7").unwrap_err().contains("leave it out"));
    }
}
