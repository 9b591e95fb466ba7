//! Pure judgements on artifacts and flows.

pub mod coverage;
pub mod flows;
pub mod leaks;
pub mod sarif;
