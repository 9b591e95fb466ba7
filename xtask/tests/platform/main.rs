//! The running platform as its users meet it: every test brings real services up through the binary, in a checkout of
//! its own, and causes the fault that it is about.

#[path = "../fixtures/authority.rs"]
mod authority;
mod background;
mod checkout;
mod control;
#[path = "../fixtures/ended.rs"]
mod ended;
mod flow_files;
#[allow(dead_code, reason = "each binary reads its part")]
#[path = "../fixtures/hostile.rs"]
mod hostile;
#[path = "../fixtures/namespaces.rs"]
mod namespaces;
mod processes;
#[path = "../fixtures/tree.rs"]
mod tree;
mod web;

mod accounts;
mod deploys;
mod drill;
mod edge;
mod editor;
mod foreground;
#[path = "../fixtures/free_ports.rs"]
mod free_ports;
mod hanging;
mod killed;
mod lifecycle;
mod load;
mod log_store;
mod monitoring;
mod outage;
mod ports;
mod providers;
mod refused;
mod reload;
mod replicas;
mod second_platform;
mod secret_store;

use std::time::{Duration, Instant};

/// Longer than anything here takes on a machine that does something else besides.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `look` finds something.
#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "waited {} s in vain: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}
