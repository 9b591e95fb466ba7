//! `cargo xtask release key`: a new pair of keys, to sign releases and to verify them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::context::Context;
use crate::exit::refused;
use crate::release::signing;
use crate::stdout;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask release key ~/keys --password-file ~/keys/password\n  cargo xtask release key /run/user/1000/keys\n\n\
                        Both are in minisign's form. The secret key never belongs into the repository; without a password, whoever \
                        has the file can sign. The public one goes to operators on another way than the releases."
)]
pub struct Options {
    /// Where release.key and release.pub go; there must be none yet
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The file with the password that the secret key gets; readable by you alone
    #[arg(long, value_name = "FILE", env = "FLOWSHIP_SIGNING_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
}

/// # Errors
/// Refused when a key is there already or the password cannot be had.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let [secret, public] = ["release.key", "release.pub"].map(|name| options.folder.join(name));
    for file in [&secret, &public] {
        if file.symlink_metadata().is_ok() {
            return Err(refused(format!("{}: is there already; a key is never replaced", file.display())));
        }
    }
    let keys = signing::new_keys(options.password_file.as_deref())?;
    fs::create_dir_all(&options.folder).with_context(|| options.folder.display().to_string())?;
    put(&secret, 0o600, &keys.secret)?;
    put(&public, 0o644, &keys.public)?;
    if context.json {
        return stdout::json(&json!({ "secret": secret, "public": public, "public_key": keys.line }));
    }
    stdout::text(&format!(
        "secret  {}\npublic  {}\n        {}\n",
        secret.display(),
        public.display(),
        keys.line
    ))
}

fn put(path: &Path, mode: u32, text: &str) -> Result<()> {
    let write = || -> Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
