//! Judges files and flows: the flow gate, the compliance rows, licences, advisories, thresholds, and the site's settings.

pub mod checks;
pub mod site;
pub mod thresholds;
