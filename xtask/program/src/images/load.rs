//! Gives an engine the image of an archive, under a tag of our choice: the archive's own may mean another image here.

use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::engine::Engine;
use super::failure;
use foundation::files;

/// `index.json` and `manifest.json` are small.
const LONGEST: u64 = 4 << 20;

/// # Errors
/// The archive cannot be read, or the engine refuses it.
pub fn load(engine: &Engine, archive: &Path, tag: &str) -> Result<()> {
    let mut child = Command::new(&engine.client)
        .args(["image", "load", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be run", engine.client.display()))?;
    let to = child.stdin.take().context("it has no input")?;
    let sent = send(archive, tag, to);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let remedy = failure::explain(&why).map(|remedy| format!("; {remedy}")).unwrap_or_default();
        bail!("{}: the engine cannot load it: {why}{remedy}", archive.display());
    }
    sent.with_context(|| archive.display().to_string())
}

fn send(archive: &Path, tag: &str, to: ChildStdin) -> Result<()> {
    let from = files::open_within(archive, files::ARCHIVE)?;
    let mut from = tar::Archive::new(BufReader::with_capacity(1 << 20, from));
    let mut to = tar::Builder::new(to);
    for entry in from.entries()? {
        let mut entry = entry?;
        let mut header = entry.header().clone();
        let path = entry.path()?.into_owned();
        let named = match path.to_str() {
            Some("manifest.json") => in_manifest,
            Some("index.json") => in_index,
            _ => {
                to.append_data(&mut header, &path, &mut entry)?;
                continue;
            }
        };
        let mut bytes = Vec::new();
        entry.by_ref().take(LONGEST).read_to_end(&mut bytes)?;
        let mut value: Value = serde_json::from_slice(&bytes)?;
        named(&mut value, tag);
        let bytes = serde_json::to_vec(&value)?;
        header.set_size(bytes.len() as u64);
        to.append_data(&mut header, &path, &bytes[..])?;
    }
    Ok(to.into_inner()?.flush()?)
}

fn in_manifest(manifest: &mut Value, tag: &str) {
    for image in manifest.as_array_mut().into_iter().flatten() {
        image["RepoTags"] = json!([tag]);
    }
}

fn in_index(index: &mut Value, tag: &str) {
    for image in index["manifests"].as_array_mut().into_iter().flatten() {
        image["annotations"] = json!({
            "org.opencontainers.image.ref.name": tag.rsplit_once(':').map_or("latest", |(_, tag)| tag),
            "io.containerd.image.name": canonical(tag),
        });
    }
}

/// A name as containerd wants it: with the registry that Docker's clients leave out.
fn canonical(name: &str) -> String {
    match name.split_once('/') {
        None => format!("docker.io/library/{name}"),
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_the_registry_that_they_leave_out() {
        for (name, expected) in [
            ("node:24", "docker.io/library/node:24"),
            ("harbour/crane:1.0.0-ab", "docker.io/harbour/crane:1.0.0-ab"),
            ("localhost/crane:1", "localhost/crane:1"),
            ("registry.example.com/crane:1", "registry.example.com/crane:1"),
            ("registry:5000/crane:1", "registry:5000/crane:1"),
        ] {
            assert_eq!(canonical(name), expected);
        }
    }

    #[test]
    fn an_image_is_named_for_each_kind_of_engine() {
        let mut index = json!({ "manifests": [{ "digest": "sha256:0", "annotations": { "x": "y" } }] });
        in_index(&mut index, "harbour/crane:1");
        let annotations = json!({
            "org.opencontainers.image.ref.name": "1",
            "io.containerd.image.name": "docker.io/harbour/crane:1",
        });
        assert_eq!(index, json!({ "manifests": [{ "digest": "sha256:0", "annotations": annotations }] }));
    }
}
