//! Pure judgements on artifacts and flows.

pub mod flows;
