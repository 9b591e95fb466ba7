//! Reads a bundle without putting anything on disk, and refuses whatever [`super::archive`] would not have written.
//!
//! Every header is compared with the one that we would write for the same path: what is not checked by name here (an
//! owner, a setuid bit, a time, an extended header) does not pass either.

use std::collections::BTreeMap;
use std::io::{self, Read};

use tar::{EntryType, Header};

use super::header::{Form, header};
use super::link::leaves;
use super::path;
use foundation::digest::Hasher;
use foundation::escape;

const BLOCK: usize = 512;
const BUFFER: usize = 1024 * 1024;
/// Bytes that are kept in memory, of all files together: lock files are smaller.
const KEPT: u64 = 64 * 1024 * 1024;
/// Entries of an archive, and bytes of all its files: many times what ours have.
const ENTRIES: usize = 20_000;
const UNPACKED: u64 = 8 * 1024 * 1024 * 1024;

/// What the archive must be.
pub struct Expected<'a> {
    /// The one folder at its top.
    pub top: &'a str,
    /// The time of all entries, in seconds since 1970.
    pub mtime: u64,
}

/// An entry below the top folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Folder,
    File { executable: bool, size: u64, sha256: String, kept: Option<Vec<u8>> },
    Link(String),
}

/// What was read: by path below the top folder, in order.
#[derive(Debug, Default)]
pub struct Reading {
    pub entries: BTreeMap<String, Found>,
    /// Everything that is wrong; after damage that hides where the next entry begins, nothing more is read.
    pub problems: Vec<String>,
}

/// Reads a tar stream to its end; files for which `keep` says so are kept.
pub fn read(stream: impl Read, expected: &Expected, keep: &dyn Fn(&str) -> bool) -> Reading {
    let mut reader = Reader {
        stream,
        expected,
        keep,
        reading: Reading::default(),
        last: String::new(),
        folded: BTreeMap::new(),
        unpacked: 0,
        kept: 0,
    };
    if let Err(error) = reader.all() {
        reader.reading.problems.push(format!("the archive is damaged or truncated: {error}"));
    }
    reader.reading
}

struct Reader<'a, R> {
    stream: R,
    expected: &'a Expected<'a>,
    keep: &'a dyn Fn(&str) -> bool,
    reading: Reading,
    /// The path of the entry before.
    last: String,
    /// The path of each entry, by what file systems may take it for.
    folded: BTreeMap<String, String>,
    /// Bytes of the files so far.
    unpacked: u64,
    kept: u64,
}

impl<R: Read> Reader<'_, R> {
    fn all(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let mut block = [0; BLOCK];
            self.stream.read_exact(&mut block)?;
            if block == [0; BLOCK] {
                return self.end();
            }
            let told = Header::from_byte_slice(&block);
            let sum: u32 = block
                .iter()
                .enumerate()
                .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
                .sum();
            if told.cksum()? != sum {
                return Err(io::Error::other("the checksum of an entry's header is wrong"));
            }
            self.entry(told, &mut buffer)?;
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let mut block = [0; BLOCK];
        self.stream.read_exact(&mut block)?;
        let more = self.stream.read(&mut [0; 1])?;
        if block != [0; BLOCK] || more > 0 {
            self.reading.problems.push("there are data after the end of the archive".to_owned());
        }
        Ok(())
    }

    fn entry(&mut self, told: &Header, buffer: &mut [u8]) -> io::Result<()> {
        let raw = told.path_bytes();
        let shown = escape::name(&String::from_utf8_lossy(&raw)).into_owned();
        let path = String::from_utf8(raw.to_vec()).unwrap_or_default();
        let size = told.entry_size()?;
        self.unpacked = self.unpacked.saturating_add(size);
        if self.unpacked > UNPACKED || self.folded.len() >= ENTRIES {
            return Err(io::Error::other("it is larger than a release"));
        }
        let link = told
            .link_name_bytes()
            .map(|link| String::from_utf8_lossy(&link).into_owned())
            .unwrap_or_default();
        let form = match told.entry_type() {
            EntryType::Directory => Some(Form::Folder),
            EntryType::Symlink => Some(Form::Link),
            EntryType::Regular => {
                Some(Form::File { executable: told.mode().is_ok_and(|mode| mode & 0o100 != 0), size })
            }
            _ => None,
        };
        let path = if form == Some(Form::Folder) { path.trim_end_matches('/').to_owned() } else { path };
        let sound = self.judge(&shown, &path, form, &link, told);
        let below = path.strip_prefix(self.expected.top).map(|path| path.trim_start_matches('/').to_owned());
        let keep = sound && self.kept.saturating_add(size) <= KEPT && below.as_deref().is_some_and(self.keep);
        self.kept += if keep { size } else { 0 };
        let (sha256, kept) = self.contents(size, keep, buffer)?;
        if let (true, Some(form), Some(below)) = (sound, form, below) {
            let found = match form {
                Form::Folder => Found::Folder,
                Form::Link => Found::Link(link),
                Form::File { executable, size } => Found::File { executable, size, sha256, kept },
            };
            if !below.is_empty() {
                self.reading.entries.insert(below, found);
            }
        }
        self.last = path;
        Ok(())
    }

    /// Whether the entry may be there; notes why not.
    fn judge(&mut self, shown: &str, path: &str, form: Option<Form>, link: &str, told: &Header) -> bool {
        let before = self.reading.problems.len();
        let top = self.expected.top;
        let mut note = |what: String| self.reading.problems.push(format!("{shown}: {what}"));
        let Some(form) = form else {
            note(format!(
                "a special entry (type {:?}); only files, folders and symbolic links are allowed",
                told.entry_type()
            ));
            return false;
        };
        if path.starts_with('/') {
            note("an absolute path".to_owned());
        } else if let Some(problem) = path::problem(path) {
            note(problem.to_owned());
        } else if path != top && !path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/')) {
            note(format!("not below {top}/"));
        }
        if form == Form::Link && leaves(path, link) {
            note(format!("a symbolic link to {link:?}, which leaves the archive's folder"));
        }
        let below = path.strip_prefix(top).unwrap_or_default().trim_start_matches('/');
        if self.reading.entries.contains_key(below) || (self.last == path && !path.is_empty()) {
            note("is there twice".to_owned());
        } else if path < self.last.as_str() {
            note(format!("comes after {}: the entries are not sorted", self.last));
        } else if let Some(twin) = self.folded.insert(path::folded(path), path.to_owned()) {
            note(format!("some file systems cannot distinguish it from {twin}"));
        }
        if let Some((folder, _)) = below.rsplit_once('/')
            && self.reading.entries.get(folder) != Some(&Found::Folder)
        {
            note(format!("is below {folder}, which is not a folder of the archive"));
        }
        if self.reading.problems.len() > before {
            return false;
        }
        let ours = header(path, form, link, self.expected.mtime);
        if !ours.is_ok_and(|ours| ours.as_bytes() == told.as_bytes()) {
            self.reading.problems.push(format!(
                "{shown}: its owner, permissions, time or another part of its header are not those of a release"
            ));
            return false;
        }
        true
    }

    fn contents(
        &mut self,
        size: u64,
        keep: bool,
        buffer: &mut [u8],
    ) -> io::Result<(String, Option<Vec<u8>>)> {
        let mut hash = Hasher::default();
        let mut kept = keep.then(Vec::new);
        let mut left = size;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            self.stream.read_exact(&mut buffer[..part])?;
            hash.add(&buffer[..part]);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(&buffer[..part]);
            }
            left -= part as u64;
        }
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        if over > 0 {
            let rest = &mut buffer[..BLOCK - over];
            self.stream.read_exact(rest)?;
            if rest.iter().any(|byte| *byte != 0) {
                return Err(io::Error::other("there are data between two entries"));
            }
        }
        Ok((hash.finish(), kept))
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive::{self, Contents, Node, Tree};
    use super::*;

    const TIME: u64 = 1_700_000_000;
    const EXPECTED: Expected<'static> = Expected { top: "top", mtime: TIME };

    type Entry = (Header, &'static [u8]);

    fn read_all(bytes: &[u8]) -> Reading {
        read(bytes, &EXPECTED, &|path| path == "a/one")
    }

    /// A stream of these headers, each with its contents.
    fn stream(entries: &[(Header, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (header, contents) in entries {
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(contents);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        bytes
    }

    fn folder(path: &str) -> Entry {
        (header(path, Form::Folder, "", TIME).unwrap(), b"")
    }

    fn file(path: &str) -> Entry {
        let form = Form::File { executable: false, size: 1 };
        // The writer's own check of paths is not to protect this reader.
        let mut made = header("x", form, "", TIME).unwrap();
        made.as_mut_bytes()[..100].fill(0);
        made.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        made.set_cksum();
        (made, b"1")
    }

    fn link(path: &str, to: &str) -> Entry {
        (header(path, Form::Link, to, TIME).unwrap(), b"")
    }

    fn changed(change: impl Fn(&mut Header)) -> Entry {
        let (mut made, contents) = file("top/f");
        change(&mut made);
        made.set_cksum();
        (made, contents)
    }

    #[test]
    fn what_is_written_is_read() {
        let node = |text: &str| Node::File { executable: true, contents: Contents::Bytes(text.into()) };
        let tree = Tree::from([
            ("a/one".to_owned(), node("1")),
            ("a-b".to_owned(), node("22")),
            ("l".to_owned(), Node::Link("a/one".to_owned())),
        ]);
        let mut bytes = Vec::new();
        archive::write(&tree, "top", TIME, &mut bytes).unwrap();
        let reading = read_all(&bytes);
        assert_eq!(reading.problems, [""; 0]);
        let seen: Vec<_> = reading.entries.keys().map(String::as_str).collect();
        assert_eq!(seen, ["a", "a-b", "a/one", "l"]);
        let expected = foundation::digest::sha256(b"1");
        assert_eq!(
            reading.entries["a/one"],
            Found::File { executable: true, size: 1, sha256: expected, kept: Some(b"1".to_vec()) }
        );
        for cut in 0..bytes.len() {
            assert!(!read_all(&bytes[..cut]).problems.is_empty(), "cut to {cut}");
        }
        bytes.push(0);
        assert!(read_all(&bytes).problems[0].contains("after the end"));
    }

    #[test]
    fn every_flipped_bit_shows() {
        let entries = stream(&[folder("top"), file("top/f"), link("top/l", "f")]);
        let before = read_all(&entries);
        assert_eq!(before.problems, [""; 0]);
        for at in 0..entries.len() {
            let mut flipped = entries.clone();
            flipped[at] ^= 1;
            let reading = read_all(&flipped);
            assert!(!reading.problems.is_empty() || reading.entries != before.entries, "byte {at}");
        }
    }

    #[test]
    fn files_that_do_not_belong_to_a_release_are_reported() {
        let special = |kind: EntryType| changed(move |made| made.set_entry_type(kind));
        let bad: Vec<(Vec<Entry>, &str)> = vec![
            (vec![file("top/../../etc/passwd")], "leaves the archive's folder"),
            (vec![file("/etc/passwd")], "an absolute path"),
            (vec![file("other/f")], "not below top/"),
            (vec![file("topf")], "not below top/"),
            (vec![file("top/./f")], "not in our normal form"),
            (vec![file("top//f")], "not in our normal form"),
            (vec![file("top/a\nb")], "an invisible character"),
            (vec![file("top/a\u{1b}[31m")], r"top/a\u{1b}[31m: an invisible character"),
            (vec![file("top/a\u{202e}b")], "an invisible character"),
            (vec![file("top/-rf")], "begins with a dash"),
            (vec![file("top/a ")], "ends with a full stop or a blank"),
            (vec![file("top/a.")], "ends with a full stop or a blank"),
            (vec![file("top/z\\..\\x")], "a backslash"),
            (vec![file("top/o\u{308}")], "normal form C"),
            (vec![file("top/A"), file("top/a")], "some file systems cannot distinguish it from top/A"),
            (vec![folder("top/A"), folder("top/a")], "some file systems cannot distinguish it from top/A"),
            (vec![file("top/STRASSE"), file("top/stra\u{df}e")], "distinguish it from top/STRASSE"),
            (vec![file("top/\u{3c2}"), file("top/\u{3c3}")], "some file systems cannot distinguish it from"),
            (vec![link("top/l", "a\\..\\..\\b")], "leaves the archive's folder"),
            (vec![file("top/f"), file("top/f")], "is there twice"),
            (vec![file("top/g"), file("top/f")], "the entries are not sorted"),
            (vec![file("top/a/f")], "is below a, which is not a folder"),
            (vec![link("top/l", "/etc/passwd")], "leaves the archive's folder"),
            (vec![link("top/l", "..")], "leaves the archive's folder"),
            (vec![link("top/l", "../../x")], "leaves the archive's folder"),
            (vec![link("top/l", "a/../../top/x")], "leaves the archive's folder"),
            // Through another link, which leads up.
            (vec![link("top/l", "a/b/up/../outside")], "leaves the archive's folder"),
            (vec![link("top/l", "."), file("top/l/f")], "is below l, which is not a folder"),
            (vec![special(EntryType::Link)], "a special entry"),
            (vec![special(EntryType::Char)], "a special entry"),
            (vec![special(EntryType::Block)], "a special entry"),
            (vec![special(EntryType::Fifo)], "a special entry"),
            (vec![special(EntryType::XHeader)], "a special entry"),
            (vec![special(EntryType::XGlobalHeader)], "a special entry"),
            (vec![special(EntryType::GNULongName)], "a special entry"),
            (vec![special(EntryType::GNUSparse)], "a special entry"),
            (vec![changed(|made| made.set_mode(0o4755))], "owner, permissions, time"),
            (vec![changed(|made| made.set_mode(0o666))], "owner, permissions, time"),
            (vec![changed(|made| made.set_uid(1000))], "owner, permissions, time"),
            (vec![changed(|made| made.set_mtime(TIME + 1))], "owner, permissions, time"),
            (vec![changed(|made| made.set_username("x").unwrap())], "owner, permissions, time"),
        ];
        for (entries, part) in bad {
            let entries: Vec<_> = [folder("top")].into_iter().chain(entries).collect();
            let problems = read_all(&stream(&entries)).problems.join("\n");
            assert!(problems.contains(part), "{part}: {problems}");
        }
        let good = stream(&[folder("top"), folder("top/a"), link("top/a/l", "../f"), file("top/f")]);
        assert_eq!(read_all(&good).problems, [""; 0]);
    }
}
