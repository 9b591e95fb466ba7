//! Smoke checks: what a platform proves of itself after each change.

use serde::Serialize;

use super::ServiceId;

/// The checks of one run, always all, always in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SmokeSuite {
    pub checks: Vec<SmokeCheck>,
    /// Milliseconds after which a check that has not answered has failed.
    pub check_limit_ms: u32,
    /// Milliseconds after which the caller gives the whole run up.
    pub run_limit_ms: u32,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SmokeCheck {
    pub name: &'static str,
    pub purpose: &'static str,
    /// The services without which it fails.
    pub relies_on: Vec<ServiceId>,
}
