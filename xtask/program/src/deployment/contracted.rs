//! Which contract migrations were run in an environment. A release that lacks one of them may need what it has removed, and
//! does not run there any more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use foundation::exit::refused;
use foundation::files;
use vocabulary::model::Contract;

use super::Deployed;
use super::releases::Installed;

/// Paths in the tree of a release, one a line. Written before the database is changed, so that a kill in between leaves
/// more in it than was run, and never less.
pub fn file(folder: &Path) -> PathBuf {
    folder.join("contracted")
}

/// # Errors
/// The file cannot be read.
pub fn read(folder: &Path) -> Result<BTreeSet<String>> {
    let text = files::if_there(files::text(&file(folder), files::TEXT))?.unwrap_or_default();
    Ok(text.lines().map(str::to_owned).collect())
}

/// The contract migrations of a release.
///
/// # Errors
/// Its record cannot be read.
pub fn of(release: &Installed, contract: Contract) -> Result<BTreeSet<String>> {
    let is_one = |path: &String| path.ends_with(".sql") && Path::new(path).starts_with(contract.folder);
    Ok(release.tree_digests()?.into_keys().filter(is_one).collect())
}

/// # Errors
/// Refused when the release lacks a contract migration that was run; otherwise when that cannot be known.
pub fn refuse_without(deployed: &Deployed, release: &Installed) -> Result<()> {
    let tree = release.tree_digests()?;
    let run = read(&deployed.folder())?;
    let lacks: Vec<&str> = run.iter().filter(|path| !tree.contains_key(*path)).map(String::as_str).collect();
    if lacks.is_empty() {
        return Ok(());
    }
    Err(refused(format!(
        "{name} was not touched: {} may need what these contract migrations have removed from the database of {name}: {}; \
         expected a release that has them",
        release.id,
        lacks.join(", "),
        name = deployed.name,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_without_a_migration_that_was_run_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let deployed = Deployed { name: "qa".to_owned(), state: state.path().to_owned() };
        let write = |path: PathBuf, text: &str| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let installed = |id: &str, paths: &[&str]| {
            let release = Installed::at(&deployed.releases(), id);
            let tree: std::collections::BTreeMap<_, _> = paths.iter().map(|path| (*path, "0")).collect();
            let record = serde_json::json!({ "bundle": "0", "tree": tree });
            write(release.folder.join("installed.json"), &record.to_string());
            release
        };
        let contract = Contract { folder: "sql/contract", variable: "FOLDER" };
        let old = installed("1.0.0-a", &["sql/1.sql"]);
        let new = installed("1.1.0-b", &["sql/1.sql", "sql/contract/2.sql", "sql/contract/README.md"]);
        assert_eq!(of(&old, contract).unwrap(), BTreeSet::new());
        assert_eq!(of(&new, contract).unwrap(), BTreeSet::from(["sql/contract/2.sql".to_owned()]));
        refuse_without(&deployed, &old).unwrap();
        write(file(&deployed.folder()), "sql/contract/2.sql\n");
        refuse_without(&deployed, &new).unwrap();
        let error = refuse_without(&deployed, &old).unwrap_err().to_string();
        assert!(error.contains("1.0.0-a may need") && error.contains("sql/contract/2.sql"), "{error}");
    }
}
