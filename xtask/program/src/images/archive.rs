//! Reads an image archive, as `docker save` writes it: Docker's own form, or an OCI layout that carries a
//! `manifest.json` too (Docker 25 and later).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

use foundation::digest;
use foundation::files;

/// An archive with its table of contents.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    members: BTreeMap<String, Member>,
    pub images: Vec<SavedImage>,
}

/// An image of an archive.
#[derive(Debug, Clone)]
pub struct SavedImage {
    pub tags: Vec<String>,
    /// `sha256:` and the digest of its configuration, which is its id in engines without containerd's store.
    pub id: String,
    pub config: serde_json::Value,
    /// Names of the layers' files in the archive, lowest first.
    pub layers: Vec<String>,
}

#[derive(Debug, Clone)]
enum Member {
    At {
        offset: u64,
        size: u64,
    },
    /// Docker writes a layer that it has written before as a link.
    Link(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Archive {
    /// # Errors
    /// The file cannot be read, or is no image archive.
    pub fn open(path: &Path) -> Result<Self> {
        let file = files::open_within(path, files::ARCHIVE)?;
        let mut members = BTreeMap::new();
        let mut tar = tar::Archive::new(BufReader::new(file));
        let no_archive =
            || format!("{}: not an image archive; expected what `docker save` writes", path.display());
        for entry in tar.entries_with_seek().with_context(no_archive)? {
            let entry = entry.with_context(no_archive)?;
            let name = plain(&entry.path()?.to_string_lossy());
            if let Some(link) = entry.link_name()? {
                members.insert(
                    name.clone(),
                    Member::Link(target(&name, &link.to_string_lossy(), entry.header())),
                );
            } else {
                members.insert(name, Member::At { offset: entry.raw_file_position(), size: entry.size() });
            }
        }
        let mut archive = Self { path: path.to_owned(), members, images: Vec::new() };
        let manifest = archive.bytes("manifest.json").with_context(no_archive)?;
        let entries: Vec<ManifestEntry> = serde_json::from_slice(&manifest).with_context(no_archive)?;
        for entry in entries {
            let config_text = archive.bytes(&entry.config)?;
            archive.images.push(SavedImage {
                tags: entry.repo_tags.unwrap_or_default(),
                id: format!("sha256:{}", digest::sha256(&config_text)),
                config: serde_json::from_slice(&config_text).with_context(no_archive)?,

                layers: entry.layers,
            });
        }
        Ok(archive)
    }

    /// The only image.
    ///
    /// # Errors
    /// There are none or several.
    pub fn only(&self) -> Result<&SavedImage> {
        match &self.images[..] {
            [image] => Ok(image),
            images => bail!("{}: holds {} images; expected one", self.path.display(), images.len()),
        }
    }

    /// Whether `index.json`, by which registries take an image, names the same one as `manifest.json`, by which engines
    /// do; inside, what does not fit.
    ///
    /// # Errors
    /// A file of the layout is missing, or cannot be read.
    pub fn fits_index(&self) -> Result<Result<(), String>> {
        let image = self.only()?;
        let json = |name: &str| -> Result<serde_json::Value> {
            serde_json::from_slice(&self.bytes(name)?)
                .with_context(|| format!("{}: {name}", self.path.display()))
        };
        let index = json("index.json")?;
        let blob = |digest: &serde_json::Value| {
            format!("blobs/{}", digest.as_str().unwrap_or_default().replacen(':', "/", 1))
        };
        let manifest = json(&blob(&index["manifests"][0]["digest"]))?;
        let layers: Vec<_> =
            manifest["layers"].as_array().into_iter().flatten().map(|layer| blob(&layer["digest"])).collect();
        let named: Vec<_> = image.layers.iter().map(|layer| plain(layer)).collect();
        Ok(if manifest["config"]["digest"] != image.id.as_str() {
            Err(format!(
                "index.json names the configuration {}, manifest.json {}",
                manifest["config"]["digest"], image.id
            ))
        } else if layers != named {
            Err(format!(
                "index.json names the layers {}, manifest.json {}",
                layers.join(", "),
                named.join(", ")
            ))
        } else {
            Ok(())
        })
    }

    /// The tar stream of a layer, unpacked when it is gzipped.
    ///
    /// # Errors
    /// It is not in the archive, or cannot be read.
    pub fn layer(&self, name: &str) -> Result<Box<dyn Read>> {
        let mut start = [0; 4];
        let got = self.read(name)?.take(4).read(&mut start)?;
        let reader = BufReader::with_capacity(256 * 1024, self.read(name)?);
        match start[..got] {
            [0x1f, 0x8b, ..] => Ok(Box::new(flate2::read::MultiGzDecoder::new(reader))),
            [0x28, 0xb5, 0x2f, 0xfd] => {
                bail!("{}: layer {name} is packed with zstd, which is not supported", self.path.display())
            }
            _ => Ok(Box::new(reader)),
        }
    }

    fn read(&self, name: &str) -> Result<std::io::Take<File>> {
        let mut name = plain(name);
        for _ in 0..8 {
            match self.members.get(&name) {
                Some(Member::At { offset, size }) => {
                    let mut file = File::open(&self.path)?;
                    file.seek(SeekFrom::Start(*offset))?;
                    return Ok(file.take(*size));
                }
                Some(Member::Link(to)) => name.clone_from(to),
                None => break,
            }
        }
        Err(anyhow!("{}: {name} is missing from the archive", self.path.display()))
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read(name)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// A path without `./` and slashes around it.
pub fn plain(path: &str) -> String {
    path.trim_start_matches("./").trim_matches('/').to_owned()
}

/// What a link in the archive points to: a hard link from the top, a symbolic one from its own folder.
fn target(name: &str, link: &str, header: &tar::Header) -> String {
    if header.entry_type().is_hard_link() {
        return plain(link);
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_from_where_they_stand() {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        assert_eq!(target("abc/layer.tar", "../def/layer.tar", &header), "def/layer.tar");
        header.set_entry_type(tar::EntryType::Link);
        assert_eq!(target("abc/layer.tar", "def/layer.tar", &header), "def/layer.tar");
    }

    #[test]
    fn registries_and_engines_must_find_the_same_image() {
        let found = |layer: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut tar = tar::Builder::new(file.as_file());
            let id = format!("sha256:{}", digest::sha256("{}"));
            let config = format!("blobs/{}", id.replace(':', "/"));
            for (name, text) in [
                ("index.json", r#"{"manifests":[{"digest":"sha256:m"}]}"#.to_owned()),
                (
                    "blobs/sha256/m",
                    format!(r#"{{"config":{{"digest":"{id}"}},"layers":[{{"digest":"sha256:{layer}"}}]}}"#),
                ),
                ("manifest.json", format!(r#"[{{"Config":"{config}","Layers":["blobs/sha256/one"]}}]"#)),
                (&config, "{}".to_owned()),
            ] {
                let mut header = tar::Header::new_ustar();
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, name, text.as_bytes()).unwrap();
            }
            tar.finish().unwrap();
            Archive::open(file.path()).unwrap().fits_index().unwrap()
        };
        assert_eq!(found("one"), Ok(()));
        let told = found("two").unwrap_err();
        assert_eq!(told, "index.json names the layers blobs/sha256/two, manifest.json blobs/sha256/one");
    }

    #[test]
    fn invalid_archives_are_reported() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no tar").unwrap();
        let error = format!("{:#}", Archive::open(file.path()).unwrap_err());
        assert!(error.contains("not an image archive"), "{error}");
    }
}
