//! `release.json`: what a release is, as it says itself; and the names of its files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::program::Program;

/// The version of the forms of `release.json` and `manifest.json`.
pub const SCHEMA: u32 = 1;

/// Its name in the bundle.
pub const FILE: &str = "release.json";

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Without a `v`: `1.2.0`.
    pub version: String,
    /// 40 hexadecimal digits.
    pub commit: String,
    /// Seconds since 1970 at which it was committed: the time of everything in its archives.
    pub committed: u64,
    /// The revision that Node-RED names when it runs the flows of the bundle.
    pub flows_rev: String,
    /// The machine that the bundle's program is for, as Rust names it.
    pub target: String,
    pub images: Vec<Image>,
    /// The programs for other machines that are part of the release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<Program>,
    /// Version by program: what it was built with, and what it brings.
    pub tools: BTreeMap<String, String>,
}

/// A container image of the release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Whose reference it is: `postgres:18-bookworm`, or the tag of one of ours.
    pub reference: String,
    /// `sha256:` and 64 digits: of the index in its registry, or of the manifest in `archive`.
    pub digest: String,
    /// The file of the release that holds it; none for other people's images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// The official references that stand-ins stood in for when it was built: not for production.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stand_ins: Vec<String>,
}

impl Release {
    /// Of a file's text.
    ///
    /// # Errors
    /// What is wrong with it, without the file's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        schema(text)?;
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// Refuses another version of the form before anything else is read of it.
///
/// # Errors
/// It is another version, or none.
pub fn schema(text: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    match serde_json::from_str(text) {
        Ok(Version { schema: SCHEMA }) => Ok(()),
        Ok(Version { schema }) => Err(format!(
            "its schema is {schema}, this program reads {SCHEMA}: use the program of that release"
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// The folder that a bundle unpacks to.
pub fn top(version: &str) -> String {
    format!("flowship-{version}")
}

/// The bundle's file name.
pub fn bundle(version: &str) -> String {
    format!("flowship-{version}-bundle.tar.gz")
}

/// The file name of the archive with the operator's program for another machine than the bundle's.
pub fn operator(version: &str, target: &str) -> String {
    format!("flowship-{version}-operator-{target}.tar.gz")
}

/// The target whose program the archive of this file name holds.
pub fn operator_target<'a>(version: &str, file: &'a str) -> Option<&'a str> {
    file.strip_prefix(&format!("flowship-{version}-operator-"))?.strip_suffix(".tar.gz")
}

/// The file name of an image's archive.
pub fn image(version: &str, target: &str) -> String {
    format!("flowship-{version}-image-{target}.oci.tar")
}

/// The target whose archive has this file name.
pub fn image_target<'a>(version: &str, file: &'a str) -> Option<&'a str> {
    file.strip_prefix(&format!("flowship-{version}-image-"))?.strip_suffix(".oci.tar")
}

/// The bill of materials of the operator's binary.
pub fn rust_sbom(version: &str) -> String {
    format!("flowship-{version}-rust.cdx.json")
}

/// The bill of materials of what Node.js runs.
pub fn npm_sbom(version: &str) -> String {
    format!("flowship-{version}-npm.cdx.json")
}
