//! SHA-256 of what is written or read, in the same pass.

use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::files;

/// Big enough that a debug build spends its time in the hash and not in the loop.
const BUFFER: usize = 1024 * 1024;

/// How many bytes, and their SHA-256 in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    pub bytes: u64,
    pub sha256: String,
}

/// Passes on what is written, and hashes it.
pub struct HashingWriter<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    /// What was written to, and what is known of the bytes.
    pub fn finish(self) -> (W, Hashed) {
        (self.inner, Hashed { bytes: self.bytes, sha256: hex(&self.hash.finalize()) })
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Of bytes in memory.
pub fn of_bytes(bytes: &[u8]) -> Hashed {
    Hashed { bytes: bytes.len() as u64, sha256: hex(&Sha256::digest(bytes)) }
}

/// Of a file.
///
/// # Errors
/// It is no regular file, or cannot be read.
pub fn of_file(path: &Path) -> Result<Hashed> {
    let place = || format!("cannot read {}", path.display());
    let mut file = files::open_within(path, files::ARCHIVE)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut bytes = 0;
    loop {
        let got = file.read(&mut buffer).with_context(place)?;
        if got == 0 {
            return Ok(Hashed { bytes, sha256: hex(&hash.finalize()) });
        }
        hash.update(&buffer[..got]);
        bytes += got as u64;
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn writing_reading_and_memory_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes = vec![7; BUFFER + 3];
        let mut writer = HashingWriter::new(File::create(&path).unwrap());
        writer.write_all(&bytes).unwrap();
        let (_, hashed) = writer.finish();
        assert_eq!(hashed, of_bytes(&bytes));
        assert_eq!(hashed, of_file(&path).unwrap());
        assert_eq!(hashed.bytes, bytes.len() as u64);
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(of_bytes(b"").sha256, of_nothing);
    }
}
