//! An environment on another machine, which is reached over the user's own `ssh`. A deploy copies the release there and has
//! its program do the rest; other commands are run by the program that was deployed last.

mod connection;
mod delivery;
mod scripts;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use vocabulary::model::environment::{EngineKind, Environment, Host, Tier};

use crate::context::Context;
use crate::deployment::history::Entry;
use crate::deployment::{Deployed, releases};
use connection::Connection;
pub use delivery::deliver;
use foundation::exit::refused;
use foundation::files;
use foundation::interrupt::Interrupt;
use foundation::processes::host_name;
use foundation::program_name::PROGRAM;
use judges::site;
use shipping::release::description;
use shipping::release::sums::{self, Sums};

/// The machine on which an environment lives; none when it is this one.
pub fn elsewhere(environment: &Environment) -> Option<&Host> {
    let deploys = environment.tier != Tier::Development && environment.engine != EngineKind::Kubernetes;
    environment.hosts.first().filter(|host| deploys && !is_here(&host.address))
}

fn is_here(address: &str) -> bool {
    let loopback = address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    loopback || address == "localhost" || address == host_name()
}

/// The same for commands on what was deployed. An environment that was deployed to this machine is here, also when its file
/// names this machine as others do. A file that is wrong is left to the command.
pub fn of(context: &Context, name: &str) -> Option<Host> {
    if env::var_os(scripts::ON_HOST).is_some() {
        return None;
    }
    let known = site::known(context.platform);
    let environment = site::load(&context.root, name, &known).ok()?;
    let host = elsewhere(&environment)?;
    let kept = Deployed::found(name).and_then(|deployed| {
        let bytes = files::read(&deployed.site().ok()?, files::TEXT).ok()?.bytes;
        deployed.judged(context.platform, bytes).ok()
    });
    kept.is_none_or(|kept| kept.hosts != environment.hosts).then(|| host.clone())
}

/// Whether an environment is known here and not on this host.
fn is_apart(context: &Context, name: &str, host: &Host) -> bool {
    match of(context, name) {
        Some(other) => (&other.address, &other.ssh_user) != (&host.address, &host.ssh_user),
        None => site::named(&context.root, name).is_ok(),
    }
}

/// Where the environment lives on another machine: runs the command that was typed there, by the program of the release
/// that runs. `more` are further words for it.
///
/// # Errors
/// As the command there, with its exit code; or the host cannot be reached.
pub fn forwarded(context: &Context, name: &str, more: &[String]) -> Option<Result<()>> {
    let host = of(context, name)?;
    let mut words = vec![name.to_owned()];
    words.extend(for_host(env::args_os().skip(1)));
    words.extend(more.iter().cloned());
    let run = || {
        // For `--site -`; the others do not read it.
        let site = site::named(&context.root, name)?.bytes;
        Connection::to(&host).run(scripts::FORWARD, &words, &site, &Interrupt::listen()?)
    };
    Some(run())
}

/// Options that name a file of this machine: the host has a tree of its own, and is told the key itself.
const OF_HERE: [&str; 2] = ["--root", "--public-key"];

/// The words of a command without the files of this machine.
fn for_host(words: impl Iterator<Item = OsString>) -> Vec<String> {
    let mut words = words.map(|word| word.to_string_lossy().into_owned());
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if OF_HERE.contains(&word.as_str()) {
            words.next();
        } else if !word.split_once('=').is_some_and(|(name, _)| OF_HERE.contains(&name)) {
            kept.push(word);
        }
    }
    kept
}

/// What was deployed to an environment on a host, the oldest first.
///
/// # Errors
/// The host cannot be asked, or nothing was deployed.
pub fn history(host: &Host, name: &str) -> Result<Vec<Entry>> {
    let words = [name, "history", name, "--json"].map(str::to_owned);
    let said = Connection::to(host).ask(scripts::FORWARD, &words, &Interrupt::listen()?)?;
    let mut lines = said.lines();
    // What comes before the process is the greeting of a shell.
    lines.find(|line| line.trim().parse::<u32>().is_ok());
    let answer: String = lines.collect();
    serde_json::from_str(&answer).with_context(|| format!("{}: its history cannot be read", host.address))
}

/// Brings the files of the release that an environment on a host runs to this machine, if it is `expected`.
///
/// # Errors
/// Refused when it runs none, or as `expected` says; otherwise when the host cannot be reached or has other files by now.
pub fn fetch(host: &Host, name: &str, expected: &dyn Fn(&str) -> Result<()>) -> Result<TempDir> {
    let connection = Connection::to(host);
    let interrupt = Interrupt::listen()?;
    let said = connection.ask(scripts::CURRENT, &[name.to_owned()], &interrupt)?;
    let Some(id) = scripts::said(&said, "current").filter(|id| !id.is_empty()) else {
        return Err(refused(format!(
            "no release has been deployed to {name} on {}; see `{PROGRAM} history {name}`",
            host.address
        )));
    };
    expected(id)?;
    let folder = files::temporary::folder("flowship-promote-")?;
    let words = [name.to_owned(), id.to_owned()];
    connection.fetch(scripts::FETCH, &words, |archive| unpack(archive, folder.path()), &interrupt)?;
    let text = files::text(&folder.path().join(sums::FILE), files::TEXT)?;
    let files = sums::parse(&text).map_err(|problems| refused(problems.join("\n")))?;
    if !is_of(id, &files) {
        bail!(
            "{}: the installed files of {id} belong to another release; deploy {id} to {name} again from its files",
            host.address
        );
    }
    Ok(folder)
}

/// Whether these are the files of the release of that name.
fn is_of(id: &str, files: &Sums) -> bool {
    let version = id.rsplit_once('-').map_or(id, |(version, _)| version);
    files.get(&description::bundle(version)).is_some_and(|sha256| releases::id(version, sha256) == id)
}

/// Plain files only: whatever else a host sends is no release.
fn unpack(archive: impl Read, folder: &Path) -> Result<()> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry.context("the host did not send a tar archive")?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let path = entry.path()?.into_owned();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !entry.header().entry_type().is_file() || !sums::is_plain(&name) {
            bail!("the host sent {}, which is not part of a release", path.display());
        }
        let mut file = fs::File::create_new(folder.join(&name)).with_context(|| name.clone())?;
        std::io::copy(&mut entry, &mut file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_staging_and_production_on_another_machine_are_elsewhere() {
        let on = |address: &str, tier| {
            let host = Host { address: address.into(), ..Host::default() };
            let environment = Environment {
                hosts: vec![host],
                tier,
                engine: EngineKind::Process,
                ..Environment::default()
            };
            elsewhere(&environment).is_some()
        };
        for (address, tier, expected) in [
            ("one.example.com", Tier::Staging, true),
            ("10.0.0.1", Tier::Production, true),
            ("10.0.0.1", Tier::Development, false),
            ("127.0.0.1", Tier::Staging, false),
            ("::1", Tier::Staging, false),
            ("localhost", Tier::Staging, false),
        ] {
            assert_eq!(on(address, tier), expected, "{address}");
        }
    }

    #[test]
    fn files_of_this_machine_are_no_words_for_the_host() {
        let kept = |words: &[&str]| for_host(words.iter().map(OsString::from));
        assert_eq!(kept(&["--root", "/a", "status", "staging"]), ["status", "staging"]);
        assert_eq!(kept(&["status", "--root=/a", "staging", "--json"]), ["status", "staging", "--json"]);
        assert_eq!(kept(&["deploy", "a", "--public-key", "k.pub", "--public-key=k"]), ["deploy", "a"]);
    }
}
