//! What is told of an operator's program that one machine has built and another takes into a release.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use foundation::exit::refused;
use foundation::files;

/// Of one program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The machine it is for, as Rust names it.
    pub target: String,
    /// 40 hexadecimal digits: what it was built of.
    pub commit: String,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// Version by program: what it was built with.
    pub tools: BTreeMap<String, String>,
}

/// The file that tells it, beside the program.
pub fn file(program: &Path) -> PathBuf {
    let mut name = program.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

/// # Errors
/// Refused when there is no such file, or it tells something else.
pub fn read(program: &Path) -> Result<Program> {
    let file = file(program);
    let refuse = |error: String| {
        refused(format!(
            "{error}; expected the file that `cargo xtask release operator` writes beside the program"
        ))
    };
    let text = files::text(&file, files::TEXT).map_err(|error| refuse(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| refuse(format!("{}: {error}", file.display())))
}

/// # Errors
/// It cannot be written.
pub fn write(program: &Path, told: &Program) -> Result<()> {
    files::write::whole(&file(program), 0o644, serde_json::to_string_pretty(told)? + "\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_description_of_a_program_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("flowship-aarch64-unknown-linux-gnu");
        let told = Program {
            target: "aarch64-unknown-linux-gnu".to_owned(),
            commit: "c".repeat(40),
            sha256: "0".repeat(64),
            tools: BTreeMap::from([("rustc".to_owned(), "rustc 1.95.0".to_owned())]),
        };
        write(&program, &told).unwrap();
        assert_eq!(read(&program).unwrap(), told);
        let file = folder.path().join("flowship-aarch64-unknown-linux-gnu.json");
        for text in ["", "{}", "{\"target\":1}"] {
            fs::write(&file, text).unwrap();
            let error = read(&program).unwrap_err().to_string();
            assert!(error.contains("gnu.json: ") && error.contains("release operator"), "{error}");
        }
        fs::remove_file(&file).unwrap();
        assert!(read(&program).unwrap_err().to_string().contains("there is no such file"));
    }
}
