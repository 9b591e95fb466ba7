//! What coverage is wanted, and what was recorded: the two files of `ops/ci/` as values. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `ops/ci/coverage.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Points that the whole or a room may lose against what was recorded.
    pub drop: Percent,
    #[serde(default)]
    pub rust: Option<Language>,
    #[serde(default)]
    pub javascript: Option<Language>,
}

/// What is wanted of one language.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// Folders whose files count, or single files. `NAME/*` makes a room of each folder in NAME, and one of the files beside them.
    pub places: Vec<String>,
    /// Integration tests that run for it besides the unit tests.
    #[serde(default)]
    pub tests: Vec<String>,
    /// Tests that do not run for it, by name: slow ones that run no line which others do not run.
    #[serde(default)]
    pub skip: Vec<String>,
    /// Percent of all lines that must run.
    pub overall: Percent,
    /// The same of each room that `rooms` does not name.
    pub each: Percent,
    #[serde(default)]
    pub rooms: BTreeMap<String, Percent>,
}

/// A number from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub struct Percent(pub f64);

impl TryFrom<f64> for Percent {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=100.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("{value} is out of range, expected a number from 0 to 100"))
        }
    }
}

/// What `--record` wrote: percent of lines by language and room, the whole as `overall`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Recorded(pub BTreeMap<String, BTreeMap<String, f64>>);

impl Language {
    /// The room of a file; none when it is in no place.
    pub fn room(&self, path: &str) -> Option<String> {
        self.places.iter().find_map(|place| match place.strip_suffix("/*") {
            None => {
                let rest = path.strip_prefix(place.as_str())?;
                (rest.is_empty() || rest.starts_with('/')).then(|| place.clone())
            }
            Some(folder) => {
                let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
                Some(match rest.split_once('/') {
                    Some((room, _)) => format!("{folder}/{room}"),
                    None => folder.to_owned(),
                })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_rooms() {
        let language = Language {
            places: vec!["a/*".to_owned(), "b/src".to_owned()],
            tests: vec![],
            skip: vec![],
            overall: Percent(0.0),
            each: Percent(0.0),
            rooms: BTreeMap::new(),
        };
        for (path, expected) in [
            ("a/plan/x/y.rs", Some("a/plan")),
            ("a/main.rs", Some("a")),
            ("b/src/x/y.rs", Some("b/src")),
            ("b/src", Some("b/src")),
            ("b/srcs/x.rs", None),
            ("c.rs", None),
        ] {
            assert_eq!(language.room(path).as_deref(), expected, "{path}");
        }
    }
}
