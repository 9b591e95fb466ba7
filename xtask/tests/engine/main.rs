//! Images and Compose through the binary, against a real container engine and against clients that play its faults. What
//! needs an engine is for the gate `engine`.

#[path = "../fixtures/authority.rs"]
mod authority;
mod certificate;
mod compose;
mod deploys;
mod images;
mod monitoring;
#[allow(dead_code)]
#[path = "../releases/packages/fixture.rs"]
mod repository;
mod secret_store;
mod secrets;
#[allow(dead_code, reason = "each binary reads its part")]
#[path = "../platform/web.rs"]
mod web;

use compose::until;
