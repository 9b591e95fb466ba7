//! SHA-256 in lower-case hexadecimal, of what is in memory and, in the same pass, of what is read or written.

use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use sha2::Digest as _;

use crate::files;

/// Big enough that a debug build spends its time in the hash and not in the loop.
const BUFFER: usize = 256 * 1024;

/// How many bytes, and their SHA-256 in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    pub bytes: u64,
    pub sha256: String,
}

/// Of bytes that come one after the other.
#[derive(Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    pub fn add(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// Adds a part after its length, so that no two lists of parts are hashed alike.
    pub fn part(&mut self, bytes: impl AsRef<[u8]>) {
        self.add((bytes.as_ref().len() as u64).to_le_bytes());
        self.add(bytes);
    }

    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Passes on what is written, and hashes it.
pub struct HashingWriter<W> {
    inner: W,
    hash: Hasher,
    bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Hasher::default(), bytes: 0 }
    }

    /// What was written to, and what is known of the bytes.
    pub fn finish(self) -> (W, Hashed) {
        (self.inner, Hashed { bytes: self.bytes, sha256: self.hash.finish() })
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hash.add(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Of bytes in memory.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&raw(bytes))
}

/// The same as numbers.
pub fn raw(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    sha2::Sha256::digest(bytes).into()
}

/// Of a regular file.
///
/// # Errors
/// It is none, or cannot be read.
pub fn of_file(path: &Path) -> Result<Hashed> {
    let file = files::open_within(path, files::ARCHIVE)?;
    copy(file, io::sink()).with_context(|| format!("cannot read {}", path.display()))
}

/// Of what is copied.
///
/// # Errors
/// Reading or writing fails.
pub fn copy(from: impl Read, to: impl Write) -> io::Result<Hashed> {
    let mut to = HashingWriter::new(to);
    io::copy(&mut BufReader::with_capacity(BUFFER, from), &mut to)?;
    Ok(to.finish().1)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn writing_reading_copying_and_memory_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes = vec![7; BUFFER + 3];
        let mut writer = HashingWriter::new(File::create(&path).unwrap());
        writer.write_all(&bytes).unwrap();
        let (_, hashed) = writer.finish();
        assert_eq!(hashed, Hashed { bytes: bytes.len() as u64, sha256: sha256(&bytes) });
        assert_eq!(hashed, of_file(&path).unwrap());
        let mut copied = Vec::new();
        assert_eq!(hashed, copy(File::open(&path).unwrap(), &mut copied).unwrap());
        assert_eq!(copied, fs::read(&path).unwrap());
    }

    /// The first two are in FIPS 180-2.
    #[test]
    fn a_digest_is_the_one_that_everybody_gets() {
        for (text, expected) in [
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ] {
            assert_eq!(sha256(text), expected);
        }
        assert_eq!(hex(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }

    #[test]
    fn parts_are_distinguished() {
        let of = |parts: &[&str]| {
            let mut hash = Hasher::default();
            parts.iter().for_each(|part| hash.part(part));
            hash.finish()
        };
        assert_eq!(of(&["a"]), sha256(b"\x01\0\0\0\0\0\0\0a"));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["abc"]), of(&["abc", ""]));
    }
}
