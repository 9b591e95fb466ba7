//! How old the secrets of an environment are, who reads them, and what is wrong with them. It changes none; values are never
//! shown.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::Result;
use serde::Serialize;
use vocabulary::model::environment::{EngineKind, Environment, SecretsIn, Tls};
use vocabulary::model::{Platform, Secret};

use super::opened::Opened;
use super::secret_server::KEYS;
use crate::deployment::metrics::{self, SecretDates};
use crate::engines::process::secret_store::{Text, Value};
use crate::engines::process::vault::{ROLES, is_changing};
use crate::engines::process::{certificate, resolve};
use foundation::clock;
use foundation::files;
use foundation::program_name::PROGRAM;

const SECONDS_OF_A_DAY: u64 = 86_400;
/// After which what a role logs in to the secret store with is replaced.
const LOGIN_DAYS: u64 = 90;
/// After which the keys that unseal it are.
const KEY_DAYS: u64 = 365;

/// One secret, as it was found.
#[derive(Debug, Serialize)]
pub struct Found {
    pub name: String,
    pub purpose: String,
    /// The services that read it.
    pub readers: Vec<String>,
    pub file: PathBuf,
    /// When its file was last written, in seconds since 1970; none when there is none.
    pub changed: Option<u64>,
    /// When it is to be replaced, in seconds since 1970.
    pub due: Option<u64>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// Where the secrets of an environment are.
pub struct Place<'a> {
    /// The folder with those that were made for it.
    pub secrets: &'a Path,
    /// What relative paths of its file begin at.
    pub site: &'a Path,
}

/// Every secret that a service of the environment reads; `now` in seconds since 1970.
pub fn audit(platform: &Platform, environment: &Environment, place: &Place<'_>, now: u64) -> Vec<Found> {
    let units = platform.units(environment);
    let found = |secret: &Secret| {
        let mut readers: Vec<String> = units
            .iter()
            .filter(|unit| unit.service.secrets.iter().any(|used| used.secret == secret.name))
            .map(|unit| unit.service.id.to_string())
            .collect();
        readers.dedup();
        if readers.is_empty() {
            return None;
        }
        let given = resolve::given(platform, environment, secret.name);
        let file = given.map_or_else(|| place.secrets.join(secret.name.0), |file| place.site.join(file));
        let (changed, due, problem) = match look(platform, secret, &file, &environment.tls) {
            Ok((changed, due, state)) => {
                let state = others_can_read(&file, environment.engine).or(state);
                (Some(changed), Some(due), state.or_else(|| overdue(due, now)))
            }
            Err(error) => (None, None, Some(format!("{error:#}"))),
        };
        let (name, purpose) = (secret.name.to_string(), secret.purpose.to_owned());
        Some(Found { name, purpose, readers, file, changed, due, problem })
    };
    platform.secrets.iter().filter_map(found).chain(of_store(environment, place, now)).collect()
}

/// What opens the secret store: what each role logs in with, and the keys that unseal it, which people have.
fn of_store(environment: &Environment, place: &Place<'_>, now: u64) -> Vec<Found> {
    let Some(folder) = place.secrets.parent().filter(|_| environment.secret_store == SecretsIn::Vault) else {
        return vec![];
    };
    let found = |(name, reader, file, days): (String, String, PathBuf, u64), state: Option<String>| {
        let changed = modified(&file).ok();
        let due = changed.map(|changed| changed + days * SECONDS_OF_A_DAY);
        let late = due.and_then(|due| overdue(due, now));
        let purpose = "opens the secret store".to_owned();
        Found { name, purpose, readers: vec![reader], file, changed, due, problem: state.or(late) }
    };
    let files = fs::read_dir(folder.join(ROLES)).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    let logins = files.into_iter().map(|file| {
        let role = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let state = match is_changing(&file) {
            Ok(false) => None,
            Ok(true) => Some(format!("its change was interrupted: run `{PROGRAM} secrets renew-logins`")),
            Err(error) => Some(format!("{error:#}")),
        };
        found((format!("login-{role}"), role, file, LOGIN_DAYS), state)
    });
    let keys = Some(folder.join(KEYS)).filter(|file| file.is_file());
    let keys = keys.map(|file| found((KEYS.to_owned(), "their holders".to_owned(), file, KEY_DAYS), None));
    logins.chain(keys).collect()
}

fn modified(file: &Path) -> Result<u64> {
    Ok(fs::metadata(file)?.modified()?.duration_since(UNIX_EPOCH)?.as_secs())
}

fn overdue(due: u64, now: u64) -> Option<String> {
    (due <= now).then(|| format!("{} days overdue", (now - due) / SECONDS_OF_A_DAY))
}

/// Leaves for the monitoring when each secret was changed and when it is due. A certificate that the edge renews by itself is
/// left out: only a handshake tells.
///
/// # Errors
/// The file cannot be written.
pub fn export(opened: &Opened) -> Result<()> {
    let (platform, environment, instance) = (opened.platform, &opened.environment, &opened.instance);
    let place = Place { secrets: &instance.secrets(), site: instance.site_folder() };
    let is_renewed =
        |name: &str| matches!(environment.tls, Tls::Acme(_)) && name == platform.edge.certificate.0;
    let found = audit(platform, environment, &place, clock::now_ms() / 1000);
    let dates: Vec<SecretDates> = found
        .into_iter()
        .filter(|found| !is_renewed(&found.name))
        .filter_map(|found| Some(SecretDates { name: found.name, changed: found.changed?, due: found.due? }))
        .collect();
    metrics::write_secrets(&instance.folder, &environment.name, &dates)
}

/// When it was written, when it is due, and what its change has come to, if that is not finished.
fn look(platform: &Platform, secret: &Secret, file: &Path, tls: &Tls) -> Result<(u64, u64, Option<String>)> {
    let written = modified(file)?;
    // A certificate says so itself.
    if secret.name == platform.edge.certificate {
        return Ok((written, certificate::due(file, tls)?, None));
    }
    let value = Value::parse(&Text::new(files::text(file, files::TEXT)?));
    let state = value.problem().map(|why| format!("{why}: run `{PROGRAM} secrets rotate` for it"));
    Ok((written, written + u64::from(secret.rotate_after_days) * SECONDS_OF_A_DAY, state))
}

/// Where every user of the machine can read a file: by its own permissions and those of all folders above it. Containers read
/// the file itself, as several users.
fn others_can_read(file: &Path, engine: EngineKind) -> Option<String> {
    const READ: u32 = 0o004;
    const ENTER: u32 = 0o001;
    let may =
        |path: &Path, bit: u32| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & bit != 0);
    let open = may(file, READ)
        && file.ancestors().skip(1).all(|folder| folder.as_os_str().is_empty() || may(folder, ENTER));
    let remedy = match (engine, file.parent()) {
        (EngineKind::Compose, Some(folder)) => format!("chmod o-x {}", folder.display()),
        _ => format!("chmod o-r {}", file.display()),
    };
    open.then(|| format!("every user can read it: `{remedy}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_open_where_every_folder_above_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, file) = (folder.path().join("inner"), folder.path().join("inner/key"));
        fs::create_dir(&inner).unwrap();
        fs::write(&file, "x").unwrap();
        let mode =
            |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (outer, inside, own, open) in [
            (0o755, 0o755, 0o644, true),
            (0o700, 0o755, 0o644, false),
            (0o755, 0o750, 0o644, false),
            (0o755, 0o755, 0o640, false),
        ] {
            mode(folder.path(), outer);
            mode(&inner, inside);
            mode(&file, own);
            let said = others_can_read(&file, EngineKind::Process);
            assert_eq!(said.is_some(), open, "{outer:o} {inside:o} {own:o}");
            let said = [said, others_can_read(&file, EngineKind::Compose)];
            let remedy = |said: &Option<String>, path: &Path| {
                said.as_ref().is_none_or(|said| said.ends_with(&format!(" {}`", path.display())))
            };
            assert!(remedy(&said[0], &file) && remedy(&said[1], &inner), "{said:?}");
        }
    }
}
