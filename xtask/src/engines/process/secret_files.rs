//! Secrets of a process platform: files that only their owner can read, made once.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use vocabulary::model::{Secret, SecretRef};

use super::instance::Unit;
use super::resolve::Resolver;

/// Makes every secret that a unit reads and that is not there; the names of those that were made.
///
/// # Errors
/// When a file cannot be written, or one that the site must give is missing.
pub fn ensure(resolver: &Resolver<'_>) -> Result<Vec<SecretRef>> {
    let mut made = Vec::new();
    for secret in &resolver.platform.secrets {
        let is_read = |unit: &&Unit<'_>| unit.service.secrets.iter().any(|used| used.secret == secret.name);
        if !resolver.units.iter().any(|unit| is_read(&unit)) {
            continue;
        }
        let path = resolver.secret_file(secret.name);
        if path != resolver.instance.secret(secret.name) {
            given(&path, secret)?;
        } else if make(&path, secret).with_context(|| format!("making {}", path.display()))? {
            made.push(secret.name);
        }
    }
    Ok(made)
}

fn given(path: &Path, secret: &Secret) -> Result<()> {
    let text = fs::read_to_string(path).map_err(|error| {
        anyhow!("{}: {error}; expected the file with {} ({})", path.display(), secret.name, secret.purpose)
    })?;
    if text.trim().is_empty() {
        return Err(anyhow!("{} is empty; expected {} ({})", path.display(), secret.name, secret.purpose));
    }
    Ok(())
}

/// Whether it was made; one that is there stays as it is.
fn make(path: &Path, secret: &Secret) -> Result<bool> {
    if path.exists() {
        return Ok(false);
    }
    let folder = path.parent().expect("a secret lies in a folder");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut random = vec![0; usize::from(secret.source.bytes())];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let value: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(beside, "{value}")?;
    beside.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
    match beside.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(raced) if raced.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(raced) => Err(raced.error.into()),
    }
}
