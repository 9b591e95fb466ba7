//! The security gates as users run them, with the real scanners: each finds what is planted, and says so where it could
//! not look.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A repository of its own.
struct Tree {
    folder: TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        fs::create_dir_all(tree.path("ops/environments")).unwrap();
        fs::create_dir_all(tree.path("ops/ci")).unwrap();
        let locked = "ops/ci/requirements.txt";
        fs::copy(repository.join(locked), tree.path(locked)).unwrap();
        tree.write(".gitignore", ".flowship/\ntarget/\n");
        tree.git(&["init", "--quiet", "--initial-branch=main"]);
        tree.commit("Begin");
        tree
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        git_in(self.folder.path(), arguments)
    }

    /// Commits everything; the commit's id.
    fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    fn xtask(&self, arguments: &[&str]) -> Command {
        xtask_in(self.folder.path(), arguments)
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.xtask(arguments).output().unwrap())
    }

    /// The gate by `cargo xtask ci`: its row, and what was shown.
    fn gate(&self, gate: &str) -> (Value, Run) {
        let run = self.run(&["ci", gate, "--json"]);
        let value: Value = serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        (value["gates"][0].clone(), run)
    }
}

#[derive(Debug)]
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The exit code, and parts of what was shown on either stream.
    fn expect(&self, code: i32, parts: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        let shown = self.shown();
        for part in parts {
            assert!(shown.contains(part), "{part}\nis not in\n{shown}");
        }
        self
    }

    fn shown(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args([
        "-c",
        "user.name=Fixture",
        "-c",
        "user.email=fixture@example.com",
        "-c",
        "core.hooksPath=/dev/null",
    ]);
    // A surrounding git operation, such as a hook, must not lead this one to another repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(name);
    }
    let run = Run::of(git.args(arguments).current_dir(folder).output().unwrap());
    assert_eq!(run.code, Some(0), "git {arguments:?}: {}", run.err);
    run.out
}

fn xtask_in(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).arg("--root").arg(folder);
    for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "GITHUB_ACTIONS", "FLOWSHIP_ADVISORY_DB"] {
        command.env_remove(name);
    }
    command
}

/// Looks like a token of GitHub's. Put together at run time, so that this file holds none.
fn token(seed: char) -> String {
    let noise = "q7Xw2Lm9Zt4Rb6Vc1Ns8Kd3Pf5Hj0GyTeUa".replace('q', &seed.to_string());
    format!("{}_{noise}Q", "ghp")
}

/// Takes the token away again in a second commit; the commit that brought it.
fn plant(tree: &Tree, file: &str, token: &str) -> String {
    tree.write(file, &format!("# Settings.\nTOKEN={token}\n"));
    let planted = tree.commit("Bring it");
    fs::remove_file(tree.path(file)).unwrap();
    tree.commit("Take it away");
    planted
}

#[test]
fn a_clean_history_passes() {
    let tree = Tree::new();
    let (row, run) = tree.gate("secrets-in-history");
    assert_eq!(row["result"], "passed", "{run:?}");
    tree.run(&["check", "secrets"])
        .expect(0, &["no secrets", "looked through 1 commits and 0 uncommitted files"]);
    let log: Value =
        serde_json::from_slice(&fs::read(tree.path("target/xtask/sarif/secrets-in-history.sarif")).unwrap())
            .unwrap();
    assert_eq!(log["runs"][0]["results"], serde_json::json!([]));
}

#[test]
fn secrets_in_history_fails_on_a_secret_that_was_removed_again() {
    let tree = Tree::new();
    let token = token('a');
    let planted = plant(&tree, "deep/settings.env", &token);
    let (row, run) = tree.gate("secrets-in-history");
    assert_eq!(row["result"], "failed", "{run:?}");
    let place = format!(
        "deep/settings.env:2: github-pat: Uncovered a GitHub Personal Access Token, potentially leading to unauthorized repository access and sensitive content exposure. (commit {}",
        &planted[..12]
    );
    run.expect(1, &[&place, "1 secret. Who has a copy of the repository has it: revoke it"]);

    let sarif = fs::read_to_string(tree.path("target/xtask/sarif/secrets-in-history.sarif")).unwrap();
    let log: Value = serde_json::from_str(&sarif).unwrap();
    let result = &log["runs"][0]["results"][0];
    assert_eq!(
        (&result["ruleId"], result["message"]["text"].as_str().unwrap().contains(&planted)),
        (&Value::from("github-pat"), true)
    );
    let shown = [run.shown(), sarif, fs::read_to_string(row["log"].as_str().unwrap()).unwrap()].concat();
    assert!(!shown.contains(&token), "the secret itself is shown");
}

#[test]
fn nothing_in_the_repository_or_the_settings_of_git_hides_a_secret() {
    for (name, prepare) in [
        ("an attribute", &(|tree: &Tree| tree.write(".gitattributes", "*.env -diff\n")) as &dyn Fn(&Tree)),
        ("a file of ignored findings", &|tree| {
            tree.write(".gitleaks.toml", "[[rules]]\nid = \"none\"\nregex = '''never-there'''\n");
        }),
        ("output that a user likes", &|tree| {
            for (key, value) in [
                ("format.pretty", "oneline"),
                ("diff.noprefix", "true"),
                ("color.ui", "always"),
                ("log.showSignature", "true"),
            ] {
                tree.git(&["config", key, value]);
            }
        }),
    ] {
        let tree = Tree::new();
        prepare(&tree);
        plant(&tree, "a.env", &token('b'));
        let run = tree.run(&["check", "secrets"]);
        assert!(run.code == Some(1) && run.out.contains("a.env:2: github-pat"), "{name}: {run:?}");
    }
    let tree = Tree::new();
    tree.write("a.env", &format!("TOKEN={} # gitleaks:allow\n", token('c')));
    let commit = tree.commit("Bring it");
    tree.write(".gitleaksignore", &format!("{commit}:a.env:github-pat:1\n"));
    tree.commit("Hide it");
    tree.run(&["check", "secrets"]).expect(1, &["a.env:1: github-pat"]);
}

#[test]
fn what_only_a_merge_brings_is_found() {
    let tree = Tree::new();
    tree.git(&["checkout", "--quiet", "-b", "side"]);
    tree.write("side.txt", "side\n");
    tree.commit("Side");
    tree.git(&["checkout", "--quiet", "main"]);
    tree.write("main.txt", "main\n");
    tree.commit("Main");
    tree.git(&["merge", "--quiet", "--no-ff", "--no-commit", "side"]);
    tree.write("merged.env", &format!("TOKEN={}\n", token('d')));
    let merge = tree.commit("Merge");
    fs::remove_file(tree.path("merged.env")).unwrap();
    tree.commit("Take it away");
    tree.run(&["check", "secrets"]).expect(1, &["merged.env:1: github-pat", &merge[..12]]);
}

#[test]
fn what_is_not_committed_is_looked_through_too() {
    let tree = Tree::new();
    tree.write("a.env", "TOKEN=\n");
    tree.write("b.env", "TOKEN=\n");
    tree.commit("Bring them");
    tree.write("a.env", &format!("TOKEN={}\n", token('e')));
    tree.write("b.env", &format!("TOKEN={}\n", token('f')));
    tree.git(&["add", "b.env"]);
    tree.write("b.env", "TOKEN=\n");
    let run = tree.run(&["check", "secrets"]);
    run.expect(
        1,
        &["a.env:1: github-pat", "(changed, not staged)", "b.env:1: github-pat", "(staged)", "2 secrets"],
    );
    let json: Value = serde_json::from_str(&tree.run(&["check", "secrets", "--json"]).out).unwrap();
    assert_eq!((&json["commits"], &json["uncommitted_files"]), (&Value::from(2), &Value::from(3)));
    assert_eq!(json["findings"].as_array().unwrap().len(), 2);
}

#[test]
fn other_branches_are_looked_through_when_asked() {
    let tree = Tree::new();
    tree.git(&["checkout", "--quiet", "-b", "side"]);
    plant(&tree, "a.env", &token('g'));
    tree.git(&["checkout", "--quiet", "main"]);
    tree.run(&["check", "secrets"]).expect(0, &["no secrets"]);
    tree.run(&["check", "secrets", "--all"]).expect(1, &["a.env:2: github-pat"]);
}

#[test]
fn a_shallow_clone_or_no_repository_is_no_clean_history() {
    let tree = Tree::new();
    plant(&tree, "a.env", &token('h'));
    let place = tempfile::tempdir().unwrap();
    let clone = place.path().join("clone");
    let from = format!("file://{}", tree.folder.path().display());
    git_in(place.path(), &["clone", "--quiet", "--depth=1", &from, clone.to_str().unwrap()]);
    fs::create_dir_all(clone.join("ops/environments")).unwrap();
    let check = |arguments: &[&str]| Run::of(xtask_in(&clone, arguments).output().unwrap());
    check(&["check", "secrets"]).expect(1, &["a shallow clone", "git fetch --unshallow", "`fetch-depth: 0`"]);
    check(&["ci", "secrets-in-history"]).expect(1, &["secrets-in-history FAILED"]);
    git_in(&clone, &["fetch", "--quiet", "--unshallow"]);
    check(&["check", "secrets"]).expect(1, &["a.env:2: github-pat"]);

    fs::remove_dir_all(clone.join(".git")).unwrap();
    check(&["check", "secrets"]).expect(1, &["there is no history to look through"]);
}

#[test]
fn an_allowance_covers_one_value_with_a_reason_and_must_be_used() {
    let tree = Tree::new();
    plant(&tree, "a.env", &token('i'));
    let digests = tree.run(&["check", "secrets", "--digests"]);
    let digest = digests.out.lines().find_map(|line| line.strip_prefix("  sha256 = ")).unwrap().to_owned();
    let allow = |reason: &str| {
        tree.write(
            "ops/ci/secrets-in-history.toml",
            &format!(
                "[[allow]]\nrule = \"github-pat\"\nfile = \"a.env\"\nsha256 = {digest}\nreason = \"{reason}\"\n"
            ),
        );
    };
    allow("");
    tree.run(&["check", "secrets"]).expect(2, &["ops/ci/secrets-in-history.toml", "reason must say why"]);
    allow("made for this test");
    tree.run(&["check", "secrets"]).expect(0, &["no secrets", "1 allowed"]);
    plant(&tree, "a.env", &token('j'));
    tree.run(&["check", "secrets"]).expect(1, &["1 secret."]);

    let clean = Tree::new();
    let allowances = fs::read(tree.path("ops/ci/secrets-in-history.toml")).unwrap();
    fs::write(clean.path("ops/ci/secrets-in-history.toml"), allowances).unwrap();
    clean.run(&["check", "secrets"]).expect(1, &["github-pat in a.env allows nothing any more: remove it"]);
}

const ALLOWED: &str = "allow = [\"MIT\", \"Apache-2.0\"]\n";

/// A workspace of one crate that uses another, and an npm project of two packages, with these licences.
fn with_licences(crate_licence: &str, npm_licence: &str) -> Tree {
    let tree = Tree::new();
    tree.write(
        "Cargo.toml",
        "[package]\nname = \"fixture\"\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n\n\
         [dependencies]\nplanted = { path = \"planted\" }\n",
    );
    tree.write("src/lib.rs", "");
    tree.write(
        "planted/Cargo.toml",
        &format!("[package]\nname = \"planted\"\nversion = \"1.2.3\"\nedition = \"2024\"\n{crate_licence}\n"),
    );
    tree.write("planted/src/lib.rs", "");
    tree.write(
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"fixture\"\nversion = \"0.1.0\"\ndependencies = [\n \"planted\",\n]\n\n\
         [[package]]\nname = \"planted\"\nversion = \"1.2.3\"\n",
    );
    tree.write(
        "flows/package-lock.json",
        &format!(
            "{{\n  \"lockfileVersion\": 3,\n  \"packages\": {{\n    \"\": {{ \"name\": \"flows\", \"version\": \"0.1.0\", \"license\": \"MIT\" }},\n    \
             \"node_modules/told\": {{\n      \"version\": \"2.0.0\"{npm_licence}\n    }},\n    \
             \"node_modules/tester\": {{\n      \"version\": \"3.0.0\", \"dev\": true, \"license\": \"GPL-3.0-only\"\n    }}\n  }}\n}}\n"
        ),
    );
    tree.write("flows/node_modules/.keep", "");
    tree.write("ops/ci/licences.toml", ALLOWED);
    tree
}

const MIT: &str = "license = \"MIT\"";
const NPM_MIT: &str = ", \"license\": \"MIT\"";

#[test]
fn allowed_licences_pass() {
    let tree = with_licences("license = \"GPL-3.0-only OR Apache-2.0\"", NPM_MIT);
    tree.run(&["check", "licences"])
        .expect(0, &["every licence is allowed", "looked at 2 crates and 2 npm packages of production"]);
    let (row, run) = tree.gate("licences");
    assert_eq!(row["result"], "passed", "{run:?}");
}

#[test]
fn licences_fails_on_a_copyleft_crate_or_npm_package() {
    let tree = with_licences("license = \"MIT AND GPL-3.0-only\"", ", \"license\": \"AGPL-3.0-or-later\"");
    let run = tree.run(&["check", "licences"]);
    run.expect(
        1,
        &[
            "Cargo.lock:11: licence-not-allowed: crate planted 1.2.3: its licence is MIT AND GPL-3.0-only",
            "flows/package-lock.json:5: licence-not-allowed: npm package told 2.0.0: its licence is AGPL-3.0-or-later",
        ],
    );
    let (row, _) = tree.gate("licences");
    assert_eq!(row["result"], "failed", "{row}");
    assert!(!run.shown().contains("tester"), "what is for development alone is not shipped");
    let sarif = fs::read_to_string(tree.path("target/xtask/sarif/licences.sarif")).unwrap();
    assert!(sarif.contains("\"licence-not-allowed\"") && sarif.contains("\"startLine\": 11"), "{sarif}");
}

#[test]
fn licences_fails_on_a_package_that_states_none() {
    let tree = with_licences("", "");
    tree.run(&["check", "licences"]).expect(
        1,
        &[
            "licence-missing: crate planted 1.2.3: it states no licence",
            "licence-missing: npm package told 2.0.0: it states no licence",
        ],
    );
    // What the lock does not tell, the package itself may; for the rest a person says where it stands.
    tree.write("flows/node_modules/told/package.json", "{ \"licenses\": [{ \"type\": \"MIT\" }] }\n");
    let stated = "[[stated]]\nkind = \"crate\"\nname = \"planted\"\nversion = \"1.2.3\"\nlicence = \"MIT\"\nsource = \"its \
                  file LICENSE\"\n";
    tree.write("ops/ci/licences.toml", &[ALLOWED, stated].concat());
    tree.run(&["check", "licences"]).expect(0, &["every licence is allowed"]);
    tree.write("ops/ci/licences.toml", &[ALLOWED, stated, stated].concat().replace("1.2.3", "1.2.2"));
    tree.run(&["check", "licences"]).expect(1, &["no crate planted 1.2.2 needs its licence stated"]);
}

#[test]
fn licences_are_not_judged_without_packages_or_by_a_broken_policy() {
    let tree = with_licences(MIT, NPM_MIT);
    tree.write("ops/ci/licences.toml", "allow = [\"MITT\"]\n");
    tree.run(&["check", "licences"])
        .expect(2, &["ops/ci/licences.toml: \"MITT\" is no licence of the SPDX list"]);
    tree.write("ops/ci/licences.toml", ALLOWED);
    fs::remove_file(tree.path("flows/package-lock.json")).unwrap();
    tree.run(&["check", "licences"]).expect(1, &["2 crates and 0 npm packages were found"]);
    tree.write("Cargo.lock", "version = 4\n");
    tree.run(&["check", "licences"]).expect(1, &["cargo does not describe the crates"]);
}
