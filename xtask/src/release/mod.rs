//! A release as files: what is in it, how its bytes are made, and how they are judged.

pub mod archive;
pub mod bundle;
pub mod changelog;
pub mod commit;
pub mod conventional;
pub mod decide;
pub mod declared;
pub mod description;
pub mod elf;
pub mod flows_rev;
pub mod gzip;
pub mod hashing;
pub mod header;
pub mod history;
pub mod judge;
pub mod ledger;
pub mod link;
pub mod manifest;
pub mod oci_digest;
pub mod problems;
pub mod provenance;
pub mod safe_read;
pub mod sbom;
pub mod signing;
pub mod sums;
pub mod version;
