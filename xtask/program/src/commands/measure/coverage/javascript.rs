//! The report that `npm test` writes, and the files that it has to know. Observes.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::context::Context;
use foundation::files::{self, Ignored};
use judges::checks::coverage::Language;

/// Where the tests run: their report's paths are below it.
pub const FOLDER: &str = "flows";

/// Where `npm test` writes its report.
pub fn report(context: &Context) -> PathBuf {
    context.state().join("coverage/javascript.lcov")
}

/// Every JavaScript file of the places. The report knows only files that were loaded.
///
/// # Errors
/// When the tree cannot be walked.
pub fn sources(root: &Path, wanted: &Language) -> Result<Vec<String>> {
    let paths = files::sources(root, Ignored::ByAnybody)?.into_iter();
    let wanted = paths.filter_map(|path| {
        let path = path.into_os_string().into_string().ok()?;
        let counts = path.ends_with(".js") && wanted.room(&path).is_some() && root.join(&path).exists();
        counts.then_some(path)
    });
    Ok(wanted.collect())
}
