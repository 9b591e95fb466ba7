//! Secrets of a process platform: files that only their owner can read, made once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use vocabulary::model::environment::{EngineKind, SecretsIn, Tier};
use vocabulary::model::{Secret, SecretRef, Unit};

use super::certificate;
use super::resolve::Resolver;
use super::secret_memory;
use super::secret_store::{self, Text};
use foundation::exit::refused;

/// Makes every secret that a unit reads and that is not there; the names of those that were made. Those that the site
/// gives are left to [`given`].
///
/// # Errors
/// When a file cannot be written.
pub fn ensure(resolver: &Resolver<'_>) -> Result<Vec<SecretRef>> {
    secret_memory::leave(resolver)?;
    let store = secret_store::of(resolver)?;
    let mut made = Vec::new();
    for secret in read(resolver) {
        let is_certificate = secret.name == resolver.platform.edge.certificate;
        if resolver.environment.secret_store == SecretsIn::Vault && !is_certificate {
            continue;
        }
        if channel(resolver, secret.name).is_some() {
            continue;
        }
        let path = resolver.secret_file(secret.name);
        if path != resolver.instance.secret(secret.name) {
            continue;
        }
        let is_new = if is_certificate {
            certificate::ensure(&path, resolver.environment, resolver.instance.site_folder())
        } else if store.read(secret.name)?.is_some() {
            Ok(false)
        } else {
            store.create(secret.name, &generated(secret)?)
        };
        if is_new.with_context(|| format!("making {}", path.display()))? {
            made.push(secret.name);
        }
    }
    Ok(made)
}

/// Where services run in containers, as several users, they read the files, which the engine mounts one by one; the folder that
/// only its owner can enter keeps everybody else out.
///
/// # Errors
/// When permissions cannot be changed.
pub fn open_to_containers(resolver: &Resolver<'_>) -> Result<()> {
    if resolver.environment.engine == EngineKind::Process {
        return Ok(());
    }
    for secret in read(resolver) {
        let path = resolver.secret_file(secret.name);
        let is_unused = channel(resolver, secret.name) == Some(None) && !path.exists();
        if path == resolver.instance.secret(secret.name) && !is_unused {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
                .with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Whether a secret opens a channel to people: outside development none is made, because it would only look like one. With the
/// setting that needs it, where one does.
fn channel(resolver: &Resolver<'_>, secret: SecretRef) -> Option<Option<&'static str>> {
    if resolver.environment.tier == Tier::Development {
        return None;
    }
    let channels = resolver.platform.monitoring?.channels(resolver.environment);
    channels.into_iter().find(|(name, _)| *name == secret).map(|(_, setting)| setting)
}

/// Looks at the files that the site must give.
///
/// # Errors
/// Refused when one is missing or empty: the error names it and the setting that names it.
pub fn given(resolver: &Resolver<'_>) -> Result<()> {
    let mut wrong: Vec<String> = read(resolver)
        .filter_map(|secret| {
            let path = resolver.secret_file(secret.name);
            if path == resolver.instance.secret(secret.name) {
                return None;
            }
            let wrong = match fs::read_to_string(&path) {
                Ok(text) if !text.trim().is_empty() => return None,
                Ok(_) => "it is empty".to_owned(),
                Err(error) => error.to_string(),
            };
            Some(format!(
                "{}: {wrong}; api_key_file under [llm] in ops/environments/{}.toml names it: expected the file with \
                 {}, the {}",
                path.display(),
                resolver.environment.name,
                secret.name,
                secret.purpose
            ))
        })
        .collect();
    let in_files = resolver.environment.secret_store == SecretsIn::Files;
    wrong.extend(read(resolver).filter(|_| in_files).filter_map(|secret| {
        let setting = channel(resolver, secret.name)??;
        let path = resolver.secret_file(secret.name);
        let is_given = fs::read_to_string(&path).is_ok_and(|text| !text.trim().is_empty());
        (!is_given).then(|| {
            format!(
                "{}: missing or empty; {setting} in ops/environments/{}.toml needs it: write {} into the file ({})",
                path.display(),
                resolver.environment.name,
                secret.name,
                secret.purpose
            )
        })
    }));
    if read(resolver).any(|secret| secret.name == resolver.platform.edge.certificate) {
        wrong.extend(certificate::problem(resolver.environment, resolver.instance.site_folder()));
    }
    if wrong.is_empty() { Ok(()) } else { Err(refused(wrong.join("\n"))) }
}

/// The secrets that a unit reads.
fn read<'a>(resolver: &'a Resolver<'_>) -> impl Iterator<Item = &'a Secret> {
    let is_read =
        |unit: &Unit<'_>, secret: &Secret| unit.service.secrets.iter().any(|used| used.secret == secret.name);
    let secrets = resolver.platform.secrets.iter();
    secrets.filter(move |secret| resolver.units.iter().any(|unit| is_read(unit, secret)))
}

/// Those that are kept for the environment: not what the site gives, nor the edge's certificate, which has its own sources.
pub fn kept<'a>(resolver: &'a Resolver<'_>) -> impl Iterator<Item = &'a Secret> {
    let is_own =
        |secret: &&Secret| resolver.secret_file(secret.name) == resolver.instance.secret(secret.name);
    let certificate = resolver.platform.edge.certificate;
    read(resolver).filter(move |secret| is_own(secret) && secret.name != certificate)
}

/// Whether it was made; one that is there stays as it is.
pub fn make(path: &Path, secret: &Secret) -> Result<bool> {
    secret_store::create_file(path, &generated(secret)?)
}

pub(super) fn generated(secret: &Secret) -> Result<Text> {
    Ok(Text::new(Text::random(secret.source.bytes())?.expose().to_owned() + "\n"))
}
