//! Programs that a system has as a package: the user's own where it is new enough; otherwise the package is unpacked into
//! the cache, without root and without a change of the system. Observes; what unpacks is [`super::install`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
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
        return format!("{package}-debian-{suite}-{}-{START}", std::env::consts::ARCH);
    }
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let release: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let word = |name| release.get(name).map_or("unknown", |value| value.trim_matches('"'));
    format!("{package}-{}-{}-{}", word("ID"), word("VERSION_ID"), std::env::consts::ARCH)
}

/// Starts the program of a suite, in its folder.
const START: &str = "start";

/// How a program of an unpacked package is started: with the libraries that came with it, also when it starts itself again.
pub fn invocation(folder: &Path, file: &str, suite: Option<&str>) -> Invocation {
    if suite.is_some() {
        return Invocation { program: folder.join(START), args: vec![] };
    }
    let libraries = libraries().map(|below| folder.join(below).display().to_string());
    let args = [OsString::from(format!("LD_LIBRARY_PATH={}", libraries.join(":"))), folder.join(file).into()];
    Invocation { program: "/usr/bin/env".into(), args: args.into() }
}

/// Where an unpacked package has its libraries.
fn libraries() -> [String; 2] {
    ["usr/lib", "lib"].map(|below| format!("{below}/{}-linux-gnu", std::env::consts::ARCH))
}

/// Writes what starts a program of a suite. It runs with the C library that came with it, and so by that library's loader.
///
/// # Errors
/// The folder cannot be written.
pub fn write_start(folder: &Path, file: &str) -> io::Result<()> {
    let loader = match std::env::consts::ARCH {
        "aarch64" => "ld-linux-aarch64.so.1",
        _ => "ld-linux-x86-64.so.2",
    };
    let [own, other] = libraries();
    let script = format!(
        "#!/bin/sh\nfolder=$(dirname \"$0\")\nexec \"$folder/{own}/{loader}\" --argv0 \"$0\" --library-path \
         \"$folder/{own}:$folder/{other}\" \"$folder/{file}\" \"$@\"\n"
    );
    fs::write(folder.join(START), script)?;
    fs::set_permissions(folder.join(START), fs::Permissions::from_mode(0o755))
}
