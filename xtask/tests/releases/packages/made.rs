//! A release's files, to be changed by someone who has the key, or who has not.

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::PathBuf;
use std::process::Output;

use flate2::{Compression, GzBuilder};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::fixture::{BUNDLE, Key, Repository, text};

/// A copy of a release.
pub struct Made {
    pub folder: TempDir,
}

impl Made {
    pub fn of(repository: &Repository) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in super::fixture::files(&repository.made()) {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value: Value = serde_json::from_slice(&self.read(name)).unwrap();
        change(&mut value);
        self.write(name, serde_json::to_string_pretty(&value).unwrap() + "\n");
    }

    /// Makes manifest, provenance and sums fit the files, whatever these are, and signs: what only the holder of the
    /// key can do.
    pub fn seal(&self, key: &Key) {
        self.fit_manifest();
        self.fit_provenance();
        self.fit_sums();
        self.sign(key);
    }

    pub fn fit_manifest(&self) {
        self.edit("manifest.json", |manifest| {
            for artifact in manifest["artifacts"].as_array_mut().unwrap() {
                let bytes = self.read(artifact["name"].as_str().unwrap());
                artifact["bytes"] = bytes.len().into();
                artifact["sha256"] = sha256(&bytes).into();
            }
        });
    }

    pub fn fit_provenance(&self) {
        self.edit("provenance.json", |statement| {
            for subject in statement["subject"].as_array_mut().unwrap() {
                let bytes = self.read(subject["name"].as_str().unwrap());
                subject["digest"]["sha256"] = sha256(&bytes).into();
            }
        });
    }

    pub fn fit_sums(&self) {
        let sums = String::from_utf8(self.read("SHA256SUMS")).unwrap();
        let fitting: String = sums
            .lines()
            .map(|line| line.split_once("  ").unwrap().1)
            .map(|name| format!("{}  {name}\n", sha256(&self.read(name))))
            .collect();
        self.write("SHA256SUMS", fitting);
    }

    pub fn sign(&self, key: &Key) {
        let manifest: Value = serde_json::from_slice(&self.read("manifest.json")).unwrap();
        let word = |name: &str| manifest["release"][name].as_str().unwrap().to_owned();
        let comment = format!("flowship {} of commit {}", word("version"), word("commit"));
        let sums = Cursor::new(self.read("SHA256SUMS"));
        let signature = minisign::sign(None, &key.pair.sk, sums, Some(&comment), None).unwrap();
        self.write("SHA256SUMS.minisig", signature.into_string());
    }

    pub fn tar(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        flate2::read::MultiGzDecoder::new(&self.read(BUNDLE)[..]).read_to_end(&mut bytes).unwrap();
        bytes
    }

    pub fn put_tar(&self, bytes: &[u8]) {
        // In the form that a release has: a member for each MiB, of no system.
        let members = bytes.chunks(1024 * 1024).flat_map(|part| gzip(GzBuilder::new(), part));
        self.write(BUNDLE, members.collect::<Vec<_>>());
    }

    pub fn verify(&self, repository: &Repository, arguments: &[&str]) -> Output {
        let mut command = repository.xtask(&["release", "verify"]);
        command.arg(self.folder.path()).args(arguments).output().unwrap()
    }

    /// That it is refused with exit code 1 and says so.
    pub fn refused(&self, repository: &Repository, key: &Key, part: &str) {
        let output = self.verify(repository, &["--public-key", key.public.to_str().unwrap()]);
        let told = text(&output);
        assert_eq!(output.status.code(), Some(1), "{part}: {told}");
        assert!(told.contains(part), "{part} is not in: {told}");
        assert!(told.contains("do not use it"), "{told}");
    }
}

/// A gzip member.
pub fn gzip(header: GzBuilder, bytes: &[u8]) -> Vec<u8> {
    let mut gzip = header.operating_system(255).write(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
