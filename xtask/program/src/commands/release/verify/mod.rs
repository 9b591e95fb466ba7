//! `cargo xtask release verify`: sees that the files of a release are what was released, before anything is unpacked.

mod images;
mod programs;
mod rebuild;

use std::path::{Path, PathBuf};

use anyhow::Result;
use semver::Version;
use serde_json::json;

use super::FOLDER;
use crate::context::Context;
use foundation::clock::utc;
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::stdout;
use shipping::release::description::{self, Release};
use shipping::release::judge::{self, Trust, Verdict};
use shipping::release::signing;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask release verify --public-key release.pub
  cargo xtask release verify DOWNLOADS --public-key release.pub --installed 1.3.0
  cargo xtask release verify DOWNLOADS/flowship-1.4.0-bundle.tar.gz --public-key release.pub
  cargo xtask release verify DOWNLOADS --public-key release.pub --rebuild

Get the key through a different channel than the release.
Exit code 0 when everything is as released, 1 when something is not, 2 when the release cannot be checked.")]
pub struct Options {
    /// The folder with the release's files, or one of them [default: target/release-artifacts]
    #[arg(value_name = "DIR|FILE")]
    what: Option<PathBuf>,
    /// A key to trust: a minisign public key file, or its line that begins with RW; several, with commas between, while a new one takes over
    #[arg(long, value_name = "KEY", env = "FLOWSHIP_PUBLIC_KEY", value_delimiter = ',')]
    public_key: Vec<String>,
    /// Check everything except who made the release, even if a key is given; for `release package --unsigned`
    #[arg(long)]
    unsigned: bool,
    /// The installed version, or its release.json; an older release is refused
    #[arg(long, value_name = "VERSION|FILE")]
    installed: Option<String>,
    /// Build the release again in another folder and environment, and compare the bytes
    #[arg(long)]
    rebuild: bool,
    /// The operator's binary for that, instead of building it: for tests
    #[arg(long, value_name = "FILE", hide = true, requires = "rebuild")]
    operator_binary: Option<PathBuf>,
}

impl Options {
    /// Whether the release is built again.
    pub fn rebuild(&self) -> bool {
        self.rebuild
    }
}

/// # Errors
/// Reported when something is not what was released; refused when there is nothing to verify or nobody to trust.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let what = options.what.clone().unwrap_or_else(|| context.path(FOLDER));
    let (folder, only) = place(&what)?;
    if options.rebuild && only.is_some() {
        return Err(refused("--rebuild compares a whole release: pass its folder"));
    }
    let trust = Trust { keys: keys(context, options)?, installed: installed(options.installed.as_deref())? };
    let verdict = judge::release(&folder, only.as_deref(), &trust, &utc)?;
    let mut rebuilt = None;
    let good = verdict.is_good();
    if !context.json {
        stdout::text(&table(&verdict))?;
    }
    if let (true, true, Some(manifest), Some(statement)) =
        (options.rebuild, good, &verdict.manifest, &verdict.statement)
    {
        let found =
            rebuild::rebuild(context, &folder, manifest, statement, options.operator_binary.as_deref())?;
        if !context.json {
            stdout::text(&found.text())?;
        }
        rebuilt = Some(found);
    }
    let good = good && rebuilt.as_ref().is_none_or(rebuild::Rebuilt::is_good);
    if context.json {
        stdout::json(
            &json!({ "folder": folder, "good": good, "checks": verdict.checks, "rebuild": rebuilt }),
        )?;
    }
    if good { Ok(()) } else { Err(Reported.into()) }
}

/// The folder, and the one file of it that is meant.
fn place(what: &Path) -> Result<(PathBuf, Option<String>)> {
    if what.is_dir() {
        return Ok((what.to_owned(), None));
    }
    let Some(name) = what.file_name().filter(|_| what.is_file()) else {
        return Err(refused(format!(
            "{}: no such folder or file; expected the files of a release, as `cargo xtask release package` writes them",
            what.display()
        )));
    };
    let folder = what.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder.to_owned(), Some(name.to_string_lossy().into_owned())))
}

fn keys(context: &Context, options: &Options) -> Result<Option<Vec<minisign::PublicKey>>> {
    if options.unsigned {
        Ok(None)
    } else {
        signing::trusted(&context.platform.release.public_keys, &options.public_key).map(Some)
    }
}

fn installed(given: Option<&str>) -> Result<Option<Version>> {
    let Some(given) = given else { return Ok(None) };
    if let Ok(version) = Version::parse(given) {
        return Ok(Some(version));
    }
    let text = files::text(Path::new(given), files::TEXT).map_err(|error| {
        refused(format!("--installed: {error}; expected a version such as 1.2.0, or a {}", description::FILE))
    })?;
    let refuse =
        |problem: String| refused(format!("--installed {given}: no {}: {problem}", description::FILE));
    let release = Release::parse(&text).map_err(refuse)?;
    Version::parse(&release.version).map(Some).map_err(|error| refuse(error.to_string()))
}

/// For people.
pub fn table(verdict: &Verdict) -> String {
    let mut text = String::new();
    for check in &verdict.checks {
        if check.problems.is_empty() {
            let mark = if check.open { "-" } else { "✓" };
            let note = check.note.as_ref().map_or(String::new(), |note| format!(": {note}"));
            text.push_str(&format!("{mark} {}{note}\n", check.what));
        }
        for problem in &check.problems {
            text.push_str(&format!("✗ {}: {problem}\n", check.what));
        }
    }
    if !verdict.is_good() {
        text.push_str("do not use it\n");
    }
    text
}
