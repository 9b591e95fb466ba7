//! How the operator's binary is built: linked statically, and the same bytes wherever its commit is built.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::plan::action::Exec;
use crate::plan::argument::Arg;

/// In the workspace's Cargo.toml.
const PROFILE: &str = "operator";

/// The machine that a binary built here is for.
pub fn target(architecture: &str) -> String {
    format!("{architecture}-unknown-linux-gnu")
}

/// Where cargo leaves it.
pub fn built(root: &Path, target: &str) -> PathBuf {
    root.join("target").join(target).join(PROFILE).join("xtask")
}

/// The build.
///
/// # Errors
/// There is no home to look for cargo's folder in.
pub fn build(root: &Path, target: &str, time: u64) -> Result<Exec> {
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
