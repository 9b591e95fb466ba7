//! A checkout, its bare remote and a stand-in for GitHub, for one test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use minisign::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

pub use crate::ended::Ended;
use crate::tree;

pub const CHANGELOG: &str =
    "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- The first thing that users get.\n";
const MANIFEST: &str = "[package]\nname = \"fixture\"\nversion.workspace = true\nedition = \"2024\"\n\n[workspace]\n\n\
                        [workspace.package]\nversion = \"0.1.0\"\n";

pub struct Workshop {
    folder: TempDir,
}

impl Ended {
    /// All parts must stand in what it printed, wherever.
    #[track_caller]
    pub fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.out.contains(part) || self.errors.contains(part), "no `{part}` in {self:#?}");
        }
    }
}

/// What every checkout has: the generated files and what they are generated from.
fn generated() -> &'static Path {
    static TREE: OnceLock<TempDir> = OnceLock::new();
    TREE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let parts = [
            "flows/flows.json",
            "flows/package-lock.json",
            "flows/package.json",
            "ops/ci/requirements.txt",
            "ops/environments",
        ];
        tree::copy(&parts, folder.path());
        let mut generate = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output = generate.arg("generate").arg("--root").arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{:?}", Ended::of(&output));
        folder
    })
    .path()
}

/// The interpreter itself: what stands on PATH may be a slow script that looks for it.
fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output =
            Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

fn found(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file()).unwrap_or_else(|| panic!("{program} is not on PATH"))
}

/// A folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let below = entry.path().strip_prefix(from).unwrap();
        let place = to.join(below);
        if entry.file_type().is_dir() {
            fs::create_dir_all(place).unwrap();
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

#[allow(dead_code)]
impl Workshop {
    /// One commit, pushed to `main` of `origin`, and CI passed on it.
    pub fn new() -> Self {
        let workshop = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["github", "bin"] {
            fs::create_dir(workshop.folder.path().join(folder)).unwrap();
        }
        workshop.stand_in("gh");
        copy(generated(), &workshop.root());
        workshop.write("Cargo.toml", MANIFEST);
        workshop.write("src/lib.rs", "//! A fixture.\n");
        workshop.write("CHANGELOG.md", CHANGELOG);
        workshop.write(".gitignore", ".flowship/\ntarget/\n");
        let remote = workshop.folder.path().join("remote.git");
        workshop.git(&["init", "--quiet", "--bare", "--initial-branch=main", remote.to_str().unwrap()]);
        workshop.git(&["init", "--quiet", "--initial-branch=main"]);
        workshop.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
        let locked = Command::new("cargo")
            .args(["generate-lockfile", "--offline", "--quiet"])
            .current_dir(workshop.root())
            .status()
            .unwrap();
        assert!(locked.success());
        workshop.commit("Begin");
        workshop.push();
        workshop.ci("completed", Some("success"));
        workshop
    }

    /// The same, with version 0.1.0 entered.
    pub fn prepared() -> Self {
        let workshop = Self::new();
        workshop.done(&["release", "prepare"]);
        workshop.commit("Release 0.1.0");
        workshop.push();
        workshop.prove();
        workshop
    }

    /// A gate passed on this commit.
    pub fn prove(&self) {
        let commit = self.git(&["rev-parse", "HEAD"]);
        let record = json!({
            "schema": 3, "kind": "gate", "name": "tests", "commit": commit, "clean": true, "inputs_sha256": "1",
            "definition_sha256": "2", "environment_sha256": "3", "tools": {}, "programs": {}, "arguments": [], "figures": {},
            "negative_control": "xtask/tests/gates.rs::x", "started_at": "2026-01-01T00:00:00Z", "duration_ms": 5,
            "tests": 3, "confirmed": null,
        });
        self.write(".flowship/evidence/gate/tests.json", &record.to_string());
    }

    /// The same, and packaged: files of the right names in the folder of artifacts.
    pub fn packaged() -> Self {
        static TEMPLATE: OnceLock<Workshop> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let workshop = Self::prepared();
            workshop.package();
            workshop
        });
        let workshop = Self { folder: tempfile::tempdir().unwrap() };
        copy(template.folder.path(), workshop.folder.path());
        let remote = workshop.folder.path().join("remote.git");
        workshop.git(&["remote", "set-url", "origin", remote.to_str().unwrap()]);
        workshop
    }

    pub fn package(&self) {
        self.package_with(&["--images", "none"]);
    }

    /// With these images.
    pub fn package_with(&self, images: &[&str]) {
        let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
        let keys = self.folder.path().join("keys");
        fs::create_dir(&keys).unwrap();
        let secret = keys.join("release.key");
        fs::write(&secret, sk.to_box(None).unwrap().to_string()).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(self.public_key(), pk.to_box().unwrap().to_string()).unwrap();
        self.package_again(images);
    }

    /// With the key that is there.
    pub fn package_again(&self, images: &[&str]) {
        let (key, operator) = (self.public_key().with_extension("key"), self.path("src/lib.rs"));
        let mut package = vec!["release", "package"];
        package.extend(images);
        package.extend(["--key", key.to_str().unwrap(), "--operator-binary", operator.to_str().unwrap()]);
        self.done(&package);
    }

    /// Whom to believe.
    pub fn public_key(&self) -> PathBuf {
        self.folder.path().join("keys/release.pub")
    }

    /// The names of the files of the release, sorted.
    pub fn artifacts(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("target/release-artifacts")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// Another checkout of the same remote, with the same packaged files.
    pub fn second_checkout(&self) -> PathBuf {
        let other = self.folder.path().join("other");
        copy(&self.root(), &other);
        other
    }

    #[track_caller]
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let give_up = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < give_up, "{what}: did not come true");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("checkout")
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    pub fn github(&self) -> PathBuf {
        self.folder.path().join("github")
    }

    pub fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    pub fn write(&self, relative: &str, text: &str) {
        fs::create_dir_all(self.path(relative).parent().unwrap()).unwrap();
        fs::write(self.path(relative), text).unwrap();
    }

    /// From now on calls of `program` go to the stand-in.
    pub fn stand_in(&self, program: &str) {
        let bin = self.folder.path().join("bin");
        let script = bin.join("gh.py");
        fs::write(&script, include_str!("gh.py")).unwrap();
        // Only these calls of git are seen: the others are many, and the real one is quicker.
        let only = if program == "git" { "*\" push \"*|tag\\ --*|*\" ls-remote \"*" } else { "*" };
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in\n{only}) exec {} -ISE {} {program} \"$@\" ;;\nesac\nexec {} \"$@\"\n",
            python(),
            script.display(),
            found("git").display()
        );
        fs::write(bin.join(program), text).unwrap();
        fs::set_permissions(bin.join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// From now on `program` is not on PATH, if the stand-in was all there is.
    pub fn without(&self, program: &str) {
        fs::remove_file(self.folder.path().join("bin").join(program)).unwrap();
    }

    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        fs::create_dir_all(self.root()).unwrap();
        let output = git(&self.root(), arguments).output().unwrap();
        let ended = Ended::of(&output);
        assert_eq!(ended.code, Some(0), "git {arguments:?}: {ended:#?}");
        ended.out.trim_end().to_owned()
    }

    #[track_caller]
    pub fn remote_git(&self, arguments: &[&str]) -> String {
        let output = git(&self.folder.path().join("remote.git"), arguments).output().unwrap();
        Ended::of(&output).out.trim_end().to_owned()
    }

    /// Commits all there is; its id.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn push(&self) {
        self.git(&["push", "--quiet", "origin", "main"]);
    }

    /// What GitHub says of the required check from now on, besides that of another check.
    pub fn ci(&self, status: &str, conclusion: Option<&str>) {
        let check = |name: &str, status: &str, conclusion: Option<&str>| json!({ "id": 1, "name": name, "status": status, "conclusion": conclusion, "html_url": "https://github.com" });
        let checks = [check("Rust", "completed", Some("success")), check("Required", status, conclusion)];
        self.change_github(|state| state["checks"] = json!(checks));
    }

    pub fn change_github(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        change(&mut state);
        fs::write(self.github().join("state.json"), state.to_string()).unwrap();
    }

    /// What GitHub has.
    pub fn state(&self) -> Value {
        let text = fs::read_to_string(self.github().join("state.json"));
        let empty = || json!({ "next": 101, "releases": [], "checks": [] });
        text.map_or_else(|_| empty(), |text| serde_json::from_str(&text).unwrap())
    }

    /// The kinds of calls so far, in order.
    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.github().join("calls")).unwrap_or_default();
        text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_in(&self.root(), arguments)
    }

    pub fn command_in(&self, root: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let path = format!("{}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap());
        command.args(arguments).arg("--root").arg(root).env("PATH", path).stdin(Stdio::null());
        command.env("STUB_STATE", self.github()).env("GH_TOKEN", "ghp_0123456789abcdef");
        command.env("FLOWSHIP_PUBLIC_KEY", self.public_key());
        for name in ["GITHUB_ACTIONS", "GH_REPO", "STUB_FAULT", "STUB_NO_DIGEST", "CARGO_TARGET_DIR"] {
            command.env_remove(name);
        }
        identity(&mut command);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
        ended
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    identity(&mut command);
    command
}

/// A name for commits and tags, and nothing of the user's own settings.
fn identity(command: &mut Command) {
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "A").env(format!("GIT_{role}_EMAIL"), "a@example.org");
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
}
