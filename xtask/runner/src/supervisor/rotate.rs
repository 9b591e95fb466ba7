//! A log file that does not grow without end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::plan::service::LogFile;

/// An open log. `PATH` holds the newest lines, `PATH.1` those before them.
#[derive(Debug)]
pub struct RotatingLog {
    path: PathBuf,
    max_bytes: u64,
    file: File,
    bytes: u64,
}

impl RotatingLog {
    /// Opens it for appending; missing parent folders are made.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(log: &LogFile) -> io::Result<Self> {
        if let Some(folder) = log.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = open(&log.path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: log.path.clone(), max_bytes: log.max_bytes, file, bytes })
    }

    /// Appends a line, in a new file when it does not fit.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        let size = text.len() as u64 + 1;
        if self.bytes > 0 && self.bytes + size > self.max_bytes {
            fs::rename(&self.path, older(&self.path))?;
            self.file = open(&self.path)?;
            self.bytes = 0;
        }
        self.file.write_all(format!("{text}\n").as_bytes())?;
        self.bytes += size;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Where the lines before the newest are.
pub fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_holds_the_newest_lines_within_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile { path: folder.path().join("new/a.log"), max_bytes: 100 };
        for round in 0..2 {
            let mut open = RotatingLog::open(&log).unwrap();
            for number in 0..50 {
                open.line(&format!("round {round} line {number}")).unwrap();
            }
        }
        let newest = fs::read_to_string(&log.path).unwrap();
        let before = fs::read_to_string(older(&log.path)).unwrap();
        assert!(newest.ends_with("round 1 line 49\n") && newest.len() <= 100 && before.len() <= 100);
        assert_eq!((before + &newest).lines().next_back(), Some("round 1 line 49"));
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 2);
    }
}
