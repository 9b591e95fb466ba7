//! What a history of release candidates, reverts and several tags on one commit makes of versions and notes.

use super::fixture::{Repository, text};

/// What `release notes` prints.
fn notes(repository: &Repository, arguments: &[&str]) -> String {
    let output = repository.xtask(&[&["release", "notes"], arguments].concat()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A commit that changes something: git reverts no other.
fn commit(repository: &Repository, message: &str) {
    let name = message.replace(|letter: char| !letter.is_alphanumeric(), "");
    repository.write(&format!("docs/{name}.md"), message);
    repository.commit(message);
}

fn planned(repository: &Repository) -> serde_json::Value {
    let output = repository.xtask(&["release", "plan", "--json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)))
}

#[test]
fn a_stable_version_lists_the_changes_since_the_last_stable_one_without_reverted_ones() {
    let repository = Repository::new();
    repository.write("Cargo.toml", "[workspace]\nmembers = []\n\n[workspace.package]\nversion = \"1.1.0\"\n");
    commit(&repository, "feat: a");
    repository.git(&["tag", "--annotate", "--message", "1.1.0", "v1.1.0"]);
    // Not on the way: it does not count.
    repository.git(&["checkout", "--quiet", "-b", "side"]);
    commit(&repository, "feat: elsewhere");
    repository.git(&["tag", "v1.9.0"]);
    repository.git(&["checkout", "--quiet", "main"]);
    commit(&repository, "feat: b");
    let b = repository.git(&["rev-parse", "HEAD"]);
    commit(&repository, "fix: c");
    repository.git(&["tag", "v1.2.0-rc.1"]);
    assert_eq!(
        planned(&repository)["version"],
        "1.2.0",
        "nothing new since the candidate, and it can be released"
    );

    repository.git(&["revert", "--no-edit", &b]);
    let plan = planned(&repository);
    assert_eq!((&plan["version"], &plan["last"]), (&"1.2.0".into(), &"1.2.0-rc.1".into()));
    let of_revert = "### Fixed\n\n- c\n";
    assert_eq!(notes(&repository, &["--from-commits"]), of_revert);
    let revert = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["revert", "--no-edit", &revert]);
    let again = "### Added\n\n- b\n\n### Fixed\n\n- c\n";
    assert_eq!(notes(&repository, &["--from-commits"]), again);
    commit(&repository, "feat(api)!: d\n\nBREAKING CHANGE: e is gone\nBREAKING-CHANGE: f is gone");
    let plan = planned(&repository);
    assert_eq!(plan["version"], "2.0.0");
    let told = plan["notes"].as_str().unwrap();
    assert!(told.contains("**api:** e is gone\n") && told.contains("**api:** f is gone\n"), "{told}");

    // Two tags on one commit, of both kinds.
    repository.git(&["tag", "v2.0.0-rc.1"]);
    repository.git(&["tag", "--annotate", "--message", "2.0.0", "v2.0.0"]);
    let stable = notes(&repository, &["2.0.0", "--from-commits"]);
    for told in ["e is gone", "f is gone", "- **api:** d", "- b", "- c"] {
        assert!(stable.contains(told), "{told}: {stable}");
    }
    let candidate = notes(&repository, &["2.0.0-rc.1", "--from-commits"]);
    assert!(candidate.contains("e is gone") && !candidate.contains("- c"), "{candidate}");
    assert!(!stable.contains("elsewhere") && !stable.contains("- a\n"), "{stable}");
    let all = notes(&repository, &["--all", "--from-commits"]);
    let heads: Vec<_> = all.lines().filter_map(|line| line.strip_prefix("## ")?.split(' ').next()).collect();
    assert_eq!(heads, ["2.0.0", "2.0.0-rc.1", "1.2.0-rc.1", "1.1.0"], "{all}");
    let (_, of_stable) = all.split_once("## 2.0.0 ").unwrap();
    assert!(of_stable.split("## 2.0.0-rc.1").next().unwrap().contains("- c"), "{all}");
}
