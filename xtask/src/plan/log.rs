//! The log of one step: a file, and its last lines in memory.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, Result};

use super::mask::Mask;

/// So many last lines are shown when a step fails.
pub const TAIL: usize = 20;

/// Where the lines of a step go: masked, or withheld as a whole.
pub struct StepLog {
    pub path: PathBuf,
    mask: Mask,
    withheld: bool,
    inner: Mutex<Inner>,
    #[allow(clippy::type_complexity, reason = "one callback, used here only")]
    on_line: Box<dyn Fn(&str) + Send + Sync>,
}

struct Inner {
    file: File,
    tail: VecDeque<String>,
}

impl StepLog {
    /// Starts the log at `path` anew. `on_line` is called with each line as written.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(
        path: &Path,
        mask: &Mask,
        withheld: bool,
        on_line: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot write the log {}", path.display()))?;
        if withheld {
            file.write_all(b"(the output of this step is withheld: it is sensitive)\n")?;
        }
        let inner = Mutex::new(Inner { file, tail: VecDeque::new() });
        Ok(Self { path: path.to_owned(), mask: mask.clone(), withheld, inner, on_line: Box::new(on_line) })
    }

    /// Adds one line.
    pub fn line(&self, text: &str) {
        if self.withheld {
            return;
        }
        let text = self.mask.hide(text);
        if let Ok(mut inner) = self.inner.lock() {
            // A full disk must not end the child: the tail still has the line.
            let _ = inner.file.write_all(format!("{text}\n").as_bytes());
            if inner.tail.len() == TAIL {
                inner.tail.pop_front();
            }
            inner.tail.push_back(text.clone().into_owned());
        }
        (self.on_line)(&text);
    }

    /// The last lines, at most [`TAIL`].
    pub fn tail(&self) -> Vec<String> {
        self.inner.lock().map(|inner| inner.tail.iter().cloned().collect()).unwrap_or_default()
    }
}

/// The end of a log, at most so many bytes, from the start of a line: a log can be larger than the memory.
///
/// # Errors
/// When it cannot be read.
pub fn end_of(path: &Path, bytes: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let skipped = file.metadata()?.len().saturating_sub(bytes);
    file.seek(SeekFrom::Start(skipped))?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end)?;
    let text = String::from_utf8_lossy(&end).into_owned();
    Ok(match text.split_once('\n') {
        Some((_, whole)) if skipped > 0 => whole.to_owned(),
        _ => text,
    })
}
