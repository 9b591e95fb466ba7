//! Reads a commit out of git's store, not out of the working tree: neither line ends, nor filters, nor a umask count.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::archive::{Contents, Node, Tree};
use foundation::exit::refused;

/// What is released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// 40 hexadecimal digits.
    pub id: String,
    /// Seconds since 1970: the committer's time.
    pub time: u64,
}

/// The commit that is checked out, when the working tree is exactly it.
///
/// # Errors
/// Refused when there is no git repository, no commit, or something that is not committed.
pub fn checked_out(root: &Path) -> Result<Commit> {
    let shown = git(root, &["log", "-1", "--no-show-signature", "--format=%H %ct", "HEAD"])
        .map_err(|error| refused(format!("{error:#}; a release is built from a commit: commit first")))?;
    let (id, time) = shown.trim().split_once(' ').context("git log shows no commit")?;
    let dirty = git(root, &["status", "--porcelain", "--untracked-files=normal"])?;
    if !dirty.trim().is_empty() {
        let files: Vec<_> = dirty.lines().take(10).collect();
        return Err(refused(format!(
            "the working tree differs from the commit {}: commit, stash or remove the changes first\n  {}",
            &id[..12.min(id.len())],
            files.join("\n  ")
        )));
    }
    // Lower case: git was told not to look at them.
    let unseen = git(root, &["ls-files", "-v"])?;
    let unseen: Vec<_> =
        unseen.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase())).collect();
    if let [first, ..] = unseen[..] {
        return Err(refused(format!(
            "git ignores changes of {} files, such as {}: run git update-index --no-assume-unchanged FILE",
            unseen.len(),
            first.get(2..).unwrap_or_default()
        )));
    }
    Ok(Commit { id: id.to_owned(), time: time.parse().with_context(|| format!("git's time {time}"))? })
}

/// That the working tree is the commit that it was.
///
/// # Errors
/// It is not any more.
pub fn still(root: &Path, commit: &Commit) -> Result<()> {
    let now = checked_out(root)?;
    if now != *commit {
        bail!(
            "the checked-out commit changed from {} to {} during this run: run the command again",
            commit.id,
            now.id
        );
    }
    Ok(())
}

/// Runs git and gives what it says.
///
/// # Errors
/// It cannot be run, or fails; with what it says.
pub fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let printed = foundation::git::printed(root, arguments)?;
    String::from_utf8(printed).with_context(|| format!("git {}: not UTF-8", arguments.join(" ")))
}

/// The files below the paths, as the commit has them; a path that is not there is left out.
///
/// # Errors
/// Git cannot be run, or the commit holds something that is neither file nor link.
pub fn files(root: &Path, commit: &str, paths: &[&str]) -> Result<Tree> {
    // Without `--full-tree`: paths are relative to the root, which need not be git's own.
    let mut arguments = vec!["ls-tree", "-r", "-z", commit, "--"];
    arguments.extend(paths);
    let listing = git(root, &arguments)?;
    let mut wanted: Vec<(&str, &str, &str)> = Vec::new();
    for line in listing.split_terminator('\0') {
        let (facts, path) = line.split_once('\t').with_context(|| format!("git ls-tree says {line:?}"))?;
        let mut facts = facts.split(' ');
        let (mode, kind, object) = (facts.next(), facts.next(), facts.next());
        match (mode, kind, object) {
            (Some(mode), Some("blob"), Some(object)) => wanted.push((path, mode, object)),
            _ => bail!("{path}: neither a file nor a link in the commit; a release cannot contain it"),
        }
    }
    let objects: Vec<&str> = wanted.iter().map(|(_, _, object)| *object).collect();
    let blobs = blobs(root, &objects)?;
    let tree = wanted.into_iter().zip(blobs).map(|((path, mode, _), bytes)| {
        let node = if mode == "120000" {
            Node::Link(String::from_utf8(bytes).with_context(|| format!("{path}: its target is not UTF-8"))?)
        } else {
            Node::File { executable: mode == "100755", contents: Contents::Bytes(bytes) }
        };
        Ok((path.to_owned(), node))
    });
    tree.collect()
}

fn blobs(root: &Path, objects: &[&str]) -> Result<Vec<Vec<u8>>> {
    let mut child = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("git cannot be run; install git")?;
    let mut asks = child.stdin.take().context("git cat-file has no input")?;
    let answers = child.stdout.take().context("git cat-file has no output")?;
    let asked: String = objects.iter().map(|object| format!("{object}\n")).collect();
    let blobs = std::thread::scope(|scope| {
        // Both ends at once: either pipe may fill.
        scope.spawn(move || asks.write_all(asked.as_bytes()));
        let mut answers = BufReader::new(answers);
        let mut one = |object: &&str| -> Result<Vec<u8>> {
            let mut line = String::new();
            answers.read_line(&mut line)?;
            let size = line
                .strip_prefix(*object)
                .and_then(|rest| rest.trim().strip_prefix("blob "))
                .and_then(|size| size.parse::<usize>().ok())
                .with_context(|| format!("git cat-file says {:?} of {object}", line.trim()))?;
            let mut bytes = vec![0; size + 1];
            answers.read_exact(&mut bytes)?;
            bytes.pop();
            Ok(bytes)
        };
        objects.iter().map(&mut one).collect::<Result<Vec<_>>>()
    });
    child.wait()?;
    blobs
}
