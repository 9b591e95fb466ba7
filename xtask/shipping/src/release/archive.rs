//! Writes a tree as a tar stream: the same bytes for the same contents, whatever machine, user or umask.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read as _, Write};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::header::{Form, header};
use super::link::leaves;
use super::path;
use foundation::escape;
use foundation::files;

/// Tar's unit.
const BLOCK: usize = 512;
/// Big, so that copying costs nothing beside compressing.
const BUFFER: usize = 1024 * 1024;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    File {
        executable: bool,
        contents: Contents,
    },
    /// A symbolic link and where it leads.
    Link(String),
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// What is packed, by path: relative, with `/` between its parts. Folders follow from the paths.
pub type Tree = BTreeMap<String, Node>;

/// Writes the tree below one top folder; every time is `mtime`, in seconds since 1970.
///
/// # Errors
/// A file cannot be read or changes while it is, a path is too long, or `out` cannot be written.
pub fn write(tree: &Tree, top: &str, mtime: u64, out: &mut dyn Write) -> Result<()> {
    let mut twins: BTreeMap<String, &String> = BTreeMap::new();
    for path in tree.keys() {
        // What verification would refuse is not packed.
        if let Some(problem) = path::problem(path) {
            bail!("{}: {problem}; give it another name", escape::name(path));
        }
        if let Some(twin) = twins.insert(path::folded(path), path) {
            bail!("{path}: some file systems cannot distinguish it from {twin}; give it another name");
        }
    }
    let mut entries: BTreeMap<String, Option<&Node>> = BTreeMap::new();
    entries.insert(top.to_owned(), None);
    for (path, node) in tree {
        let whole = format!("{top}/{path}");
        for (at, _) in whole.match_indices('/') {
            entries.insert(whole[..at].to_owned(), None);
        }
        entries.insert(whole, Some(node));
    }
    for (path, node) in entries {
        match node {
            None => out.write_all(header(&path, Form::Folder, "", mtime)?.as_bytes())?,
            Some(Node::Link(to)) if leaves(&path, to) => {
                bail!(
                    "{path}: a symbolic link to {to:?}, which may lead out of the archive and cannot be verified"
                )
            }
            Some(Node::Link(to)) => out.write_all(header(&path, Form::Link, to, mtime)?.as_bytes())?,
            Some(Node::File { executable, contents }) => {
                file(&path, *executable, contents, mtime, out).with_context(|| format!("packing {path}"))?;
            }
        }
    }
    out.write_all(&[0; 2 * BLOCK])?;
    Ok(())
}

fn file(path: &str, executable: bool, contents: &Contents, mtime: u64, out: &mut dyn Write) -> Result<()> {
    let size = match contents {
        Contents::Bytes(bytes) => {
            let size = bytes.len() as u64;
            out.write_all(header(path, Form::File { executable, size }, "", mtime)?.as_bytes())?;
            out.write_all(bytes)?;
            size
        }
        Contents::File(from) => {
            let file = files::open_within(from, files::ARCHIVE)?;
            let size = file.metadata()?.len();
            out.write_all(header(path, Form::File { executable, size }, "", mtime)?.as_bytes())?;
            let mut reader = BufReader::with_capacity(BUFFER.min(size as usize + 1), file.take(size));
            let copied = io::copy(&mut reader, out)?;
            if copied != size {
                bail!("{} was truncated while it was packed: {copied} of {size} bytes", from.display());
            }
            size
        }
    };
    let over = (size % BLOCK as u64) as usize;
    if over > 0 {
        out.write_all(&[0; BLOCK][over..])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let file = |text: &str, executable| Node::File { executable, contents: Contents::Bytes(text.into()) };
        Tree::from([
            ("b".to_owned(), Node::Link("a/one".to_owned())),
            ("a/one".to_owned(), file("1", false)),
            ("a-b".to_owned(), file("2", true)),
        ])
    }

    fn bytes(tree: &Tree) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(tree, "top", 1_700_000_000, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn another_program_reads_sorted_entries_with_normal_modes() {
        let bytes = bytes(&tree());
        let mut archive = tar::Archive::new(&bytes[..]);
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                assert_eq!(header.mtime().unwrap(), 1_700_000_000);
                (entry.path().unwrap().display().to_string(), header.mode().unwrap())
            })
            .collect();
        let expected =
            [("top/", 0o755), ("top/a/", 0o755), ("top/a-b", 0o755), ("top/a/one", 0o644), ("top/b", 0o777)];
        assert_eq!(seen, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }

    #[test]
    fn a_file_on_disk_gives_the_bytes_of_one_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(3 * BUFFER + 17);
        let path = folder.path().join("file");
        std::fs::write(&path, &long).unwrap();
        let of =
            |contents| bytes(&Tree::from([("f".to_owned(), Node::File { executable: false, contents })]));
        assert_eq!(of(Contents::Bytes(long.into())), of(Contents::File(path)));
    }

    #[test]
    fn a_link_that_verification_would_refuse_is_not_packed() {
        let tree = Tree::from([("l".to_owned(), Node::Link("a/../../x".to_owned()))]);
        let error = write(&tree, "top", 0, &mut io::sink()).unwrap_err().to_string();
        assert!(error.contains("top/l") && error.contains("out of the archive"), "{error}");
    }

    #[test]
    fn a_path_that_is_too_long_is_reported() {
        let long = "a".repeat(300);
        let tree = Tree::from([(long.clone(), Node::Link("x".to_owned()))]);
        let error = write(&tree, "top", 0, &mut io::sink()).unwrap_err().to_string();
        assert!(error.contains(&long) && error.contains("shorter"), "{error}");
    }
}
