//! A log file that does not grow without end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::plan::service::LogFile;

/// An open log. `PATH` holds the newest lines, `PATH.1` those before them, `PATH.2` those before these.
#[derive(Debug)]
pub struct RotatingLog {
    path: PathBuf,
    max_bytes: u64,
    older: u32,
    others_read: bool,
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
        let file = open(&log.path, log.others_read)?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            path: log.path.clone(),
            max_bytes: log.max_bytes,
            older: log.older,
            others_read: log.others_read,
            file,
            bytes,
        })
    }

    /// Appends a line, in a new file when it does not fit.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        let size = text.len() as u64 + 1;
        if self.bytes > 0 && self.bytes + size > self.max_bytes {
            for number in (1..self.older).rev() {
                match fs::rename(older(&self.path, number), older(&self.path, number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            fs::rename(&self.path, older(&self.path, 1))?;
            self.file = open(&self.path, self.others_read)?;
            self.bytes = 0;
        }
        self.file.write_all(format!("{text}\n").as_bytes())?;
        self.bytes += size;
        Ok(())
    }
}

fn open(path: &Path, others_read: bool) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if others_read {
        // One that was there before may have been for its owner alone.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    Ok(file)
}

/// Where the lines before the newest are: 1 are those just before.
fn older(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// The files of the lines before the newest, the oldest first.
pub fn all_older(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        (1..).map(|number| older(path, number)).take_while(|path| path.exists()).collect();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_holds_the_newest_lines_within_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/a.log");
        let log = LogFile { path, max_bytes: 100, older: 3, ..LogFile::default() };
        for round in 0..2 {
            let mut open = RotatingLog::open(&log).unwrap();
            for number in 0..50 {
                open.line(&format!("round {round} line {number}")).unwrap();
            }
        }
        let newest = fs::read_to_string(&log.path).unwrap();
        let before: Vec<_> =
            all_older(&log.path).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        assert!(newest.len() <= 100 && before.len() == 3 && before.iter().all(|text| text.len() <= 100));
        let all = before.concat() + &newest;
        let first = 50 - all.lines().count();
        assert!(first < 40, "{all}");
        let expected: String = (first..50).map(|number| format!("round 1 line {number}\n")).collect();
        assert_eq!(all, expected);
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 4);
    }
}
