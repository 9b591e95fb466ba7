//! Pure judgements on artifacts and flows.

pub mod advisories;
pub mod compliance;
pub mod container_secrets;
pub mod container_user;
pub mod coverage;
pub mod flows;
pub mod go_vulnerabilities;
pub mod instructions;
pub mod leaks;
pub mod licences;
pub mod migrations;
pub mod requests;
pub mod sarif;
