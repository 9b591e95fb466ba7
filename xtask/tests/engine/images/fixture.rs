//! A tree to work on, a client that plays an engine, and the one place that decides about tests that need a real one.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub const DOCKERFILE: &str = "ops/docker/prod/Dockerfile";

/// The pinned base as the generated Dockerfile names it; the images themselves are made from nothing, so that no
/// test needs a network.
pub const CONTENTS: &str = "\
ARG NODE=node:24-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d
FROM ${NODE} AS base
FROM base AS node-red
COPY flows/main.js /app/main.js
USER 1000:1000
CMD [\"/app/main.js\"]
FROM scratch AS mcp-tools
COPY flows/main.js /app/tools.js
USER 1000:1000
CMD [\"/app/tools.js\"]
FROM scratch AS migrate
COPY flows/main.js /app/migrate.js
USER 1000:1000
CMD [\"/app/migrate.js\"]
";

/// The Dockerfile of what runs only while developing.
const DEVELOPMENT: (&str, &str) = (
    "ops/docker/dev/Dockerfile",
    "FROM scratch AS llm-stand-in\nCOPY flows/main.js /app/model.js\nUSER 1000:1000\nCMD [\"/app/model.js\"]\n",
);

/// A tree with its Dockerfiles.
pub struct Tree {
    pub folder: TempDir,
    /// Instead of the caller's PATH.
    path: Option<OsString>,
}

impl Tree {
    pub fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap(), path: None };
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/ci/requirements.txt");
        tree.write("ops/ci/requirements.txt", &fs::read_to_string(lock).unwrap());
        tree.write(DOCKERFILE, CONTENTS);
        tree.write(DEVELOPMENT.0, DEVELOPMENT.1);
        tree.write("flows/main.js", "console.log('hello')\n");
        tree
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The only docker on PATH is from now on this shell script.
    pub fn play_docker(&mut self, script: &str) {
        self.write("bin/docker", &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(self.path("bin/docker"), fs::Permissions::from_mode(0o755)).unwrap();
        self.path = Some(self.path("bin").into_os_string());
    }

    /// There is no docker on PATH from now on.
    pub fn without_docker(&mut self) {
        fs::create_dir_all(self.path("bin")).unwrap();
        self.path = Some(self.path("bin").into_os_string());
    }

    /// Locks this image as the stand-in of the Dockerfile's base.
    pub fn lock_stand_in(&self, tag: &str) {
        let lock = serde_json::json!({
            "warning": "STAND-INS",
            "stand_ins": [{
                "name": "node", "stands_for": "node:24-bookworm-slim", "tag": tag, "image_id": "sha256:0",
                "made_of": [], "differs": []
            }]
        });
        self.write(".flowship/images/stand-ins.json", &lock.to_string());
    }

    pub fn image(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("--root").arg(self.folder.path()).arg("image").args(arguments);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        Ran::of(command.output().unwrap())
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Ended with this code and said all of these.
    #[track_caller]
    pub fn expect(self, code: i32, said: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        for text in said {
            assert!(self.out.contains(text) || self.err.contains(text), "misses {text:?}: {self:#?}");
        }
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// The client of a real engine that can build. Every test that asks for it is for the gate `engine`.
pub fn engine() -> PathBuf {
    let clients = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&clients).map(|folder| folder.join("docker")).find(|client| {
        // The engine's own client can build; another that comes first on PATH may not.
        let answers = |arguments: &[&str]| {
            Command::new(client).args(arguments).output().is_ok_and(|output| output.status.success())
        };
        answers(&["version"]) && (answers(&["buildx", "version"]) || old_enough(client))
    });
    found.expect("a container engine that answers and can build")
}

fn old_enough(client: &Path) -> bool {
    let said = Command::new(client).arg("--version").output().unwrap().stdout;
    String::from_utf8_lossy(&said).contains(" 20.") || String::from_utf8_lossy(&said).contains(" 19.")
}

/// Runs the client and gives what it prints.
#[track_caller]
pub fn docker(client: &Path, arguments: &[&str]) -> String {
    let output = Command::new(client).env("DOCKER_BUILDKIT", "1").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Removes images, containers or volumes when a test ends, however it ends.
pub struct Remove {
    pub client: PathBuf,
    /// Such as `["image", "rm", "--force", "x:1"]`.
    pub commands: Vec<Vec<String>>,
}

impl Drop for Remove {
    fn drop(&mut self) {
        for command in &self.commands {
            let _ = Command::new(&self.client).args(command).output();
        }
    }
}
