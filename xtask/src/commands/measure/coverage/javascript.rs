//! The report that `npm test` writes, and the files that it has to know. Observes.

use std::path::{Path, PathBuf};

use crate::checks::coverage::Language;
use crate::context::Context;

/// Where the tests run: their report's paths are below it.
pub const FOLDER: &str = "flows";

/// Where `npm test` writes its report.
pub fn report(context: &Context) -> PathBuf {
    context.state().join("coverage/javascript.lcov")
}

/// Every JavaScript file of the places. The report knows only files that were loaded.
pub fn sources(root: &Path, wanted: &Language) -> Vec<String> {
    let entries = walkdir::WalkDir::new(root.join(FOLDER)).sort_by_file_name().into_iter();
    entries
        .filter_entry(|entry| entry.file_name() != "node_modules")
        .filter_map(|entry| {
            let path = entry.ok()?.path().strip_prefix(root).ok()?.to_str()?.to_owned();
            (path.ends_with(".js") && wanted.room(&path).is_some()).then_some(path)
        })
        .collect()
}
