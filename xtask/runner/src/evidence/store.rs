//! Records on disk: a file for each gate, rehearsal and drill, written beside and renamed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::record::{Kind, Record, SCHEMA};
use foundation::files;

/// The folder of the records below a state folder.
#[must_use]
pub fn folder(state: &Path) -> PathBuf {
    state.join("evidence")
}

/// Puts the record in the place of the earlier one of the same name.
///
/// # Errors
/// When it cannot be written.
pub fn write(state: &Path, record: &Record) -> Result<()> {
    let text = serde_json::to_string_pretty(record)? + "\n";
    files::write::whole(&file(state, record.kind, &record.name), 0o600, text)
}

/// The record of something; none when it never passed here.
///
/// # Errors
/// When the file cannot be read or holds no record of this version; the error names it.
pub fn read(state: &Path, kind: Kind, name: &str) -> Result<Option<Record>> {
    let path = file(state, kind, name);
    match fs::read_to_string(&path) {
        Ok(text) => parse(&text).with_context(|| path.display().to_string()).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// All records that are here, by kind and name.
///
/// # Errors
/// As [`read`], for the first that is not sound.
pub fn read_all(state: &Path) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for kind in Kind::ALL {
        let folder = folder(state).join(kind.word());
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot list {}", folder.display())),
        };
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
            // What a kill has left beside bears no such ending.
            if let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json")) {
                records.extend(read(state, kind, name)?);
            }
        }
    }
    records.sort_by(|left, right| (left.kind, &left.name).cmp(&(right.kind, &right.name)));
    Ok(records)
}

fn file(state: &Path, kind: Kind, name: &str) -> PathBuf {
    folder(state).join(kind.word()).join(format!("{name}.json"))
}

fn parse(text: &str) -> Result<Record> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema: u32,
    }
    let expected = "expected the record of a pass; remove the file, then run the gate or rehearsal again";
    let Version { schema } = serde_json::from_str(text).context(expected)?;
    if schema != SCHEMA {
        bail!(
            "it has version {schema}, this program reads {SCHEMA}; remove the file, then run the gate or rehearsal \
               again"
        );
    }
    serde_json::from_str(text).context(expected)
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    #[test]
    fn records_are_kept_one_for_each_name() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(read_all(state.path()).unwrap(), []);
        assert_eq!(read(state.path(), Kind::Gate, "tests").unwrap(), None);
        let first = record("tests");
        write(state.path(), &first).unwrap();
        let second = Record { duration_ms: 7, ..record("tests") };
        write(state.path(), &second).unwrap();
        write(state.path(), &record("format")).unwrap();
        fs::write(folder(state.path()).join("gate/.tmpX"), "half a rec").unwrap();
        let drill = Record { kind: Kind::Drill, ..record("format") };
        write(state.path(), &drill).unwrap();
        assert_eq!(read(state.path(), Kind::Gate, "tests").unwrap(), Some(second.clone()));
        assert_eq!(read_all(state.path()).unwrap(), [record("format"), second, drill]);
    }

    #[test]
    fn invalid_records_are_reported() {
        let state = tempfile::tempdir().unwrap();
        write(state.path(), &record("tests")).unwrap();
        let path = file(state.path(), Kind::Gate, "tests");
        let newer = fs::read_to_string(&path).unwrap().replacen("\"schema\": 3", "\"schema\": 4", 1);
        for (text, part) in
            [("", "expected the record"), ("{}", "expected the record"), (&*newer, "it has version 4")]
        {
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", read_all(state.path()).unwrap_err());
            assert!(error.contains(part) && error.contains("tests.json"), "{error}");
        }
    }
}
