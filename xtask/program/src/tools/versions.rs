//! Which programs a gate would be carried out with: their versions, and the locks they come from. Observes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::catalogue::Source;
use super::programs::{XTASK, file_in_modules, is_of_modules, of_catalogue};
use super::{NpmProject, Program, State, Toolbox, version};
use crate::context::Context;
use foundation::digest;
use runner::evidence::basis::{self, Basis, Version, Versions};
use runner::evidence::tree::Tree;

/// What a pass of now would rest on, with the versions of these programs.
///
/// # Errors
/// When the tree cannot be read.
pub fn basis<'a>(
    context: &Context,
    toolbox: &Toolbox,
    programs: impl IntoIterator<Item = &'a str>,
) -> Result<Basis> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(Basis {
        tree: Tree::observe(&context.root)?,
        versions: observe(context, toolbox, programs),
        environment: basis::environment(variables),
    })
}

/// The version of each of the named programs, and of the compiler where one of them is cargo. One that cannot be asked is
/// another each time: nothing rests on it.
fn observe<'a>(context: &Context, toolbox: &Toolbox, names: impl IntoIterator<Item = &'a str>) -> Versions {
    let mut versions = Versions::new();
    for name in names {
        if versions.contains_key(name) {
            continue;
        }
        let found = one(context, toolbox, name).unwrap_or_else(|_| Some(Version::unknown()));
        versions.extend(found.map(|found| (name.to_owned(), found)));
        if name == "cargo" {
            let found = printed(context, &["rustc", "-vV"].map(OsString::from))
                .unwrap_or_else(|_| Version::unknown());
            versions.insert("rustc".to_owned(), found);
        }
    }
    versions
}

/// None for what every system has.
fn one(context: &Context, toolbox: &Toolbox, name: &str) -> Result<Option<Version>> {
    if name == XTASK {
        return this_program().map(Some);
    }
    if is_of_modules(name) {
        return module(context, toolbox, name).map(Some);
    }
    let Ok(program) = of_catalogue(name) else { return Ok(None) };
    Ok(Some(match program.tool().entry().source {
        Source::Wheel { .. } | Source::GoProgram { .. } => Version {
            version: toolbox.locked_version(program.tool())?,
            exact: toolbox.folder(program.tool())?.display().to_string(),
            sha256: None,
        },
        Source::Host { .. } | Source::SystemPackage { .. } | Source::RustComponent { .. } => {
            of_the_host(context, toolbox, program)?
        }
    }))
}

fn of_the_host(context: &Context, toolbox: &Toolbox, program: Program) -> Result<Version> {
    let argv = toolbox.invocation(program)?.argv(program.location().version);
    let sha256 = toolbox.sha256(program)?;
    let Version { version, exact, .. } = printed(context, &argv)?;
    Ok(Version { version, exact: format!("{exact}{sha256}"), sha256: Some(sha256) })
}

/// SHA-256 in lower-case hexadecimal of the file of each of the named programs, and of what interprets it, by name. What is
/// in the cache is compared with what was installed. Not of this very program, nor of what every system has.
///
/// # Errors
/// One is not there, cannot be read, or is not what was installed.
pub fn hashes<'a>(
    context: &Context,
    toolbox: &Toolbox,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    let mut programs = Vec::new();
    for name in names {
        if let Some(file) = file_in_modules(name) {
            let folder = toolbox.npm_folder(NpmProject { folder: &context.path("flows") })?;
            intact("the npm modules", toolbox.modules_state(&folder))?;
            hashes.insert(name.to_owned(), toolbox.sha256_of_module(&folder, file)?);
            programs.push(Program::Node);
        } else if let Ok(program) = of_catalogue(name) {
            programs.extend([program].into_iter().chain(program.location().interpreter));
        }
    }
    for program in programs {
        if program.tool().installs() && toolbox.own(program).is_none() {
            intact(program.command(), toolbox.state(program.tool())?)?;
        }
        hashes.insert(program.command().to_owned(), toolbox.sha256(program)?);
    }
    Ok(hashes)
}

fn intact(name: &str, state: State) -> Result<()> {
    let how = match state {
        State::Whole => return Ok(()),
        State::Absent => "it is not installed".to_owned(),
        State::Unlisted => "there is no list of installed files".to_owned(),
        State::Changed(how) => how,
    };
    bail!("{name}: {how}; run the command again to install it again")
}

/// Asked in the tree: which toolchain answers may depend on it.
fn printed(context: &Context, argv: &[OsString]) -> Result<Version> {
    let text = duct::cmd(&argv[0], &argv[1..])
        .dir(&context.root)
        .stdin_null()
        .stderr_capture()
        .read()
        .with_context(|| format!("{} does not print its version", argv[0].display()))?;
    let version = version::printed(&text).or(text.lines().next()).unwrap_or_default().to_owned();
    Ok(Version { version, exact: text, sha256: None })
}

/// This very program: its version says nothing of what it does.
fn this_program() -> Result<Version> {
    let own = fs::File::open("/proc/self/exe").and_then(|file| digest::copy(file, std::io::sink()));
    let exact = own.context("cannot read this program's own file")?.sha256;
    Ok(Version { version: env!("CARGO_PKG_VERSION").to_owned(), sha256: Some(exact.clone()), exact })
}

/// A package of the flows' modules: the lock says its version, and the folder's name is of the whole lock.
fn module(context: &Context, toolbox: &Toolbox, package: &str) -> Result<Version> {
    const LOCK: &str = "flows/package-lock.json";
    let text = fs::read_to_string(context.path(LOCK)).with_context(|| format!("cannot read {LOCK}"))?;
    let lock: Value = serde_json::from_str(&text).with_context(|| format!("{LOCK} is no JSON"))?;
    let version = lock["packages"][format!("node_modules/{package}")]["version"].as_str();
    let folder = toolbox.npm_folder(NpmProject { folder: &context.path("flows") })?;
    Ok(Version {
        version: version.with_context(|| format!("{LOCK} holds no {package}"))?.to_owned(),
        exact: folder.display().to_string(),
        sha256: None,
    })
}
