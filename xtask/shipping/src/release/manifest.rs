//! `manifest.json`, beside the bundle: what the release says of itself, and its files. What other programs read first.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::description::{self, Release};
use foundation::files;

/// Its name.
pub const FILE: &str = "manifest.json";

/// A release and its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`description::SCHEMA`].
    pub schema: u32,
    /// What `release.json` says.
    pub release: Release,
    /// Sorted by name; all but the manifest itself, the provenance, the sums and their signature.
    pub artifacts: Vec<Artifact>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    pub name: String,
    pub kind: Kind,
    pub bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Bundle,
    /// The operator's program for another machine than the bundle's.
    Operator,
    /// A container image as OCI archive.
    Image,
    /// A bill of materials, CycloneDX.
    Sbom,
    /// The ledger of evidence.
    Evidence,
}

impl Manifest {
    /// Of a file's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let told = |error: String| format!("{FILE}: {error}");
        description::schema(text).map_err(told)?;
        serde_json::from_str(text).map_err(|error| told(error.to_string()))
    }

    /// For people.
    pub fn table(&self, folder: &Path) -> String {
        let Release { version, commit, .. } = &self.release;
        let rows = self.artifacts.iter().map(|file| {
            let size = files::size(file.bytes);
            format!("{size:>12}  {}  {}\n", &file.sha256[..12.min(file.sha256.len())], file.name)
        });
        format!("flowship {version} of {commit} in {}\n{}", folder.display(), rows.collect::<String>())
    }
}

/// The manifest of a folder; inside, what is wrong with it.
///
/// # Errors
/// The file cannot be read.
pub fn read(folder: &Path) -> Result<Result<Manifest, String>> {
    let text = files::if_there(files::text(&folder.join(FILE), files::TEXT))?;
    Ok(text.map_or_else(|| Err(format!("{FILE} is missing")), |text| Manifest::parse(&text)))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn manifest() -> Manifest {
        Manifest {
            schema: description::SCHEMA,
            release: Release {
                schema: description::SCHEMA,
                version: "1.2.3".to_owned(),
                commit: "c".repeat(40),
                committed: 1_700_000_000,
                flows_rev: "f".repeat(64),
                target: "x86_64-unknown-linux-gnu".to_owned(),
                images: Vec::new(),
                operators: Vec::new(),
                tools: [("rustc".to_owned(), "rustc 1.95.0".to_owned())].into(),
            },
            artifacts: vec![Artifact {
                name: "flowship-1.2.3-bundle.tar.gz".to_owned(),
                kind: Kind::Bundle,
                bytes: 12_345_678,
                sha256: "0".repeat(64),
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_and_other_versions_are_refused() {
        let manifest = manifest();
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(Manifest::parse(&text).unwrap(), manifest);
        let newer = text.replacen("\"schema\":1", "\"schema\":2", 1);
        assert!(Manifest::parse(&newer).unwrap_err().contains("its schema is 2"));
        let more = text.replacen("\"schema\":1", "\"schema\":1,\"extra\":1", 1);
        assert!(Manifest::parse(&more).unwrap_err().contains("unknown field `extra`"));
        assert!(manifest.table(Path::new("x")).contains("11.77 MiB  000000000000  flowship"));
    }
}
