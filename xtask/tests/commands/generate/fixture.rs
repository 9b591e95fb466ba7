//! A tree that holds nothing but what was generated, and the program that is run on it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub const SETTINGS: &str = "flows/settings.js";
pub const PORTS: &str = "docs/reference/ports.md";
pub const MODEL: &str = "docs/reference/platform.json";
pub const EXAMPLE: &str = "ops/secrets/postgres.env.example";
pub const WORKFLOW: &str = ".github/workflows/ci.yml";
pub const LEDGER: &str = "ops/generated.sha256";

/// A tree that holds nothing but what was generated.
pub struct Tree {
    pub folder: TempDir,
}

/// What can be seen of a file without reading its name: contents, mode, identity, time.
pub type Seen = (Vec<u8>, u32, u64, i64, i64);

impl Tree {
    pub fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        let output = tree.generate(&[]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        tree
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    pub fn generate(&self, arguments: &[&str]) -> Output {
        ended(&mut xtask(self.folder.path(), arguments))
    }

    /// The tree as a repository with one commit.
    pub fn committed() -> Self {
        let tree = Self::new();
        tree.git(&["init", "--quiet"]);
        tree.commit();
        tree
    }

    pub fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "All of it"]);
    }

    pub fn git(&self, arguments: &[&str]) {
        git(self.folder.path(), arguments);
    }

    pub fn files(&self) -> BTreeMap<String, Seen> {
        let mut seen = BTreeMap::new();
        for entry in walkdir::WalkDir::new(self.folder.path()) {
            let entry = entry.unwrap();
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            if metadata.is_dir() {
                continue;
            }
            let name = entry.path().strip_prefix(self.folder.path()).unwrap().to_str().unwrap().to_owned();
            let contents = fs::read(entry.path()).unwrap_or_default();
            let seconds = (metadata.mtime(), metadata.mtime_nsec());
            seen.insert(name, (contents, metadata.mode() & 0o7777, metadata.ino(), seconds.0, seconds.1));
        }
        seen
    }

    /// Takes a file out of the ledger.
    pub fn forget(&self, name: &str) {
        let kept: String = self
            .text(LEDGER)
            .lines()
            .filter(|line| !line.ends_with(name))
            .map(|line| format!("{line}\n"))
            .collect();
        self.write(LEDGER, &kept);
    }

    /// Notes these contents in the ledger, as a generation that made them would have.
    pub fn remember(&self, name: &str, contents: &str) {
        self.forget(name);
        let ledger = self.text(LEDGER);
        self.write(LEDGER, &format!("{ledger}{}  {name}\n", sha256(contents)));
    }

    /// As if an older platform had generated this.
    pub fn generated_before(&self, name: &str, contents: &str) {
        self.write(name, contents);
        self.remember(name, contents);
    }
}

pub fn xtask(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("generate").arg("--root").arg(root).args(arguments);
    command
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The headlines of the result: what is said of which file.
pub fn headlines(output: &Output) -> Vec<String> {
    let is_diff = |line: &str| line.is_empty() || line.starts_with([' ', '+', '-', '@', '\\']);
    stdout(output).lines().filter(|line| !is_diff(line)).map(str::to_owned).collect()
}

pub fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=F", "-c", "user.email=f@example.com", "-c", "core.hooksPath=/dev/null"]);
    git.args(["-c", "protocol.file.allow=always"]).args(arguments).current_dir(folder);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(name);
    }
    let output = git.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
}

/// What it printed; a program that hangs is a failure.
pub fn ended(command: &mut Command) -> Output {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let readers = [
        child.stdout.take().map(|from| Box::new(from) as Box<dyn Read + Send>),
        child.stderr.take().map(|from| Box::new(from) as Box<dyn Read + Send>),
    ];
    let [stdout, stderr] = readers.map(|from| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            from.unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        })
    });
    let late = Instant::now() + Duration::from_secs(60);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > late => {
                child.kill().unwrap();
                panic!("{command:?} hangs");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}
