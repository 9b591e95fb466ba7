//! The security gates as users run them, with the real scanners: each finds what is planted, and says so where it could
//! not look.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A repository of its own.
pub struct Tree {
    folder: TempDir,
}

impl Tree {
    pub fn new() -> Self {
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

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
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

    pub fn xtask(&self, arguments: &[&str]) -> Command {
        xtask_in(self.folder.path(), arguments)
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
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
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Run {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The exit code, and parts of what was shown on either stream.
    pub fn expect(&self, code: i32, parts: &[&str]) -> &Self {
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
    tree.run(&["check", "secrets"]).expect(0, &["no secrets", "searched 1 commits and 0 uncommitted files"]);
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
    run.expect(1, &[&place, "1 secret. Everybody with a copy of the repository has it: revoke it"]);

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
    check(&["check", "secrets"])
        .expect(2, &["this clone is shallow", "git fetch --unshallow", "`fetch-depth: 0`"]);
    let gate = check(&["ci", "secrets-in-history"]);
    gate.expect(1, &["secrets-in-history FAILED", "git fetch --unshallow", "to do: what its error says"]);
    assert!(!gate.err.contains("revoke"), "{}", gate.err);
    git_in(&clone, &["fetch", "--quiet", "--unshallow"]);
    check(&["check", "secrets"]).expect(1, &["a.env:2: github-pat"]);

    fs::remove_dir_all(clone.join(".git")).unwrap();
    check(&["check", "secrets"]).expect(2, &["there is no history to search"]);
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
    clean.run(&["check", "secrets"]).expect(1, &["github-pat in a.env matches nothing any more: remove it"]);
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
    // Data of a test, by which nobody installs.
    tree.write("xtask/tests/planted/package-lock.json", "{}");
    tree.run(&["check", "licences"])
        .expect(0, &["every licence is allowed", "checked 2 crates and 2 production npm packages"]);
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
            "Cargo.lock:11: [licence-not-allowed] crate planted 1.2.3: its licence is MIT AND GPL-3.0-only",
            "flows/package-lock.json:5: [licence-not-allowed] npm package told 2.0.0: its licence is AGPL-3.0-or-later",
        ],
    );
    let (row, _) = tree.gate("licences");
    assert_eq!(row["result"], "failed", "{row}");
    assert!(!run.shown().contains("tester"), "what is for development alone is not shipped");
    let sarif = fs::read_to_string(tree.path("target/xtask/sarif/licences.sarif")).unwrap();
    assert!(sarif.contains("\"licence-not-allowed\"") && sarif.contains("\"startLine\": 11"), "{sarif}");
}

#[test]
fn a_licence_of_a_megabyte_is_named_without_its_middle() {
    let tree = with_licences(MIT, &format!(", \"license\": \"{}\"", "x".repeat(1 << 20)));
    let run = tree.run(&["check", "licences"]);
    run.expect(1, &["npm package told 2.0.0: \"xxx", "more bytes]", "is no SPDX expression"]);
    assert!(run.out.len() < 2000, "{}", run.out.len());
}

#[test]
fn licences_fails_on_a_package_that_states_none() {
    let tree = with_licences("", "");
    tree.run(&["check", "licences"]).expect(
        1,
        &[
            "[licence-missing] crate planted 1.2.3: it states no licence",
            "[licence-missing] npm package told 2.0.0: it states no licence",
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

/// The policy of this repository.
pub fn advisory_policy(tree: &Tree) -> String {
    let name = "ops/ci/advisories.toml";
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(repository.join(name)).unwrap();
    tree.write(name, &text);
    text
}

/// The day that lies so many days back, as `2026-11-24`.
pub fn days_ago(days: u64) -> String {
    let date =
        Command::new("date").args(["--utc", "--date", &format!("{days} days ago"), "+%Y-%m-%d"]).output();
    Run::of(date.unwrap()).out.trim().to_owned()
}

/// A small advisory database below `name`: the one that every database holds, and two about the crate `planted`.
fn database(tree: &Tree, name: &str, newest: &str) -> PathBuf {
    for (id, package, date, more) in [
        ("RUSTSEC-2019-0009", "smallvec", "2019-06-06", ""),
        ("RUSTSEC-2020-9001", "planted", newest, ""),
        ("RUSTSEC-2020-9002", "planted", "2020-01-01", "informational = \"unmaintained\"\n"),
    ] {
        let patched = if more.is_empty() { "patched = [\">=1.3.0\"]" } else { "patched = []" };
        tree.write(
            &format!("{name}/crates/{package}/{id}.md"),
            &format!(
                "```toml\n[advisory]\nid = \"{id}\"\npackage = \"{package}\"\ndate = \"{date}\"\n{more}\n[versions]\n{patched}\n```\n\n\
                 # Planted fault\n\nWords.\n"
            ),
        );
    }
    tree.path(name)
}

/// A lock file with `planted` in this version.
fn lock(tree: &Tree, version: &str) {
    tree.write(
        "Cargo.lock",
        &format!(
            "version = 4\n\n[[package]]\nname = \"planted\"\nversion = \"{version}\"\nsource = \
             \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{}\"\n",
            "a".repeat(64)
        ),
    );
}

/// A tree with the policy, a lock and a database of today.
fn with_database(version: &str) -> (Tree, PathBuf) {
    let tree = Tree::new();
    advisory_policy(&tree);
    lock(&tree, version);
    let folder = database(&tree, "database", &days_ago(0));
    (tree, folder)
}

fn audited(tree: &Tree, database: &Path) -> Run {
    Run::of(tree.xtask(&["check", "advisories"]).env("FLOWSHIP_ADVISORY_DB", database).output().unwrap())
}

#[test]
fn advisories_fails_on_a_vulnerable_or_unmaintained_crate() {
    let (tree, folder) = with_database("1.2.3");
    let both = [
        "Cargo.lock:4: [RUSTSEC-2020-9001] planted 1.2.3: vulnerable: Planted fault; fixed in >=1.3.0",
        "Cargo.lock:4: [RUSTSEC-2020-9002] planted 1.2.3: unmaintained: Planted fault; no version fixes it",
        "checked 1 crates against 3 advisories, the newest 0 days old",
    ];
    audited(&tree, &folder).expect(1, &both);
    let sarif = fs::read_to_string(tree.path("target/xtask/sarif/advisories.sarif")).unwrap();
    assert!(sarif.contains("\"RUSTSEC-2020-9001\"") && sarif.contains("Cargo.lock"), "{sarif}");

    // As the gate, by an archive of the database.
    let archive = tree.path("database.tar.gz");
    let tar =
        Command::new("tar").arg("-czf").arg(&archive).arg("database").current_dir(tree.path("")).status();
    assert!(tar.unwrap().success());
    let ci = tree.xtask(&["ci", "advisories", "--json"]).env("FLOWSHIP_ADVISORY_DB", &archive).output();
    let ci = Run::of(ci.unwrap());
    let value: Value = serde_json::from_str(&ci.out).unwrap();
    assert_eq!(value["gates"][0]["result"], "failed", "{ci:?}");

    lock(&tree, "1.3.0");
    audited(&tree, &folder).expect(1, &["RUSTSEC-2020-9002"]);
    tree.write(
        "ops/ci/advisories.toml",
        &advisory_policy(&tree).replace("unmaintained = \"fail\"", "unmaintained = \"tell\""),
    );
    audited(&tree, &folder).expect(0, &["warning: [RUSTSEC-2020-9002]"]);
}

#[test]
fn a_tolerated_advisory_fails_again_after_its_last_day_and_settings_elsewhere_hide_none() {
    let (tree, folder) = with_database("1.2.3");
    let tolerate = |until: &str| {
        let block = |id: &str| {
            format!(
                "\n[[tolerate]]\nkind = \"crate\"\nid = \"{id}\"\npackage = \"planted\"\nuntil = {until}\nreason = \"not reached \
                 from here\"\n"
            )
        };
        let text = advisory_policy(&tree) + &block("RUSTSEC-2020-9001") + &block("RUSTSEC-2020-9002");
        tree.write("ops/ci/advisories.toml", &text);
    };
    tolerate("2999-12-31");
    audited(&tree, &folder).expect(0, &["no advisories for any crate"]);
    tolerate("2020-12-31");
    audited(&tree, &folder).expect(1, &["RUSTSEC-2020-9001", "it was tolerated until 2020-12-31"]);
    advisory_policy(&tree);
    tree.write(
        ".cargo/audit.toml",
        "[advisories]\nignore = [\"RUSTSEC-2020-9001\", \"RUSTSEC-2020-9002\"]\n",
    );
    audited(&tree, &folder).expect(1, &["RUSTSEC-2020-9001", "RUSTSEC-2020-9002"]);
    fs::remove_file(tree.path("ops/ci/advisories.toml")).unwrap();
    audited(&tree, &folder).expect(2, &["ops/ci/advisories.toml: No such file"]);
}

#[test]
fn an_old_or_broken_database_is_no_good_news() {
    let (tree, _) = with_database("1.3.0");
    tree.write(
        "ops/ci/advisories.toml",
        &advisory_policy(&tree).replace("unmaintained = \"fail\"", "unmaintained = \"tell\""),
    );
    for (days, code, part) in [
        (20, 0, "the newest 20 days old"),
        (100, 0, "warning: the database is older than 30 days"),
        (181, 1, "error: the database is older than 180 days"),
    ] {
        let name = format!("database-{days}");
        audited(&tree, &database(&tree, &name, &days_ago(days))).expect(code, &[part]);
    }
    let empty = tree.path("empty");
    fs::create_dir_all(empty.join("crates")).unwrap();
    audited(&tree, &empty).expect(2, &["it holds no advisory"]);
    audited(&tree, &tree.path("nowhere")).expect(2, &["nowhere", "expected the RustSec advisory database"]);
    tree.write("torn.tar.gz", "no archive");
    audited(&tree, &tree.path("torn.tar.gz")).expect(2, &["it cannot be unpacked as .tar.gz"]);
    let part = database(&tree, "part", &days_ago(0));
    fs::remove_dir_all(part.join("crates/smallvec")).unwrap();
    audited(&tree, &part).expect(1, &["lacks RUSTSEC-2019-0009", "its results mean nothing"]);
}

/// Has git look elsewhere for what is published.
fn published_at(command: &mut Command, cache: &Path, place: &str) -> Run {
    // The tools stay where they are; of the advisories another cache is used.
    let tools = Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/flowship");
    let tools = std::env::var_os("FLOWSHIP_CACHE").map_or(tools, PathBuf::from);
    for shelf in ["tools", "npm"] {
        let link = cache.join(shelf);
        if !link.exists() && tools.join(shelf).exists() {
            std::os::unix::fs::symlink(tools.join(shelf), link).unwrap();
        }
    }
    command
        .env("FLOWSHIP_CACHE", cache)
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", format!("url.{place}.insteadOf"))
        .env("GIT_CONFIG_VALUE_0", "https://github.com/RustSec/advisory-db");
    Run::of(command.output().unwrap())
}

#[test]
fn the_database_is_fetched_kept_for_a_day_and_its_absence_is_reported() {
    let (tree, _) = with_database("1.2.3");
    let cache = tempfile::tempdir().unwrap();
    let nowhere = format!("file://{}/nowhere", tree.folder.path().display());
    let check = ["check", "advisories"];
    published_at(&mut tree.xtask(&check), cache.path(), &nowhere)
        .expect(1, &["no advisory database: pass one with --advisory-db or FLOWSHIP_ADVISORY_DB"]);
    let gate = ["ci", "advisories"];
    published_at(&mut tree.xtask(&gate), cache.path(), &nowhere)
        .expect(0, &["advisories", "not run: no advisory database"]);
    let all = ["ci", "advisories", "--require-all"];
    published_at(&mut tree.xtask(&all), cache.path(), &nowhere).expect(1, &["every gate must run"]);
    let but = ["ci", "advisories", "--require-all", "--may-lack", "advisory-database"];
    published_at(&mut tree.xtask(&but), cache.path(), &nowhere).expect(0, &["not run: no advisory database"]);

    git_in(&tree.path("database"), &["init", "--quiet"]);
    git_in(&tree.path("database"), &["add", "--all"]);
    git_in(&tree.path("database"), &["commit", "--quiet", "--message", "Advisories"]);
    let here = format!("file://{}", tree.path("database").display());
    published_at(&mut tree.xtask(&gate), cache.path(), &here).expect(1, &["RUSTSEC-2020-9001"]);
    // For a day it is not fetched again; then an old copy is better than none, and is said to be one.
    published_at(&mut tree.xtask(&check), cache.path(), &nowhere)
        .expect(1, &["RUSTSEC-2020-9001", "(fetched "]);
    let shelf = cache.path().join("advisory-db");
    let kept = fs::read_dir(&shelf).unwrap().next().unwrap().unwrap().path();
    fs::rename(kept, shelf.join("1000000000")).unwrap();
    published_at(&mut tree.xtask(&check), cache.path(), &nowhere)
        .expect(1, &["using an older copy", "RUSTSEC-2020-9001", "(fetched 2001-09-09"]);
    published_at(&mut tree.xtask(&check), cache.path(), &here)
        .expect(1, &["(fetched from https://github.com/"]);
    assert_eq!(fs::read_dir(&shelf).unwrap().count(), 1, "the old copy is gone");
}

/// What a registry of npm answers to the question for advisories.
#[derive(Clone, Copy)]
enum Registry {
    /// It knows of these two packages.
    Knows,
    /// As a mirror that only hands out packages.
    Refuses,
    /// As a mirror that answers anything with nothing.
    KnowsNothing,
}

/// Serves on a free port until the process ends; its address.
fn registry(answer: Registry) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, answer));
        }
    });
    address
}

fn serve(mut stream: std::net::TcpStream, answer: Registry) {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        head.push(line.to_lowercase());
    }
    let length =
        head.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let zipped = head.iter().any(|line| line.starts_with("content-encoding: gzip"));
    let mut asked = String::new();
    if zipped {
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut asked).unwrap();
    } else {
        asked = String::from_utf8(body).unwrap();
    }
    let path = head[0].split(' ').nth(1).unwrap_or_default().to_owned();
    let bulk = path.ends_with("/-/npm/v1/security/advisories/bulk");
    let (status, text) = match answer {
        Registry::Refuses => ("405 Method Not Allowed", String::new()),
        Registry::KnowsNothing => ("200 OK", "{}".to_owned()),
        Registry::Knows if bulk => {
            let asked: serde_json::Map<String, Value> = serde_json::from_str(&asked).unwrap();
            let known = ["minimist", "planted"].into_iter().filter(|name| asked.contains_key(*name));
            let answers = known.map(|name| {
                let advisory = serde_json::json!([{
                    "id": 1, "url": format!("https://github.com/advisories/GHSA-{name}"), "title": "Planted fault",
                    "severity": "high", "vulnerable_versions": "<1.3.0", "cwe": [], "cvss": { "score": 7.5, "vectorString": null },
                }]);
                (name.to_owned(), advisory)
            });
            ("200 OK", Value::Object(answers.collect()).to_string())
        }
        Registry::Knows => {
            let name = path.trim_start_matches('/');
            let packument = serde_json::json!({
                "name": name, "dist-tags": { "latest": "1.3.0" },
                "versions": { "1.2.3": { "name": name, "version": "1.2.3" }, "1.3.0": { "name": name, "version": "1.3.0" } },
            });
            ("200 OK", packument.to_string())
        }
    };
    let length = text.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
    );
}

/// A tree whose npm project locks `planted`.
fn with_npm_lock(version: &str) -> Tree {
    let tree = Tree::new();
    advisory_policy(&tree);
    let manifest = |more: &str| {
        format!(
            "{{ \"name\": \"flows\", \"version\": \"0.1.0\", \"dependencies\": {{ \"planted\": \"{version}\" }}{more} }}"
        )
    };
    tree.write("flows/package.json", &manifest(""));
    let packages = format!(
        ", \"lockfileVersion\": 3, \"requires\": true, \"packages\": {{\n\"\": {},\n\"node_modules/planted\": {{\n\"version\": \
         \"{version}\" }} }}",
        manifest("")
    );
    tree.write("flows/package-lock.json", &manifest(&packages));
    tree
}

fn asking(tree: &Tree, arguments: &[&str], registry: &str) -> Run {
    let npm_cache = tree.path(".flowship/npm");
    let mut command = tree.xtask(arguments);
    command.env("npm_config_registry", registry).env("npm_config_cache", npm_cache);
    Run::of(command.output().unwrap())
}

#[test]
fn npm_advisories_fails_on_a_vulnerable_package_and_passes_without() {
    let tree = with_npm_lock("1.2.3");
    let knows = registry(Registry::Knows);
    let finding = "flows/package-lock.json:3: [GHSA-planted] planted: high: Planted fault; versions <1.3.0";
    let run = asking(&tree, &["ci", "npm-advisories", "--require-all"], &knows);
    run.expect(1, &[finding, "npm-advisories"]);
    let sarif = fs::read_to_string(tree.path("target/xtask/sarif/npm-advisories.sarif")).unwrap();
    assert!(sarif.contains("\"GHSA-planted\""), "{sarif}");
    let mended = with_npm_lock("1.3.0");
    asking(&mended, &["check", "npm-advisories"], &knows)
        .expect(0, &["no advisories for any production npm package", "checked flows/package-lock.json"]);
    fs::remove_file(mended.path("flows/package-lock.json")).unwrap();
    asking(&mended, &["check", "npm-advisories"], &knows).expect(1, &["there is no package-lock.json"]);
}

#[test]
fn a_registry_without_audits_is_not_taken_for_a_pass() {
    let tree = with_npm_lock("1.2.3");
    for (answer, why) in [
        (Registry::Refuses, "the registry does not answer audits: 405 Method Not Allowed"),
        (Registry::KnowsNothing, "has no advisory for minimist 0.0.8, so its results mean nothing"),
    ] {
        let address = registry(answer);
        asking(&tree, &["check", "npm-advisories"], &address).expect(1, &[why]);
        let run = asking(&tree, &["ci", "npm-advisories", "--json"], &address);
        let value: Value = serde_json::from_str(&run.out).unwrap();
        let row = &value["gates"][0];
        assert_eq!((run.code, &row["result"]), (Some(0), &Value::from("not-run")), "{run:?}");
        assert_eq!(row["reason"], "the npm registry answers no audits");
        assert!(row["error"].as_str().unwrap().contains(why), "{row}");
    }
}
