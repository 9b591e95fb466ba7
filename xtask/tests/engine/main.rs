//! Images and Compose through the binary, against a real container engine and against clients that play its faults. What
//! needs an engine is for the gates `engine` and `slow-engine`.

#[path = "../fixtures/authority.rs"]
mod authority;
mod compose;
mod deploys;
#[path = "../fixtures/free_ports.rs"]
mod free_ports;
mod images;
#[allow(dead_code)]
#[path = "../releases/packages/fixture.rs"]
mod repository;
mod slow;
#[allow(dead_code, reason = "each binary reads its part")]
#[path = "../platform/web.rs"]
mod web;

use compose::until;
