//! The Go vulnerability database, which a module proxy hands out like any module, in the form that govulncheck reads.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use crate::tools::{Program, Tool, Toolbox, go_program, progress};
use foundation::clock;
use foundation::files::{self, temporary};
use judges::checks::go_vulnerabilities::{Advisory, index};

const MODULE: &str = "golang.org/x/vulndb@latest";
/// Its advisories, below the module's folder.
const ADVISORIES: &str = "data/osv";

/// A database on this machine, for one run.
#[derive(Debug)]
pub struct Database {
    /// As govulncheck takes it.
    pub url: String,
    pub version: String,
    pub advisories: usize,
    /// The day of its newest change; most advisories carry none of their own.
    pub newest: String,
    _scratch: TempDir,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    version: String,
    dir: PathBuf,
    /// A file.
    info: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    /// RFC 3339.
    time: String,
}

/// Whether [`obtain`] gets one. Installs Go when that is missing: only Go knows which proxy the user has set.
///
/// # Errors
/// Why not.
pub fn within_reach(toolbox: &Toolbox) -> Result<()> {
    let scratch = temporary::folder("flowship-go-advisories-")?;
    go(toolbox, scratch.path(), &["list", "-m", MODULE]).map(|_| ())
}

/// Downloads the newest.
///
/// # Errors
/// No proxy has it, or it holds no advisory.
pub fn obtain(toolbox: &Toolbox) -> Result<Database> {
    let scratch = temporary::folder("flowship-go-advisories-")?;
    let said = go(toolbox, scratch.path(), &["mod", "download", "-json", MODULE])?;
    let Downloaded { version, dir, info } = serde_json::from_str(&said).context("go mod download -json")?;
    let Info { time } = serde_json::from_str(&files::text(&info, files::TEXT)?)
        .with_context(|| info.display().to_string())?;
    let from = dir.join(ADVISORIES);
    let mut advisories: Vec<Advisory> = Vec::new();
    for entry in fs::read_dir(&from).with_context(|| from.display().to_string())? {
        let path = entry?.path();
        let text = files::text(&path, files::TEXT)?;
        advisories.push(serde_json::from_str(&text).with_context(|| path.display().to_string())?);
    }
    if advisories.is_empty() {
        bail!("{MODULE} holds no advisory");
    }
    let folder = scratch.path().join("database");
    fs::create_dir_all(folder.join("index"))?;
    symlink(&from, folder.join("ID"))?;
    fs::write(folder.join("index/db.json"), json!({ "modified": time }).to_string())?;
    fs::write(folder.join("index/modules.json"), serde_json::to_vec(&index(&advisories, &time))?)?;
    Ok(Database {
        url: format!("file://{}", folder.display()),
        version,
        advisories: advisories.len(),
        newest: time.get(..10).unwrap_or_default().to_owned(),
        _scratch: scratch,
    })
}

impl Database {
    /// Days since its newest change.
    pub fn age_days(&self) -> u64 {
        clock::age_days(&self.newest)
    }
}

/// Whether a program was built by Go.
///
/// # Errors
/// There is no room for a temporary folder.
pub fn is_go(toolbox: &Toolbox, program: &Path) -> Result<bool> {
    let scratch = temporary::folder("flowship-go-advisories-")?;
    Ok(go(toolbox, scratch.path(), &["version".as_ref(), program.as_os_str()])
        .is_ok_and(|said| !said.is_empty()))
}

/// What the pinned Go prints; whatever it downloads is below `scratch`.
fn go<Word: AsRef<OsStr>>(toolbox: &Toolbox, scratch: &Path, words: &[Word]) -> Result<String> {
    toolbox.ensure(&[Tool::Go], progress::on_stderr().as_ref())?;
    let root = toolbox.folder(Tool::Go)?.join(go_program::ROOT);
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    let mut command = duct::cmd(toolbox.path(Program::Go)?, &words).dir(scratch);
    for (name, value) in go_program::variables(&root, scratch) {
        command = command.env(name, value);
    }
    let output = command.stdin_null().stdout_capture().stderr_capture().unchecked().run()?;
    if !output.status.success() {
        // With -json, it says why on stdout.
        let said = [output.stderr, output.stdout].concat();
        let said = String::from_utf8_lossy(&said);
        bail!(
            "go {}: {}\nset GOPROXY to a module proxy that this machine reaches",
            words.join(OsStr::new(" ")).display(),
            go_program::without_credentials(said.trim())
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}
