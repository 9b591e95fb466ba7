//! Reads logs that are being written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::rotate::all_older;

/// How often a followed log is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The last `count` lines of a log, from before its rotations too where it has to.
pub fn last_lines(path: &Path, count: usize) -> Vec<String> {
    last_lines_before(path, u64::MAX, count)
}

/// Gives `each` the last `count` lines, then with `follow` every new one, across rotations, until `stop` holds.
///
/// # Errors
/// When the log cannot be read.
pub fn tail(
    path: &Path,
    count: usize,
    follow: bool,
    stop: &dyn Fn() -> bool,
    each: &mut dyn FnMut(&str),
) -> Result<()> {
    let place = || format!("cannot read {}", path.display());
    // Opened and measured before the last lines are read, so that none is missed in between.
    let mut open = File::open(path).ok();
    let mut seen = open.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |found| found.len());
    last_lines_before(path, seen, count).iter().for_each(|line| each(line));
    if !follow {
        return Ok(());
    }
    let mut partial = Vec::new();
    while !stop() {
        let Some(file) = &open else {
            thread::sleep(LOOK);
            open = File::open(path).ok();
            seen = 0;
            continue;
        };
        let inode = file.metadata().with_context(place)?.ino();
        seen += read_new(file, seen, &mut partial, each).with_context(place)?;
        if std::fs::metadata(path).is_ok_and(|now| now.ino() != inode) {
            // Whatever was written before the rotation is whole now.
            read_new(file, seen, &mut partial, each).with_context(place)?;
            open = File::open(path).ok();
            seen = 0;
            continue;
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Of the newest file only what is before this byte.
fn last_lines_before(path: &Path, end: u64, count: usize) -> Vec<String> {
    let mut last = VecDeque::new();
    let files = all_older(path).into_iter().map(|older| (older, u64::MAX)).chain([(path.to_owned(), end)]);
    for (path, end) in files {
        let Ok(file) = File::open(path) else { continue };
        for line in BufReader::new(file.take(end)).split(b'\n').map_while(Result::ok) {
            if last.len() == count {
                last.pop_front();
            }
            last.push_back(String::from_utf8_lossy(&line).into_owned());
        }
    }
    last.into_iter().take(count).collect()
}

fn read_new(
    file: &File,
    from: u64,
    partial: &mut Vec<u8>,
    each: &mut dyn FnMut(&str),
) -> std::io::Result<u64> {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = [0; 16 * 1024];
    let mut total = 0;
    loop {
        let count = file.read_at(&mut bytes, from + total)?;
        if count == 0 {
            return Ok(total);
        }
        total += count as u64;
        for byte in &bytes[..count] {
            if *byte == b'\n' {
                each(&String::from_utf8_lossy(partial));
                partial.clear();
            } else {
                partial.push(*byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::super::rotate::RotatingLog;
    use super::*;
    use crate::plan::service::LogFile;

    #[test]
    fn following_loses_no_line_over_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile { path: folder.path().join("a.log"), max_bytes: 60, ..LogFile::default() };
        let mut open = RotatingLog::open(&log).unwrap();
        (0..3).for_each(|number| open.line(&format!("line {number}")).unwrap());
        let (sender, lines) = channel::<String>();
        let path = log.path.clone();
        let follower = thread::spawn(move || {
            let done = std::cell::Cell::new(false);
            tail(&path, 2, true, &|| done.get(), &mut |line| {
                done.set(line == "line 19");
                sender.send(line.to_owned()).unwrap();
            })
            .unwrap();
        });
        for number in 3..20 {
            open.line(&format!("line {number}")).unwrap();
            // The reader keeps up with one rotation at a time.
            if number % 5 == 0 {
                while lines.recv_timeout(Duration::from_secs(10)).unwrap() != format!("line {number}") {}
            }
        }
        follower.join().unwrap();
        let rest: Vec<_> = lines.iter().collect();
        assert_eq!(rest, ["line 16", "line 17", "line 18", "line 19"]);
        assert_eq!(last_lines(&log.path, 2), ["line 18", "line 19"]);
    }
}
