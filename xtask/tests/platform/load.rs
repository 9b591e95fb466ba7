//! Requests that are sent while something else happens.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::until;

/// Requests that are sent until it is ended, by several threads.
#[derive(Default)]
pub struct Load {
    pub ended: AtomicBool,
    pub sent: AtomicUsize,
    pub failed: Mutex<Vec<String>>,
}

/// Ends the load also when a test fails.
pub struct Ended<'a>(pub &'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Load {
    /// Stays below the number of requests that the edge lets one address send.
    pub fn send(&self, one: impl Fn() -> Result<(), String>) {
        while !self.ended.load(Ordering::SeqCst) {
            if let Err(how) = one() {
                self.failed.lock().unwrap().push(how);
            }
            self.sent.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until so many more were sent.
    pub fn goes_on(&self, more: usize) {
        let wanted = self.sent.load(Ordering::SeqCst) + more;
        until("requests are sent", || (self.sent.load(Ordering::SeqCst) >= wanted).then_some(()));
    }
}
