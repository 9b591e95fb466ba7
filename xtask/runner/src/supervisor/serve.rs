//! The supervisor's life, from its lock to its last child.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::protocol::EventKind;
use super::recover::{Recovered, recover_locked};
use super::services::Services;
use super::{children, control};
use crate::plan::lock::{self, Holder, Lock};

/// How often it looks whether its folder is still there.
const LOOK: Duration = Duration::from_secs(1);

/// Supervises in the state folder until it is told to shut down, by request or by SIGTERM, SIGINT or SIGHUP, or until the
/// folder is removed.
///
/// # Errors
/// When another supervisor runs there (the error names it), or the folder cannot be used.
pub fn supervise(state: &Path) -> Result<()> {
    // A session of its own: the terminal of the command that started it cannot end it. Fails only for a leader of a
    // group, one started by hand from a shell, which has that already.
    let _ = rustix::process::setsid();
    let make = fs::DirBuilder::new().recursive(true).mode(0o700).create(state);
    make.with_context(|| format!("cannot make the state folder {}", state.display()))?;
    let lock = Lock::take(&lock::path_in(state), &Holder::this("xtask supervise"))?;
    // Before any child starts: threads that come later must not miss a signal.
    let (quit, quitting) = channel();
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let recovered = recover_locked(state)?;
    let folder = File::open(state)?;
    let services = Services::open(state)?;
    if let Recovered::Ended(names) = recovered {
        let text = format!(
            "an earlier supervisor was killed; stopped the processes that it left: {}",
            names.join(
                ", \
                            "
            )
        );
        services.events.note(None, EventKind::Recovered, text);
    }
    let listener = control::listen(state)?;
    eprintln!("supervisor {} of {}", std::process::id(), state.display());
    let (answering, told) = (Arc::clone(&services), quit.clone());
    thread::Builder::new()
        .name("listen".into())
        .spawn(move || control::serve(&listener, &answering, &told))?;
    let removed = quit.clone();
    thread::Builder::new().name("folder".into()).spawn(move || {
        while folder.metadata().is_ok_and(|found| found.nlink() > 0) {
            thread::sleep(LOOK);
        }
        eprintln!("the state folder was removed, so this platform stops");
        let _ = removed.send(());
    })?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            let _ = quit.send(());
        }
    })?;
    let _ = quitting.recv();
    services.shutdown()?;
    for path in [control::path_in(state), children::path_in(state)] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    drop(lock);
    Ok(())
}
