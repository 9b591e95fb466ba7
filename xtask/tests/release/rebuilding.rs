//! `release verify --rebuild`: the same bytes elsewhere, or the first difference.

use std::fs;

use crate::fixture::{BUNDLE, Key, Repository, noise, text};
use crate::made::Made;

fn rebuild(repository: &Repository, made: &Made, key: &Key) -> std::process::Output {
    let mut command = repository.xtask(&["release", "verify", "--rebuild", "--public-key"]);
    command.arg(&key.public).arg(made.folder.path()).arg("--operator-binary").arg(repository.operator());
    command.output().unwrap()
}

#[test]
fn a_tag_gives_the_released_bytes_again_when_the_checkout_is_long_elsewhere() {
    let key = Key::new();
    let repository = Repository::new();
    repository.git(&["tag", "v1.2.3"]);
    let repository = repository.packaged(&key);
    let made = Made::of(&repository);
    repository.write("docs/guide.md", "# Later\n");
    repository.commit("Go on");
    let output = rebuild(&repository, &made, &key);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("✓ rebuild: the same bytes"), "{}", text(&output));
    assert!(!repository.git(&["worktree", "list"]).contains("flowship-again"));
}

#[test]
fn what_differs_is_named() {
    let key = Key::new();
    let repository = Repository::new().packaged(&key);
    let made = Made::of(&repository);
    // As if the compiler had made another program of the same sources.
    fs::write(repository.operator(), noise(299_999)).unwrap();
    let output = rebuild(&repository, &made, &key);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let expected = format!("{BUNDLE}: other bytes; its first other entry is flowship\n");
    assert!(text(&output).contains(&expected), "{}", text(&output));

    // A release of a commit that nobody has.
    let other = Repository::new();
    other.write("docs/guide.md", "# Secret\n");
    other.commit("Secret");
    let other = other.packaged(&key);
    let output = rebuild(&repository, &Made::of(&other), &key);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("fetch its tag"), "{}", text(&output));
}
