//! `ops/ci/*.toml` -> values: the thresholds of gates, which people edit, and what `--record` wrote beside them.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;
use vocabulary::problem::{Place, Problem, listing};

use foundation::exit::refused;
use foundation::files;
use foundation::shorten::shorten;

/// Reads one of the files, named below the root.
///
/// # Errors
/// Refused (exit code 2) when it is missing or wrong, with the place and what was expected.
pub fn read<T: DeserializeOwned>(root: &Path, path: &str, holds: &str) -> Result<T> {
    match files::text(&root.join(path), files::TEXT) {
        Ok(text) => parse(path, &text),
        Err(error) => Err(refused(format!("{error}; expected a TOML file with {holds}"))),
    }
}

/// Reads what `--record` wrote; nothing where it never did.
///
/// # Errors
/// Refused (exit code 2) when it is wrong.
pub fn recorded<T: DeserializeOwned + Default>(root: &Path, path: &str) -> Result<T> {
    match files::if_there(files::text(&root.join(path), files::TEXT)) {
        Ok(text) => text.map_or_else(|| Ok(T::default()), |text| parse(path, &text)),
        Err(error) => Err(refused(format!("{error}; expected a TOML file that can be read"))),
    }
}

/// Writes what was measured, at once or not at all. `command` made it.
///
/// # Errors
/// When it cannot be written.
pub fn record<T: Serialize>(root: &Path, path: &str, command: &str, value: &T) -> Result<()> {
    let text = format!("# Written by `{command}`. Do not edit.\n\n{}", toml::to_string(value)?);
    files::write::whole(&root.join(path), 0o644, text)
}

fn parse<T: DeserializeOwned>(path: &str, text: &str) -> Result<T> {
    // The recovering parser tells all that is not TOML, the other only the first.
    let (_, errors) = toml::de::DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = match toml::from_str(text) {
        Ok(value) if errors.is_empty() => return Ok(value),
        Err(error) if errors.is_empty() => vec![problem(path, text, &error)],
        _ => errors.iter().map(|error| problem(path, text, error)).collect(),
    };
    problems.sort();
    // What follows in a line is often only a consequence.
    problems.dedup_by_key(|problem| problem.place.line);
    Err(refused(listing(&problems)))
}

fn problem(path: &str, text: &str, error: &toml::de::Error) -> Problem {
    let place = Place::offset(path, text, error.span().unwrap_or(0..0).start);
    let message = error.message().trim_end();
    let (wrong, expected) =
        message.split_once(", expected ").unwrap_or((message, "what docs/measures.md says"));
    Problem::new(place, shorten(wrong)).expected(expected)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[serde(rename = "drop")]
        _drop: f64,
        #[serde(default, rename = "rust")]
        _rust: Option<Language>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Language {
        #[serde(rename = "places")]
        _places: Vec<String>,
        #[serde(rename = "overall")]
        _overall: f64,
    }

    #[test]
    fn problems_are_reported_with_their_place() {
        for (text, expected) in [
            (
                "drop = 2\n[rust]\nplace = []\n",
                "a.toml:3:1: unknown field `place`; expected `places` or `overall`",
            ),
            ("drop = \"2\"\n", "a.toml:1:8: invalid type: string \"2\"; expected "),
            ("[rust]\n", "a.toml:1:1: missing field `places`; expected "),
            ("drop = 2\n[rust\nx = = 1\n", "a.toml:2:6: unclosed table; expected "),
        ] {
            let error = parse::<Wanted>("a.toml", text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = parse::<Wanted>("a.toml", "x = = 1\ny = = 2\n").unwrap_err().to_string();
        assert_eq!(error.lines().count(), 2, "{error}");
    }

    #[test]
    fn what_was_recorded_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let value = BTreeMap::from([("rust".to_owned(), BTreeMap::from([("xtask/src".to_owned(), 12.5)]))]);
        let path = "ops/ci/recorded/x.toml";
        assert_eq!(
            recorded::<BTreeMap<String, BTreeMap<String, f64>>>(root.path(), path).unwrap(),
            BTreeMap::new()
        );
        record(root.path(), path, "cargo xtask x", &value).unwrap();
        assert_eq!(recorded::<BTreeMap<String, BTreeMap<String, f64>>>(root.path(), path).unwrap(), value);
        assert_eq!(
            fs::read_to_string(root.path().join(path)).unwrap(),
            "# Written by `cargo xtask x`. Do not edit.\n\n[rust]\n\"xtask/src\" = 12.5\n"
        );
        assert_eq!(fs::read_dir(root.path().join("ops/ci/recorded")).unwrap().count(), 1);
    }
}
