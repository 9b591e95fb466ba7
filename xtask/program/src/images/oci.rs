//! Writes an image as an OCI layout in one tar file, the same bytes for the same content.
//!
//! The image gets a single layer with the merged file system: entries in order of their paths, every time 0, no names
//! of owners. The configuration is the one that [`super::content`] digests, without history and times. So the digest of
//! the manifest can be compared between machines, whatever engine built the image.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::archive::{Archive, SavedImage, plain};
use super::content::{self, Kind, Node, Tree};

use foundation::digest;
use foundation::files::{self, temporary};

/// Writes `image` to `to` and gives the digest of its manifest.
///
/// # Errors
/// The archive cannot be read, or the file cannot be written.
pub fn write(archive: &Archive, image: &SavedImage, tag: &str, to: &Path) -> Result<String> {
    let tree = content::tree(archive, image)?;
    let folder = to.parent().unwrap_or(Path::new("."));
    let mut layer = tempfile::NamedTempFile::new_in(folder)?;
    write_layer(archive, image, &tree, BufWriter::new(layer.as_file_mut()))?;
    let layer_sum = digest::of_file(layer.path())?;
    let (layer_digest, layer_size) = (format!("sha256:{}", layer_sum.sha256), layer_sum.bytes);

    let mut config = json!({ "config": content::configuration(&image.config) });
    for name in ["architecture", "os"] {
        config[name] = image.config[name].clone();
        config["config"].as_object_mut().expect("it is an object").remove(name);
    }
    config["rootfs"] = json!({ "type": "layers", "diff_ids": [layer_digest] });
    let config = serde_json::to_vec(&config)?;
    let config_digest = format!("sha256:{}", digest::sha256(&config));
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len() },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer_digest, "size": layer_size }],
    }))?;
    let manifest_digest = format!("sha256:{}", digest::sha256(&manifest));
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": manifest_digest, "size": manifest.len(),
            "annotations": { "org.opencontainers.image.ref.name": tag, "io.containerd.image.name": tag },
        }],
    }))?;
    let blob = |digest: &str| format!("blobs/sha256/{}", digest.trim_start_matches("sha256:"));
    // For `docker load` and `docker save` readers, which look for this file.
    let docker = serde_json::to_vec(&json!([{
        "Config": blob(&config_digest), "RepoTags": [tag], "Layers": [blob(&layer_digest)],
    }]))?;

    files::write::with(to, 0o644, |out| {
        let mut tar = tar::Builder::new(BufWriter::new(out));
        add(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        add(&mut tar, "index.json", &index)?;
        add(&mut tar, "manifest.json", &docker)?;
        add(&mut tar, &blob(&config_digest), &config)?;
        add(&mut tar, &blob(&manifest_digest), &manifest)?;
        let mut header = plain_header(layer_size);
        tar.append_data(&mut header, blob(&layer_digest), File::open(layer.path())?)?;
        Ok(tar.into_inner()?.flush()?)
    })?;
    Ok(manifest_digest)
}

fn add<W: Write>(tar: &mut tar::Builder<W>, name: &str, bytes: &[u8]) -> Result<()> {
    tar.append_data(&mut plain_header(bytes.len() as u64), name, bytes)?;
    Ok(())
}

fn plain_header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Files are read from the layer that they are in last; several passes keep memory small and the order by path.
fn write_layer<W: Write>(archive: &Archive, image: &SavedImage, tree: &Tree, out: W) -> Result<()> {
    // Contents by digest, once each, in a folder that vanishes: a layer cannot be read at any place.
    let contents = temporary::folder("flowship-image-")?;
    for name in &image.layers {
        for entry in tar::Archive::new(archive.layer(name)?).entries()? {
            let mut entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = plain(&entry.path()?.to_string_lossy());
            let (folder, file) = path.rsplit_once('/').unwrap_or(("", &path));
            if file.starts_with(".wh.") && !folder.is_empty() {
                continue;
            }
            let mut beside = tempfile::NamedTempFile::new_in(contents.path())?;
            let hashed = digest::copy(&mut entry, &mut beside)?;
            beside.persist(contents.path().join(hashed.sha256))?;
        }
    }
    let mut tar = tar::Builder::new(out);
    for (path, node) in tree {
        write_node(&mut tar, path, node, contents.path())?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

fn write_node<W: Write>(tar: &mut tar::Builder<W>, path: &str, node: &Node, contents: &Path) -> Result<()> {
    let names: Vec<_> = node.attributes.keys().map(|name| format!("SCHILY.xattr.{name}")).collect();
    tar.append_pax_extensions(
        names.iter().map(String::as_str).zip(node.attributes.values().map(Vec::as_slice)),
    )?;
    let mut header = tar::Header::new_ustar();
    header.set_mode(node.mode);
    header.set_uid(node.uid);
    header.set_gid(node.gid);
    header.set_mtime(0);
    header.set_size(0);
    match &node.kind {
        Kind::Folder => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, format!("{path}/"), std::io::empty())?;
        }
        Kind::Link(to) => {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, path, to)?;
        }
        Kind::File { size, sha256 } => {
            header.set_size(*size);
            tar.append_data(&mut header, path, File::open(contents.join(sha256))?)?;
        }
        Kind::Device { character, major, minor } => {
            header.set_entry_type(if *character { tar::EntryType::Char } else { tar::EntryType::Block });
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
            tar.append_data(&mut header, path, std::io::empty())?;
        }
        Kind::Pipe => {
            header.set_entry_type(tar::EntryType::Fifo);
            tar.append_data(&mut header, path, std::io::empty())?;
        }
    }
    Ok(())
}
