//! The catalogue of compliance: rows that say what must hold, whose demand it is, and judge the files that will be read.
//!
//! [`Tree`] holds the files; the readers ([`yaml`], [`dockerfile`], [`compose_project`], [`haproxy`], [`hcl`]) make values
//! of them; the rows judge, one file for each subject. Pure: the caller reads the files.

mod alerts;
mod backups;
mod compose;
mod compose_project;
mod dockerfile;
mod dockerfiles;
mod edge;
mod evidence;
mod haproxy;
mod hcl;
mod install;
mod interpolation;
mod kubernetes;
mod release_files;
mod releases;
mod row;
mod shell;
mod supply_chain;
mod terraform;
mod tree;
mod workflows;
mod yaml;

pub use row::{Row, Verdict};
pub use tree::{Clock, File, Tree, is_subject, reads_whole};

/// Every row, in the order in which they are shown.
pub fn rows() -> Vec<Row> {
    [
        dockerfiles::rows(),
        compose::rows(),
        workflows::rows(),
        terraform::rows(),
        kubernetes::rows(),
        releases::rows(),
        supply_chain::rows(),
        edge::rows(),
        alerts::rows(),
        backups::rows(),
    ]
    .concat()
}
