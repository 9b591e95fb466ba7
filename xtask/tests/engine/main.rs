//! Images and Compose through the binary, against a real container engine and against clients that play its faults. What
//! needs an engine is for the gate `engine`.

mod compose;
mod deploys;
mod images;
#[allow(dead_code)]
#[path = "../releases/packages/fixture.rs"]
mod repository;
mod secrets;
