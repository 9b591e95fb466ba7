//! The migrations of a tree, listed and judged.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use judges::checks::migrations;
use vocabulary::model::{Platform, Value};
use vocabulary::problem::Problem;

/// Judges those that a deploy runs together with those that only an operator runs.
///
/// # Errors
/// A folder cannot be read.
pub fn judge(platform: &Platform, root: &Path) -> Result<Vec<Problem>> {
    let database = &platform.database;
    let Some(contract) = database.contract else { return Ok(vec![]) };
    let service = platform.service(database.migrations);
    let variables = service.iter().flat_map(|service| &service.variables);
    let mut folders: Vec<&str> = variables
        .filter(|variable| variable.name == contract.variable)
        .filter_map(|variable| match variable.value {
            Value::Tree(folder) => Some(folder),
            _ => None,
        })
        .collect();
    folders.push(contract.folder);
    let mut paths = Vec::new();
    for folder in folders {
        let entries = match fs::read_dir(root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).context(folder),
        };
        let mut names = entries
            .map(|entry| Ok(entry.context(folder)?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>>>()?;
        names.sort();
        paths.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
    }
    Ok(migrations::judge(&paths))
}
