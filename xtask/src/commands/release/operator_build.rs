//! How the operator's program is built: linked statically, and the same bytes wherever its commit is built.

use std::env;
use std::env::consts::ARCH;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use vocabulary::model::Architecture;

use crate::exit::refused;
use crate::plan::action::Exec;
use crate::plan::argument::Arg;
use crate::plan::step::{Journaled, Step, StepId};

/// In the workspace's Cargo.toml.
const PROFILE: &str = "operator";
const LIMIT_MS: u64 = 3_600_000;

/// The machine that is built on, and for.
///
/// # Errors
/// Refused where no release is for such machines.
pub fn own_architecture() -> Result<Architecture> {
    Architecture::named(ARCH)
        .ok_or_else(|| refused(format!("no release is made on {ARCH}; expected x86_64 or aarch64")))
}

/// Where cargo leaves it.
pub fn built(root: &Path, architecture: Architecture) -> PathBuf {
    root.join("target").join(architecture.target()).join(PROFILE).join("xtask")
}

/// The step that builds it of the tree at `root`, which was committed at `time`.
///
/// # Errors
/// There is no home to look for cargo's folder in.
pub fn step(id: &str, root: &Path, architecture: Architecture, time: u64) -> Result<Step> {
    let target = architecture.target();
    Ok(Step {
        id: StepId::from(id),
        title: format!("build the operator's program for {target}"),
        action: crate::plan::action::Action::Exec(build(root, target, time)?),
        // Cargo knows better than a journal whether anything is to do.
        journaled: Journaled::No,
        time_limit_ms: LIMIT_MS,
        remedy: Some(format!(
            "a static program needs the C library's archive (libc6-dev) and the target: rustup target add {target}"
        )),
        ..Step::default()
    })
}

fn build(root: &Path, target: &str, time: u64) -> Result<Exec> {
    let cargo_home = match env::var_os("CARGO_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => env::home_dir().context("no home folder; set CARGO_HOME")?.join(".cargo"),
    };
    let args = ["build", "--locked", "--package", "xtask", "--bin", "xtask", "--profile", PROFILE];
    let mut args: Vec<Arg> = args.iter().map(|word| Arg::from(*word)).collect();
    args.extend(["--target".into(), Arg::from(target)]);
    args.extend(["--target-dir".into(), Arg::from(root.join("target").display().to_string())]);
    Ok(Exec {
        program: "cargo".to_owned(),
        args,
        env: [
            ("CARGO_ENCODED_RUSTFLAGS", flags(root, &cargo_home)),
            // Of C code: no path of this machine, and no time.
            (
                "CFLAGS",
                format!(
                    "-ffile-prefix-map={}=/cargo -ffile-prefix-map={}=/flowship",
                    cargo_home.display(),
                    root.display()
                ),
            ),
            ("SOURCE_DATE_EPOCH", time.to_string()),
            ("CARGO_INCREMENTAL", "0".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect(),
        cwd: Some(root.to_owned()),
        ..Exec::default()
    })
}

fn flags(root: &Path, cargo_home: &Path) -> String {
    [
        "-Ctarget-feature=+crt-static".to_owned(),
        format!("--remap-path-prefix={}=/flowship", root.display()),
        format!("--remap-path-prefix={}=/cargo", cargo_home.display()),
        "-Clink-arg=-Wl,--build-id=none".to_owned(),
    ]
    .join("\u{1f}")
}
