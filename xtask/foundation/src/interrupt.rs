//! Ctrl-C and SIGTERM as a value that the rest of the program can look at.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Whether the user, or the system, wants this run to end. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    seen: Arc<Seen>,
    /// So many signals were already heeded.
    heeded: usize,
}

#[derive(Debug, Default)]
struct Seen {
    count: AtomicUsize,
    first: AtomicI32,
}

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP for the rest of this process's life; every call returns the same state.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub fn listen() -> Result<Self> {
        static LISTENING: OnceLock<Interrupt> = OnceLock::new();
        if let Some(listening) = LISTENING.get() {
            return Ok(listening.clone());
        }
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
            .context("cannot catch Ctrl-C and SIGTERM")?;
        let interrupt = LISTENING.get_or_init(Self::default).clone();
        let raised = interrupt.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || signals.forever().for_each(|signal| raised.raise(signal)))
            .context("cannot start the thread that waits for signals")?;
        Ok(interrupt)
    }

    /// As if `signal` had been caught.
    pub fn raise(&self, signal: i32) {
        let _ = self.seen.first.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
        self.seen.count.fetch_add(1, Ordering::SeqCst);
    }

    /// The first signal that was caught, once there is one that is not heeded yet.
    pub fn signal(&self) -> Option<i32> {
        self.raised().then(|| self.seen.first.load(Ordering::SeqCst))
    }

    /// Whether a signal was caught that is not heeded yet.
    pub fn raised(&self) -> bool {
        self.seen.count.load(Ordering::SeqCst) > self.heeded
    }

    /// The same state for work that the signals caught so far must not stop, such as undoing: one more does.
    pub fn heeded(&self) -> Self {
        Self { seen: Arc::clone(&self.seen), heeded: self.seen.count.load(Ordering::SeqCst) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undoing_goes_on_until_a_second_signal() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.signal(), None);
        interrupt.raise(SIGTERM);
        assert_eq!(interrupt.signal(), Some(SIGTERM));
        let undoing = interrupt.heeded();
        assert!(!undoing.raised());
        interrupt.raise(SIGINT);
        assert!(undoing.raised());
        assert_eq!(undoing.signal(), Some(SIGTERM), "the exit code tells of the first signal");
    }
}
