//! The folder of an environment's secrets, in memory where the machine can: what is read from a store then rests on no disk.
//! The folder is a link to one in a `tmpfs`; so it has the same path for everybody, and containers mount what it leads to.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{Access, CWD, RenameFlags};
use vocabulary::model::environment::SecretsIn;

use super::resolve::Resolver;
use super::secret_store::{Text, create_file};
use foundation::exit::refused;
use foundation::{digest, files};

/// Where one may be, the better first.
const PLACES: [&str; 2] = ["/run", "/dev/shm"];
/// Of a `tmpfs`, by statfs(2).
const TMPFS: u64 = 0x0102_1994;
/// When people log out, systemd removes what they have in shared memory (`RemoveIPC`), but not what the system's users have.
const FIRST_OF_PEOPLE: u32 = 1000;
/// Beside the folder in memory: whose it is.
const OWNER: &str = "of";
const NAME: &str = "secrets";

/// Makes the folder where there is none, and again after the machine was restarted. One that is on disk stays there, as an
/// earlier release or another store has made it: containers have mounted its files.
///
/// # Errors
/// It cannot be made, or somebody else has made it.
pub fn make(resolver: &Resolver<'_>) -> Result<()> {
    let folder = resolver.instance.secrets();
    let place = match fs::read_link(&folder) {
        Ok(target) => Some(ours(&target)?.to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => place(&folder),
        Err(_) => None,
    };
    let Some(place) = place else { return Ok(()) };
    let all = place.parent().context("it is in a folder")?;
    let private = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    private(all).and_then(|()| private(&place.join(NAME))).with_context(|| place.display().to_string())?;
    let found = fs::symlink_metadata(all)?;
    ensure!(
        found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0,
        "{}: it belongs to somebody else, or others can enter it; remove it",
        all.display()
    );
    files::write::whole(&place.join(OWNER), 0o600, folder.display().to_string())?;
    if !folder.is_symlink() {
        let above = folder.parent().context("it is in a folder")?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(above)?;
        symlink(place.join(NAME), &folder).with_context(|| folder.display().to_string())?;
    }
    forget_those_that_are_gone(all)?;
    // The only one that is in no store.
    let certificate = resolver.instance.secret(resolver.platform.edge.certificate);
    if let Some(pem) = files::if_there(files::text(&on_disk(&certificate), files::TEXT))? {
        create_file(&certificate, &Text::new(pem))?;
    }
    Ok(())
}

/// Whether it is in memory.
pub fn is_used(folder: &Path) -> bool {
    folder.is_symlink()
}

/// A `tmpfs` that lasts until the machine stops.
fn place(folder: &Path) -> Option<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let lasts = |path: &&&str| {
        rustix::fs::statfs(**path).is_ok_and(|found| u64::try_from(found.f_type).ok() == Some(TMPFS))
            && rustix::fs::access(**path, Access::WRITE_OK).is_ok()
    };
    let base = PLACES.iter().find(lasts).filter(|_| user < FIRST_OF_PEOPLE)?;
    let own = digest::sha256(folder.as_os_str().as_encoded_bytes());
    Some(Path::new(base).join(format!("flowship-{user}")).join(&own[..16]))
}

/// Those of environments that were removed without a word.
fn forget_those_that_are_gone(all: &Path) -> Result<()> {
    for entry in fs::read_dir(all)? {
        let place = entry?.path();
        let owner = fs::read_to_string(place.join(OWNER)).unwrap_or_default();
        if !owner.is_empty()
            && fs::symlink_metadata(&owner).is_err_and(|error| error.kind() == ErrorKind::NotFound)
        {
            fs::remove_dir_all(&place).with_context(|| place.display().to_string())?;
        }
    }
    Ok(())
}

/// Where a certificate is kept that no store has.
fn on_disk(certificate: &Path) -> PathBuf {
    let folder = certificate.parent().unwrap_or(Path::new(""));
    folder.with_file_name(certificate.file_name().unwrap_or_default())
}

/// Keeps a certificate beside the folder, where that is in memory: an authority may not issue another one soon.
///
/// # Errors
/// It cannot be written.
pub fn keep_certificate(certificate: &Path, pem: &Text) -> Result<()> {
    if certificate.parent().is_some_and(is_used) {
        files::write::whole(&on_disk(certificate), 0o600, pem.expose())?;
    }
    Ok(())
}

/// Brings the folder back to disk, where files are the only store.
///
/// # Errors
/// Refused where it was lost with a restart of the machine.
pub fn leave(resolver: &Resolver<'_>) -> Result<()> {
    let (folder, environment) = (resolver.instance.secrets(), &resolver.environment.name);
    if resolver.environment.secret_store != SecretsIn::Files || !is_used(&folder) {
        return Ok(());
    }
    let entries = fs::read_dir(&folder).map_err(|_| {
        refused(format!(
            "{}: the secrets of {environment} are in its secret store alone; expected secret_store = \"vault\" in \
             ops/environments/{environment}.toml; start it with that, then change it",
            folder.display()
        ))
    })?;
    let (beside, target) = (folder.with_file_name(".secrets"), fs::read_link(&folder)?);
    if beside.is_dir() {
        fs::remove_dir_all(&beside)?;
    }
    fs::DirBuilder::new().mode(0o700).create(&beside)?;
    for entry in entries {
        let path = entry?.path();
        let read = files::read(&path, files::TEXT)?;
        files::write::whole(
            &beside.join(path.file_name().unwrap_or_default()),
            read.mode & 0o777,
            read.bytes,
        )?;
    }
    rustix::fs::renameat_with(CWD, &beside, CWD, &folder, RenameFlags::EXCHANGE)?;
    fs::remove_file(&beside)?;
    forget(&target)
}

/// What is around a folder in memory.
fn ours(target: &Path) -> Result<&Path> {
    let user = format!("flowship-{}", rustix::process::geteuid().as_raw());
    let place = target.parent().filter(|_| target.file_name().is_some_and(|name| name == NAME));
    let all = place.and_then(Path::parent);
    let is_ours = PLACES.iter().any(|base| all == Some(&Path::new(base).join(&user)));
    place
        .filter(|_| is_ours)
        .with_context(|| format!("{}: no secrets of this user are there", target.display()))
}

/// Removes a folder in memory.
///
/// # Errors
/// It cannot be removed, or is none of this user.
pub fn forget(target: &Path) -> Result<()> {
    match fs::remove_dir_all(ours(target)?) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| target.display().to_string())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_elsewhere_is_never_followed() {
        let user = rustix::process::geteuid().as_raw();
        for (target, is_ours) in [
            (format!("/dev/shm/flowship-{user}/0123/secrets"), true),
            (format!("/run/flowship-{user}/0123/secrets"), true),
            (format!("/run/flowship-{user}/secrets"), false),
            (format!("/run/flowship-{user}/0123/other"), false),
            ("/run/flowship-x/0123/secrets".to_owned(), false),
            ("/etc/flowship/secrets".to_owned(), false),
            ("secrets".to_owned(), false),
        ] {
            assert_eq!(ours(Path::new(&target)).is_ok(), is_ours, "{target}");
        }
    }
}
