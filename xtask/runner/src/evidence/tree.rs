//! What gates read, as a digest: the tracked files and those that git would add. Observes.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use vocabulary::model::Reads;

use foundation::digest::{self, Hasher};
use foundation::files::{self, Ignored};

/// The tree at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The commit that is checked out; none where there is no git repository, or no commit yet.
    pub commit: Option<String>,
    /// Whether nothing differs from the commit.
    pub clean: bool,
    /// Mode and digest of each file, by its path below the root.
    files: BTreeMap<String, String>,
    /// What git has staged, and what decides which commits lead to [`Self::commit`]; see [`history`].
    history: Vec<u8>,
}

impl Tree {
    /// Reads every file below the root but builds, running state and what package managers bring; in a git repository
    /// none that its `.gitignore` files leave out.
    ///
    /// # Errors
    /// When a file cannot be read for another reason than that it does not exist.
    pub fn observe(root: &Path) -> Result<Self> {
        let (commit, clean) = if files::is_checkout(root) { state_by_git(root) } else { (None, false) };
        let mut files = BTreeMap::new();
        // What a user ignores everywhere may still be read by a gate.
        for path in files::sources(root, Ignored::ByTree)? {
            if fs::symlink_metadata(root.join(&path)).is_ok_and(|what| what.is_dir()) {
                // A submodule, which git does not look into.
                for below in files::walked(root, &path)? {
                    note(root, &below, &mut files)?;
                }
            } else {
                note(root, &path, &mut files)?;
            }
        }
        let history = if commit.is_some() { history(root) } else { Vec::new() };
        Ok(Self { commit, clean, files, history })
    }

    /// Lower-case hexadecimal SHA-256 of what a gate reads; of all files where it asks the world.
    #[must_use]
    pub fn digest(&self, reads: &Reads) -> String {
        let mut hash = Hasher::default();
        for (name, file) in self.files.iter().filter(|(name, _)| reads.concerns(name)) {
            // No name holds a NUL, so no two lists of files give the same bytes.
            hash.add(name.as_bytes());
            hash.add([0]);
            hash.add(file.as_bytes());
            hash.add([0]);
        }
        if *reads == Reads::History {
            hash.add(self.commit.as_deref().unwrap_or_default());
            hash.add([0]);
            hash.add(&self.history);
        }
        hash.finish()
    }
}

fn git(root: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    foundation::git::printed(root, arguments).ok()
}

fn state_by_git(root: &Path) -> (Option<String>, bool) {
    let commit = git(root, &["rev-parse", "--verify", "--quiet", "HEAD"])
        .and_then(|text| String::from_utf8(text).ok())
        .map(|text| text.trim().to_owned());
    let clean = git(root, &["status", "--porcelain", "-z"]).is_some_and(|changes| changes.is_empty());
    (commit, clean)
}

/// What a commit's id does not decide: the entries of the index, commits and files that are replaced by others, where a
/// shallow clone ends, grafts.
fn history(root: &Path) -> Vec<u8> {
    let said = |arguments: &[&str]| git(root, arguments).unwrap_or_default();
    let mut all = [
        said(&["ls-files", "--stage", "-z"]),
        said(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/replace"]),
    ]
    .concat();
    for file in ["shallow", "info/grafts"] {
        let path = said(&["rev-parse", "--git-path", file]);
        let path = root.join(Path::new(std::ffi::OsStr::from_bytes(path.trim_ascii_end())));
        all.extend(fs::read(path).unwrap_or_default());
        all.push(0);
    }
    all
}

/// Mode and digest of one file. What is tracked but not there is left out, as if it had never been.
fn note(root: &Path, path: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    let name = path.to_string_lossy().into_owned();
    let path = root.join(path);
    let describe = || -> std::io::Result<String> {
        let what = fs::symlink_metadata(&path)?;
        if what.is_symlink() {
            return Ok(format!("link {}", fs::read_link(&path)?.display()));
        }
        if !what.is_file() {
            return Ok("neither file nor link".to_owned());
        }
        let hashed = digest::copy(fs::File::open(&path)?, std::io::sink())?;
        Ok(format!("{:o} {}", what.permissions().mode() & 0o777, hashed.sha256))
    };
    match describe() {
        Ok(text) => drop(files.insert(name, text)),
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use foundation::git::OF_ANOTHER_REPOSITORY;
    use tempfile::TempDir;

    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), text).unwrap();
    }

    fn run_git(root: &Path, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=F", "-c", "user.email=f@example.com", "-c", "core.hooksPath=/dev/null"]);
        for name in OF_ANOTHER_REPOSITORY {
            git.env_remove(name);
        }
        let output = git.args(arguments).current_dir(root).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn fixture(repository: bool) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            (".gitignore", "/target/\n*.log\n"),
            ("xtask/a.rs", "a"),
            ("xtask/b/c.rs", "c"),
            ("xtask-other/d.rs", "d"),
            ("flows/node_modules/e.js", "e"),
            ("target/f", "f"),
        ] {
            write(root.path(), name, text);
        }
        if repository {
            run_git(root.path(), &["init", "--quiet"]);
            run_git(root.path(), &["add", "--all"]);
            run_git(root.path(), &["commit", "--quiet", "--message", "Fixture"]);
        }
        root
    }

    #[test]
    fn a_digest_follows_what_is_read_and_nothing_else() {
        for repository in [true, false] {
            let root = fixture(repository);
            let reads = Reads::Files(vec!["xtask", "Cargo.lock"]);
            let digest = || Tree::observe(root.path()).unwrap().digest(&reads);
            let first = digest();
            for (name, text) in [
                ("xtask-other/d.rs", "x"),
                ("README.md", "x"),
                ("target/f", "x"),
                ("xtask/node_modules/a", "x"),
            ] {
                write(root.path(), name, text);
                assert_eq!(digest(), first, "{name}");
            }
            let mut seen = vec![first];
            let mut differs = |what: &str| {
                let now = digest();
                assert!(!seen.contains(&now), "{what} was not noticed, repository: {repository}");
                seen.push(now);
            };
            write(root.path(), "xtask/a.rs", "b");
            differs("a change of the same length");
            write(root.path(), "xtask/new.rs", "");
            differs("an untracked file");
            fs::remove_file(root.path().join("xtask/b/c.rs")).unwrap();
            differs("a removed file");
            fs::rename(root.path().join("xtask/a.rs"), root.path().join("xtask/z.rs")).unwrap();
            differs("another name");
            fs::set_permissions(root.path().join("xtask/z.rs"), fs::Permissions::from_mode(0o755)).unwrap();
            differs("another mode");
            std::os::unix::fs::symlink("z.rs", root.path().join("xtask/link.rs")).unwrap();
            differs("a link");
            write(root.path(), "Cargo.lock", "");
            differs("a declared file that was not there");
        }
    }

    #[test]
    fn a_submodule_counts_and_another_checkout_in_the_tree_does_not() {
        let (root, other) = (fixture(true), fixture(true));
        let other = other.path().display().to_string();
        run_git(
            root.path(),
            &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &other, "xtask/sub"],
        );
        let digest = || Tree::observe(root.path()).unwrap().digest(&Reads::Files(vec!["xtask"]));
        let mut before = digest();
        write(root.path(), "xtask/sub/xtask/a.rs", "changed");
        assert_ne!(digest(), before, "a submodule");
        before = digest();
        run_git(root.path(), &["clone", "--quiet", &other, "xtask/clone"]);
        run_git(root.path(), &["worktree", "add", "--quiet", "xtask/worktree"]);
        assert_eq!(digest(), before, "a clone and a worktree");
        fs::remove_dir_all(root.path().join(".git")).unwrap();
        before = digest();
        write(root.path(), "xtask/clone/xtask/a.rs", "changed");
        assert_eq!(digest(), before, "a clone in a tree without git");
    }

    #[test]
    fn the_commit_is_known_and_whether_anything_differs_from_it() {
        let root = fixture(true);
        let tree = Tree::observe(root.path()).unwrap();
        assert_eq!(tree.commit.as_ref().map(String::len), Some(40));
        assert!(tree.clean);
        write(root.path(), "untracked", "");
        assert!(!Tree::observe(root.path()).unwrap().clean);
        let none = Tree::observe(fixture(false).path()).unwrap();
        assert_eq!((none.commit, none.clean), (None, false));
    }

    #[test]
    fn a_digest_of_the_history_follows_commits_the_index_and_what_git_puts_in_their_place() {
        let root = fixture(true);
        let digest = |reads: &Reads| Tree::observe(root.path()).unwrap().digest(reads);
        let (all, files) = (|| digest(&Reads::History), || digest(&Reads::Files(vec!["xtask"])));
        let (first, of_files) = (all(), files());
        assert_eq!(all(), first);
        let git = |arguments: &[&str]| run_git(root.path(), arguments);
        let mut seen = vec![first];
        let mut differs = |what: &str| {
            let now = all();
            assert!(!seen.contains(&now), "{what} was not noticed");
            assert_eq!(files(), of_files, "{what} changes no file");
            seen.push(now);
        };
        git(&["commit", "--quiet", "--allow-empty", "--message", "Second"]);
        differs("a commit");
        git(&["commit", "--quiet", "--allow-empty", "--amend", "--message", "Another"]);
        differs("an amended commit");
        git(&["rm", "--quiet", "--cached", "xtask/a.rs"]);
        differs("what is staged");
        git(&["replace", "HEAD~1", "HEAD"]);
        differs("a replaced commit");
        let grafts = root.path().join(".git/info/grafts");
        fs::create_dir_all(grafts.parent().unwrap()).unwrap();
        fs::write(grafts, "x").unwrap();
        differs("a graft");
        git(&["branch", "other"]);
        git(&["tag", "v1"]);
        assert_eq!(all(), *seen.last().unwrap(), "another name for what is there");
    }
}
