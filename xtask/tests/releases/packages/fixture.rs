//! A repository with all that a release is made of, and keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use minisign::KeyPair;
use tempfile::TempDir;

pub const VERSION: &str = "1.2.3";
pub const BUNDLE: &str = "flowship-1.2.3-bundle.tar.gz";
pub const FOLDER: &str = "target/release-artifacts";

/// A committed tree; the operator's binary and the keys lie outside of it.
pub struct Repository {
    pub folder: TempDir,
    pub root: PathBuf,
}

impl Repository {
    pub fn new() -> Self {
        Self::with_operator(&noise(300_000))
    }

    /// With an operator's binary of these bytes.
    pub fn with_operator(operator: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("repository");
        let repository = Self { root, folder };
        fs::write(repository.operator(), operator).unwrap();
        let locked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/ci/requirements.txt");
        for (path, text) in [
            (".gitignore", "/target/\n/.flowship/\n"),
            ("Cargo.toml", "[workspace]\nmembers = []\n\n[workspace.package]\nversion = \"1.2.3\"\n"),
            (
                "Cargo.lock",
                "version = 4\n\n[[package]]\nname = \"xtask\"\nversion = \"1.2.3\"\ndependencies = [\n \"anyhow\",\n]\n\n\
                 [[package]]\nname = \"anyhow\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\nchecksum = \"00ff\"\n",
            ),
            ("ops/ci/requirements.txt", &*fs::read_to_string(locked).unwrap()),
            ("ops/environments/dev.toml", "engine = \"process\"\n"),
            ("ops/scripts/run.sh", "#!/bin/sh\necho hello\n"),
            ("flows/flows.json", r#"[{"id":"t","type":"tab","label":"T"}]"#),
            ("flows/test-smoke.json", r#"[{"id":"s","type":"tab","label":"S","order":1.0}]"#),
            ("flows/package.json", r#"{"name":"flows","version":"1.2.3"}"#),
            (
                "flows/package-lock.json",
                r#"{"name":"flows","lockfileVersion":3,"packages":{"":{"name":"flows"},"node_modules/a":{"version":"1.0.0","integrity":"sha512-AAEC"}}}"#,
            ),
            ("flows/test/flows.test.js", "// only for developers\n"),
            ("docs/guide.md", "# Guide\n"),
            ("README.md", "# Fixture\r\nwith the line ends that it was committed with\r\n"),
        ] {
            repository.write(path, text);
        }
        repository.make_executable("ops/scripts/run.sh");
        std::os::unix::fs::symlink("guide.md", repository.path("docs/latest.md")).unwrap();
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        repository.commit("Begin");
        repository
    }

    /// The same commit elsewhere.
    pub fn cloned(&self, below: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(below);
        fs::create_dir_all(&root).unwrap();
        let from = self.root.to_str().unwrap();
        let status = Command::new("git").args(["clone", "--quiet", from]).arg(&root).status().unwrap();
        assert!(status.success());
        let copy = Self { folder, root };
        fs::copy(self.operator(), copy.operator()).unwrap();
        copy
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn operator(&self) -> PathBuf {
        self.folder.path().join("operator")
    }

    pub fn made(&self) -> PathBuf {
        self.path(FOLDER)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn make_executable(&self, path: &str) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "core.autocrlf=false"])
            .args(arguments)
            .current_dir(&self.root)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    pub fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments).current_dir(&self.root);
        for name in [
            "FLOWSHIP_SIGNING_KEY",
            "FLOWSHIP_SIGNING_PASSWORD_FILE",
            "FLOWSHIP_PUBLIC_KEY",
            "RUST_BACKTRACE",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// `release package` with the binary that is there.
    pub fn package(&self, arguments: &[&str]) -> Command {
        let mut command = self.xtask(&["release", "package", "--images", "none", "--operator-binary"]);
        command.arg(self.operator()).args(arguments);
        command
    }

    /// A release signed by the key.
    pub fn packaged(self, key: &Key) -> Self {
        let output = self.package(&["--key", key.secret.to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self
    }
}

/// A key pair in files.
pub struct Key {
    _folder: TempDir,
    pub secret: PathBuf,
    pub public: PathBuf,
    pub pair: KeyPair,
}

impl Key {
    pub fn new() -> Self {
        Self::of(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    pub fn of(pair: KeyPair) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (secret, public) = (folder.path().join("release.key"), folder.path().join("release.pub"));
        fs::write(&secret, pair.sk.to_box(None).unwrap().to_string()).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&public, pair.pk.to_box().unwrap().to_string()).unwrap();
        Self { _folder: folder, secret, public, pair }
    }
}

/// Bytes that do not compress, the same each time.
pub fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(bytes).collect()
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Names and bytes of a folder's files.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_str().unwrap().to_owned(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}
