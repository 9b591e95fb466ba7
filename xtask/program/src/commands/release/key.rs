//! `cargo xtask release key`: a new pair of keys, to sign releases and to verify them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::context::Context;
use foundation::exit::refused;
use foundation::files;
use foundation::stdout;
use shipping::release::signing;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask release key ~/keys --password-file ~/keys/password
  cargo xtask release key /run/user/1000/keys

Both files are in minisign's format. Never put the secret key into the repository; without a password, \
anybody who has the file can sign. Give the public key to operators through a different channel than the \
releases.")]
pub struct Options {
    /// The folder for release.key and release.pub, which must not exist yet
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The file with the password for the secret key; only you may be able to read it
    #[arg(long, value_name = "FILE", env = "FLOWSHIP_SIGNING_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
}

/// # Errors
/// Refused when a key is there already or the password cannot be had.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let [secret, public] = ["release.key", "release.pub"].map(|name| options.folder.join(name));
    for file in [&secret, &public] {
        if file.symlink_metadata().is_ok() {
            return Err(there(file));
        }
    }
    let keys = signing::new_keys(options.password_file.as_deref())?;
    for (file, mode, text) in
        [(&secret, 0o600, keys.secret.expose_secret()), (&public, 0o644, keys.public.as_str())]
    {
        if !files::write::new(file, mode, text)? {
            return Err(there(file));
        }
    }
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

fn there(path: &Path) -> anyhow::Error {
    refused(format!("{} already exists; a key is never replaced", path.display()))
}
