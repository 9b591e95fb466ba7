//! `release verify --rebuild`: the same bytes elsewhere, or the first difference.

use std::fs;

use super::fixture::{BUNDLE, Key, Repository, files, noise, text};
use super::made::Made;

/// Where what came out otherwise stays.
const KEPT: &str = "target/release-rebuilt";

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
    assert!(!repository.path(KEPT).exists(), "nothing differs");
}

#[test]
fn differences_are_reported() {
    let key = Key::new();
    let repository = Repository::new().packaged(&key);
    let made = Made::of(&repository);
    // As if the compiler had made another program of the same sources.
    fs::write(repository.operator(), noise(299_999)).unwrap();
    let output = rebuild(&repository, &made, &key);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let expected = format!("{BUNDLE}: the bytes differ; the first entry that differs is flowship\n");
    assert!(text(&output).contains(&expected), "{}", text(&output));

    // Both are there for a person, who is told how to look into them; what is the same is not kept.
    let (released, again) = (made.path(BUNDLE).canonicalize().unwrap(), repository.path(KEPT).join(BUNDLE));
    let hint = format!("diffoscope {} {}\n", released.display(), again.display());
    assert!(text(&output).contains(&hint), "{}", text(&output));
    assert!(fs::read(&again).unwrap() != fs::read(&released).unwrap());
    let kept: Vec<_> = files(&repository.path(KEPT)).into_iter().map(|(name, _)| name).collect();
    assert_eq!(kept, ["SHA256SUMS", BUNDLE, "manifest.json", "provenance.json"]);

    // They are of the last time only.
    fs::write(repository.operator(), noise(300_000)).unwrap();
    let output = rebuild(&repository, &made, &key);
    assert!(output.status.success(), "{}", text(&output));
    assert!(!repository.path(KEPT).exists(), "nothing differs any more");

    // A release of a commit that nobody has.
    let other = Repository::new();
    other.write("docs/guide.md", "# Secret\n");
    other.commit("Secret");
    let other = other.packaged(&key);
    let output = rebuild(&repository, &Made::of(&other), &key);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("fetch its tag"), "{}", text(&output));
}
