//! Which files have changed since a revision. Observes.

use std::path::Path;

use anyhow::Result;

use foundation::exit::refused;

/// The files, as paths below the root, that differ from where the tree left the revision's line: committed or not, known
/// to git or new. None, with the reason on stderr, where that cannot be told: an empty revision, a shallow clone.
///
/// # Errors
/// Refused when the revision looks like an option; when git cannot be started.
pub fn since(root: &Path, revision: &str) -> Result<Option<Vec<String>>> {
    // A revision that begins with a dash is an option to git, whatever comes before it.
    if revision.starts_with('-') {
        return Err(refused(format!("--changed-since {revision}: expected a commit, a branch or a tag")));
    }
    if revision.is_empty() {
        eprintln!("nothing to compare with: everything counts as changed");
        return Ok(None);
    }
    match files(root, revision)? {
        Ok(files) => Ok(Some(files)),
        Err(said) => {
            eprintln!(
                "cannot determine what has changed since {revision} ({said}): everything counts as changed"
            );
            Ok(None)
        }
    }
}

/// The files, or what git said instead.
fn files(root: &Path, revision: &str) -> Result<Result<Vec<String>, String>> {
    let mut lists = Vec::new();
    let base = match git(root, &["merge-base", revision, "HEAD"])? {
        Ok(base) => base.trim().to_owned(),
        Err(said) => return Ok(Err(said)),
    };
    for arguments in [
        &["diff", "--name-only", "--no-renames", "--relative", "-z", &base][..],
        &["ls-files", "--others", "--exclude-standard", "-z"],
    ] {
        match git(root, arguments)? {
            Ok(list) => lists.push(list),
            Err(said) => return Ok(Err(said)),
        }
    }
    let names = lists.iter().flat_map(|list| list.split('\0')).filter(|name| !name.is_empty());
    Ok(Ok(names.map(str::to_owned).collect()))
}

/// What git printed, or, when it failed, what it said about that.
fn git(root: &Path, arguments: &[&str]) -> Result<Result<String, String>> {
    let output = foundation::git::ask(root, arguments)?;
    if output.status.success() {
        return Ok(Ok(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let said = foundation::git::said(&output);
    Ok(Err(if said.is_empty() { "the histories have nothing in common".to_owned() } else { said }))
}
