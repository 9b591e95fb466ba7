//! What is made, and that it is the same wherever it is made.

use std::process::Command;

use serde_json::Value;

use super::fixture::{BUNDLE, Key, Repository, VERSION, files, noise, text};
use super::made::{Made, sha256};

#[test]
fn the_same_commit_gives_the_same_bytes_wherever_it_is_packaged() {
    let key = Key::new();
    // More than one block, so that threads matter.
    let one = Repository::with_operator(&noise(3_000_000)).packaged(&key);
    let other = one.cloned("a/much/deeper/place with a space");
    // As another user, in another place of the world, on one processor.
    let package = other.package(&["--key", key.secret.to_str().unwrap()]);
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "umask 0077; exec taskset -c \"$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')\" \"$@\"",
        "sh",
    ]);
    command.arg(package.get_program()).args(package.get_args()).current_dir(&other.root);
    command.envs([("LC_ALL", "C"), ("TZ", "Asia/Kathmandu"), ("USER", "someone"), ("HOME", "/nonexistent")]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let (first, second) = (files(&one.made()), files(&other.made()));
    let names: Vec<_> = first.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "SHA256SUMS",
            "SHA256SUMS.minisig",
            "evidence.json",
            BUNDLE,
            "flowship-1.2.3-npm.cdx.json",
            "flowship-1.2.3-rust.cdx.json",
            "manifest.json",
            "provenance.json"
        ]
    );
    for ((name, ours), (_, theirs)) in
        first.iter().zip(&second).filter(|((name, _), _)| name != "SHA256SUMS.minisig")
    {
        assert!(ours == theirs, "{name} differs");
    }
    assert_eq!(first.len(), second.len());
    if let Some(differing) = judged_by_diffoscope(&one, &other) {
        assert_eq!(differing, "");
        let guide = other.path("docs/guide.md");
        std::fs::write(guide, "# Another\n").unwrap();
        other.commit("Change the guide");
        let other = other.packaged(&key);
        let differing = judged_by_diffoscope(&one, &other).unwrap();
        assert!(differing.contains("-# Guide") && differing.contains("+# Another"), "{differing}");
    }
}

/// Where two releases differ, inside of their files too; none where `diffoscope` is not installed.
fn judged_by_diffoscope(one: &Repository, other: &Repository) -> Option<String> {
    let diffoscope = which::which("diffoscope").ok()?;
    let mut command = Command::new(diffoscope);
    // Two signatures differ always, and so do the times at which the files were made.
    command.args(["--exclude", "*.minisig", "--exclude-directory-metadata=recursive"]);
    let output = command.args([one.made(), other.made()]).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output));
    assert_eq!(output.status.success(), output.stdout.is_empty(), "{}", text(&output));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn reprotest_finds_no_surroundings_that_change_the_bytes() {
    let Ok(reprotest) = which::which("reprotest") else { return };
    let repository = Repository::with_operator(&noise(30_000));
    let package = repository.package(&["--unsigned"]);
    let words = std::iter::once(package.get_program()).chain(package.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    // Of the others, another time makes rustc hang (libfaketime beside its allocator), and the rest need root or FUSE.
    let varied = "--vary=+all,-user_group,-fileordering,-time,-domain_host,-kernel";
    let reproduced = |command: &str| {
        let mut reprotest = Command::new(&reprotest);
        reprotest.args(["-c", command, varied, ".", "target/release-artifacts/*", "--", "null"]);
        for (name, _) in package.get_envs() {
            reprotest.env_remove(name);
        }
        let output = reprotest.current_dir(&repository.root).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output));
        assert_eq!(text(&output).contains("Reproduction successful"), output.status.success());
        output.status.success()
    };
    assert!(reproduced(&words.join(" ")));
    let with_the_time_zone = format!("{} && date +%z > target/release-artifacts/zone", words.join(" "));
    assert!(!reproduced(&with_the_time_zone));
}

#[test]
fn a_release_describes_itself_and_other_programs_understand_it() {
    let key = Key::new();
    let repository = Repository::new().packaged(&key);
    let made = repository.made();
    let check =
        Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&made).output();
    assert!(check.unwrap().status.success());
    let listing =
        Command::new("tar").args(["--list", "--gzip", "--file", BUNDLE]).current_dir(&made).output().unwrap();
    assert!(listing.status.success(), "{}", text(&listing));
    let listing = text(&listing);
    let top = format!("flowship-{VERSION}");
    for path in
        ["flowship", "release.json", "flows/flows.json", "ops/scripts/run.sh", "docs/latest.md", "Cargo.lock"]
    {
        assert!(listing.lines().any(|line| line == format!("{top}/{path}")), "{path}: {listing}");
    }
    assert!(!listing.contains("flows/test/"), "{listing}");

    let unpacked = tempfile::tempdir().unwrap();
    let status = Command::new("tar")
        .args(["--extract", "--gzip", "--file"])
        .arg(made.join(BUNDLE))
        .arg("--directory")
        .arg(unpacked.path())
        .status();
    assert!(status.unwrap().success());
    let inside = |path: &str| std::fs::read(unpacked.path().join(&top).join(path)).unwrap();
    assert_eq!(inside("flowship"), std::fs::read(repository.operator()).unwrap());
    assert!(inside("README.md").ends_with(b"committed with\r\n"), "as committed, not as checked out");
    let release: Value = serde_json::from_slice(&inside("release.json")).unwrap();
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(made.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["release"], release);
    assert_eq!(release["commit"], repository.git(&["rev-parse", "HEAD"]).as_str());
    assert_eq!(release["version"], VERSION);
    // What `node -e` prints for the assembled list.
    let flows = r#"[{"id":"t","type":"tab","label":"T"},{"id":"s","type":"tab","label":"S","order":1}]"#;
    assert_eq!(release["flows_rev"], sha256(flows.as_bytes()).as_str());

    let output = Made::of(&repository).verify(&repository, &["--public-key", key.public.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output));
    let one = made.join(BUNDLE);
    let arguments =
        ["release", "verify", one.to_str().unwrap(), "--public-key", key.public.to_str().unwrap()];
    let output = repository.xtask(&arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("✓ bundle"), "{}", text(&output));
}

#[test]
fn a_root_that_is_a_folder_of_the_repository_is_packaged_without_the_rest() {
    let key = Key::new();
    let whole = Repository::new();
    whole.git(&["init", "--quiet", "--initial-branch", "main", ".."]);
    std::fs::remove_dir_all(whole.path(".git")).unwrap();
    for (path, contents) in [(".gitignore", "/operator\n"), ("flows/flows.json", "of another project")] {
        whole.write(&format!("../{path}"), contents);
    }
    whole.git(&["add", "--all", ".."]);
    whole.commit("Begin");
    let whole = whole.packaged(&key);
    let output = Made::of(&whole).verify(&whole, &["--public-key", key.public.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output));
    let shown = Command::new("tar")
        .args(["--extract", "--gzip", "--to-stdout", "--file"])
        .arg(whole.made().join(BUNDLE))
        .arg(format!("flowship-{VERSION}/flows/flows.json"))
        .output()
        .unwrap();
    assert_eq!(text(&shown), r#"[{"id":"t","type":"tab","label":"T"}]"#);
}

#[test]
fn the_ledger_holds_what_is_proven_of_this_commit_and_names_the_rest() {
    let repository = Repository::new();
    let commit = repository.git(&["rev-parse", "HEAD"]);
    let record_of = |kind: &str, name: &str, commit: &str, clean: bool| {
        let text = format!(
            r#"{{"schema":3,"kind":"{kind}","name":"{name}","commit":"{commit}","clean":{clean},"inputs_sha256":"1","definition_sha256":"2",
               "environment_sha256":"3","tools":{{"rustc":"1.95.0"}},"programs":{{}},"arguments":[],"figures":{{"tests":3}},
               "negative_control":"xtask/tests/gates.rs::x","started_at":"2026-01-01T00:00:00Z","duration_ms":5,"tests":3,
               "confirmed":null}}"#
        );
        repository.write(&format!(".flowship/evidence/{kind}/{name}.json"), &text);
    };
    let record = |gate: &str, commit: &str, clean: bool| record_of("gate", gate, commit, clean);
    record("tests", &commit, true);
    record("format", &commit, false);
    record("flows", &"a".repeat(40), true);
    let packaged = |warning: &str| -> Value {
        let output = repository.package(&["--unsigned"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).contains(warning), "{}", text(&output));
        serde_json::from_slice(&std::fs::read(repository.made().join("evidence.json")).unwrap()).unwrap()
    };
    let ledger = packaged("evidence: 1 passed on this commit; NOT PROVEN: gate ");
    assert_eq!(ledger["commit"], commit.as_str());
    assert_eq!(ledger["records"].as_array().unwrap().len(), 1);
    assert_eq!(ledger["records"][0]["name"], "tests");
    let why = |gate: &str| {
        let left_out = ledger["left_out"].as_array().unwrap();
        left_out.iter().find(|one| one["name"] == gate).unwrap()["why"].as_str().unwrap().to_owned()
    };
    assert!(why("format").contains("not committed"));
    assert!(why("flows").contains("another commit"));
    assert!(why("clippy").contains("no record"));
    assert!(why("compose").contains("no record"), "of the rehearsal");
    record_of("rehearsal", "compose", &commit, true);
    let ledger = packaged("evidence: 2 passed on this commit; NOT PROVEN: gate ");
    let last = ledger["records"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["kind"], &last["name"]), (&"rehearsal".into(), &"compose".into()));
    let output = Made::of(&repository).verify(&repository, &["--unsigned"]);
    let said = text(&output);
    let evidence = said.lines().find(|line| line.contains("2 passed on this commit; NOT PROVEN: gate "));
    assert!(evidence.is_some_and(|line| line.starts_with("- evidence")), "{said}");
}
