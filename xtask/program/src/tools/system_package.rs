//! Programs that a system has as a package: the user's own where it is new enough; otherwise the package is unpacked into
//! the cache, without root and without a change of the system. Observes; what unpacks is [`super::install`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::toolbox::Invocation;
use super::version;

/// `sh -c SCRIPT unpack_package.sh PACKAGE FOLDER WORK [SUITE]`
pub const SCRIPT: &str = include_str!("unpack_package.sh");

/// What the script calls.
const NEEDED: [&str; 2] = ["apt-get", "dpkg-deb"];

/// Folders of programs that the PATH of anybody but root lacks on some systems.
const BESIDE_PATH: &str = ":/usr/local/sbin:/usr/sbin";

/// The user's own, where its version is at least this.
pub fn own(name: &str, arguments: &[&str], least: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default() + BESIDE_PATH;
    let mut found = which::which_in_all(name, Some(path), "/").ok()?;
    found.find(|file| new_enough(&Invocation { program: file.clone(), args: vec![] }.argv(arguments), least))
}

/// Whether a command runs and prints a version that is at least this.
pub fn new_enough(argv: &[OsString], least: &str) -> bool {
    let said = duct::cmd(&argv[0], &argv[1..]).stdin_null().stderr_null().read().unwrap_or_default();
    version::printed(&said).is_some_and(|found| version::at_least(found, least))
}

/// Whether packages can be unpacked here.
pub fn can_unpack() -> bool {
    NEEDED.iter().all(|program| which::which(program).is_ok())
}

/// The name of the folder in the cache: another release of the system has other packages.
pub fn key(package: &str, suite: Option<&str>) -> String {
    if let Some(suite) = suite {
        return format!("{package}-debian-{suite}-{}", std::env::consts::ARCH);
    }
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let release: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let word = |name| release.get(name).map_or("unknown", |value| value.trim_matches('"'));
    format!("{package}-{}-{}-{}", word("ID"), word("VERSION_ID"), std::env::consts::ARCH)
}

/// How a program of an unpacked package is started: with the libraries that came with it. They stay in force when it
/// starts itself again; where its C library came with it, too, it must not do that.
pub fn invocation(folder: &Path, file: &str, suite: Option<&str>) -> Invocation {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let libraries = ["usr/lib", "lib"].map(|below| folder.join(below).join(&triplet).display().to_string());
    if suite.is_some() {
        let loader = match std::env::consts::ARCH {
            "aarch64" => "ld-linux-aarch64.so.1",
            _ => "ld-linux-x86-64.so.2",
        };
        let args = ["--library-path".into(), libraries.join(":").into(), folder.join(file).into()];
        return Invocation { program: folder.join("usr/lib").join(&triplet).join(loader), args: args.into() };
    }
    let args = [OsString::from(format!("LD_LIBRARY_PATH={}", libraries.join(":"))), folder.join(file).into()];
    Invocation { program: "/usr/bin/env".into(), args: args.into() }
}
