//! What is in a bundle: all that an operator's machine needs, and nothing that only a developer's does.

use anyhow::{Context as _, Result};

use super::archive::{Contents, Node, Tree};
use super::description::{self, Release};
use super::flows_rev;

/// What of a commit goes into it.
pub const PATHS: &[&str] = &[
    "ops",
    "flows",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    // Beside the binary that was built by it: the bill of materials is compared with it.
    CARGO_LOCK,
];

/// Below these, what stays out.
const LEFT_OUT: &[&str] = &["flows/test/", "flows/.nrlintrc.js"];

/// The lock of the operator's binary.
pub const CARGO_LOCK: &str = "Cargo.lock";

/// The name of the operator's binary in it.
pub const OPERATOR: &str = "flowship";

/// In the order in which the launcher assembles them.
const FLOW_FILES: [&str; 2] = ["flows/flows.json", "flows/test-smoke.json"];

/// Leaves out of a commit's files what is not for operators.
pub fn for_operators(files: Tree) -> Tree {
    files
        .into_iter()
        .filter(|(path, _)| !LEFT_OUT.iter().any(|out| path == out || path.starts_with(out)))
        .filter(|(path, _)| !path.split('/').any(|part| part == "node_modules"))
        .collect()
}

/// The revision of its flows.
///
/// # Errors
/// A flow file is missing or not understood.
pub fn flows_rev(files: &Tree) -> Result<String> {
    let texts = FLOW_FILES.iter().map(|path| Ok((*path, bytes(files, path)?))).collect::<Result<Vec<_>>>()?;
    flows_rev::of(&texts)
}

/// A file of the tree.
///
/// # Errors
/// It is not there.
pub fn bytes<'a>(files: &'a Tree, path: &str) -> Result<&'a [u8]> {
    match files.get(path) {
        Some(Node::File { contents: Contents::Bytes(bytes), .. }) => Ok(bytes),
        _ => anyhow::bail!("{path}: missing from the commit; a release needs it"),
    }
}

/// The npm locks among the files, by path.
pub fn npm_locks(files: &Tree) -> Vec<(&str, &[u8])> {
    files
        .iter()
        .filter(|(path, _)| path.rsplit('/').next() == Some("package-lock.json"))
        .filter_map(|(path, node)| match node {
            Node::File { contents: Contents::Bytes(bytes), .. } => Some((path.as_str(), bytes.as_slice())),
            _ => None,
        })
        .collect()
}

/// The whole of it.
///
/// # Errors
/// The description cannot be written.
pub fn tree(mut files: Tree, release: &Release, operator: Contents) -> Result<Tree> {
    let text = serde_json::to_string_pretty(release).context(description::FILE)? + "\n";
    files.insert(
        description::FILE.to_owned(),
        Node::File { executable: false, contents: Contents::Bytes(text.into()) },
    );
    files.insert(OPERATOR.to_owned(), Node::File { executable: true, contents: operator });
    Ok(files)
}

/// What the archive of the program for another machine holds: unpacked over the bundle, it takes the place of that one's.
pub fn operator(program: Contents) -> Tree {
    Tree::from([(OPERATOR.to_owned(), Node::File { executable: true, contents: program })])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_developers_need_stays_out() {
        let file = || Node::File { executable: false, contents: Contents::Bytes(Vec::new()) };
        let paths = [
            "flows/flows.json",
            "flows/test/flows/api.test.js",
            "flows/test-smoke.json",
            "flows/nodes/node_modules/x.js",
            "ops/docker/prod/Dockerfile",
        ];
        let kept = for_operators(paths.iter().map(|path| ((*path).to_owned(), file())).collect());
        let kept: Vec<_> = kept.keys().map(String::as_str).collect();
        assert_eq!(kept, ["flows/flows.json", "flows/test-smoke.json", "ops/docker/prod/Dockerfile"]);
    }
}
