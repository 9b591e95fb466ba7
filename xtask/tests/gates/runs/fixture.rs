//! A repository of its own in which a few quick gates pass: `format` and `tests` on a small crate, `workflows` on one
//! workflow, and `secrets-in-history`, which looks at more than files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub const LIB: &str = "xtask/src/lib.rs";
pub const WORKFLOW: &str = ".github/workflows/extra.yml";

pub const GOOD_LIB: &str = "//! A fixture.\n\n/// Twice the number.\npub fn twice(number: u32) -> u32 {\n    number * \
                            2\n}\n\n#[test]\nfn doubles() {\n    assert_eq!(twice(2), 4);\n}\n";

const GOOD_WORKFLOW: &str = "name: Extra\non:\n  workflow_dispatch: {}\npermissions: {}\nconcurrency:\n  group: extra\n  \
                             cancel-in-progress: true\njobs:\n  extra:\n    name: Extra\n    runs-on: ubuntu-24.04\n    \
                             timeout-minutes: 5\n    steps:\n      - name: Do it\n        run: echo done\n";

pub struct Tree {
    pub folder: TempDir,
}

pub struct Judged {
    pub code: Option<i32>,
    pub rows: BTreeMap<String, Value>,
    pub shown: String,
}

impl Judged {
    /// Gate and result, in the order of the names.
    pub fn results(&self) -> Vec<(&str, &str)> {
        self.rows.iter().map(|(gate, row)| (gate.as_str(), row["result"].as_str().unwrap())).collect()
    }

    pub fn error(&self, gate: &str) -> &str {
        self.rows[gate]["error"].as_str().unwrap_or_else(|| panic!("{gate} has no error\n{}", self.shown))
    }
}

impl Tree {
    pub fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        fs::create_dir_all(tree.path("ops/environments")).unwrap();
        fs::create_dir_all(tree.path("ops/ci")).unwrap();
        let locked = "ops/ci/requirements.txt";
        fs::copy(repository.join(locked), tree.path(locked)).unwrap();
        tree.write(".gitignore", "/target/\n/.flowship/\n");
        tree.write("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"xtask\"]\n");
        tree.write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"fixture\"\nversion = \"0.1.0\"\n");
        tree.write(
            "xtask/Cargo.toml",
            "[package]\nname = \"fixture\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        );
        tree.write(LIB, GOOD_LIB);
        tree.write(WORKFLOW, GOOD_WORKFLOW);
        tree.git(&["init", "--quiet", "--initial-branch=main"]);
        tree.commit();
        tree
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    pub fn append(&self, name: &str, text: &str) {
        let text = self.text(name) + text;
        self.write(name, &text);
    }

    /// Commits everything; the commit's id.
    pub fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "Fixture"]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Fixture", "-c", "user.email=fixture@example.com"])
            .args(["-c", "core.hooksPath=/dev/null"]);
        // A surrounding git operation, such as a hook, must not lead this one to another repository.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(name);
        }
        let output = git.args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn ci(&self, arguments: &[&str]) -> Command {
        ci_in(self.folder.path(), arguments)
    }

    pub fn judge(&self, arguments: &[&str]) -> Judged {
        judged(self.ci(arguments))
    }

    pub fn record(&self, gate: &str) -> Value {
        serde_json::from_str(&self.text(&format!(".flowship/evidence/gate/{gate}.json"))).unwrap()
    }
}

pub fn ci_in(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("ci").args(arguments).arg("--root").arg(root).stdin(Stdio::null());
    // What the surrounding run of tests would hand down.
    for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "NODE_OPTIONS", "GITHUB_ACTIONS", "CI"] {
        command.env_remove(name);
    }
    command.env("CARGO_NET_OFFLINE", "true").env("CARGO_INCREMENTAL", "0");
    command
}

pub fn judged(mut command: Command) -> Judged {
    read(&command.arg("--json").arg("--keep-going").output().unwrap())
}

pub fn read(output: &Output) -> Judged {
    let shown = String::from_utf8(output.stderr.clone()).unwrap();
    let value: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{shown}", String::from_utf8_lossy(&output.stdout)));
    let rows = value["gates"].as_array().unwrap().iter();
    let rows = rows.map(|row| (row["gate"].as_str().unwrap().to_owned(), row.clone())).collect();
    Judged { code: output.status.code(), rows, shown }
}

pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "{what}: did not come true");
        std::thread::sleep(Duration::from_millis(10));
    }
}
