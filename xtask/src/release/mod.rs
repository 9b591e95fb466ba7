//! A release as files: what is in it, how its bytes are made, and how they are judged.

// Until verifying, which reads them, is here.
#![allow(dead_code)]

pub mod archive;
pub mod bundle;
pub mod commit;
pub mod description;
pub mod flows_rev;
pub mod gzip;
pub mod hashing;
pub mod header;
pub mod manifest;
pub mod provenance;
pub mod sbom;
pub mod signing;
pub mod sums;
