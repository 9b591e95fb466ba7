//! Which programs a gate would be carried out with: their versions, and the locks they come from. Observes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::inputs;
use crate::commands::dev::programs::{XTASK, is_of_modules, of_catalogue};
use crate::context::Context;
use crate::plan::clock::now_ms;
use crate::tools::catalogue::Source;
use crate::tools::{NpmProject, Program, Toolbox, version};

/// One program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As people know it.
    pub version: String,
    /// Also tells two builds of one version apart.
    pub exact: String,
}

impl Version {
    fn unknown() -> Self {
        Self { version: "unknown".to_owned(), exact: format!("unknown at {}", now_ms()) }
    }
}

/// By the name that gates know a program by.
pub type Versions = BTreeMap<String, Version>;

/// The version of each of the named programs, and of the compiler where one of them is cargo. One that cannot be asked is
/// another each time: nothing rests on it.
pub fn observe<'a>(
    context: &Context,
    toolbox: &Toolbox,
    names: impl IntoIterator<Item = &'a str>,
) -> Versions {
    let mut versions = Versions::new();
    for name in names {
        if versions.contains_key(name) {
            continue;
        }
        let found = one(context, toolbox, name).unwrap_or_else(|_| Some(Version::unknown()));
        versions.extend(found.map(|found| (name.to_owned(), found)));
        if name == "cargo" {
            let found = printed(context, "rustc", &["-vV"]).unwrap_or_else(|_| Version::unknown());
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
        Source::Wheel { .. } => Version {
            version: toolbox.locked_version(program.tool())?.to_owned(),
            exact: toolbox.wheel_folder(program.tool())?.display().to_string(),
        },
        Source::Host { .. } | Source::RustComponent { .. } => of_the_host(context, toolbox, program)?,
    }))
}

fn of_the_host(context: &Context, toolbox: &Toolbox, program: Program) -> Result<Version> {
    let path = toolbox.path(program)?.display().to_string();
    printed(context, &path, program.location().version)
}

/// Asked in the tree: which toolchain answers may depend on it.
fn printed(context: &Context, program: &str, arguments: &[&str]) -> Result<Version> {
    let text = duct::cmd(program, arguments)
        .dir(&context.root)
        .stdin_null()
        .stderr_capture()
        .read()
        .with_context(|| format!("{program} does not tell its version"))?;
    let version = version::printed(&text).or(text.lines().next()).unwrap_or_default().to_owned();
    Ok(Version { version, exact: text })
}

/// This very program: its version says nothing of what it does.
fn this_program() -> Result<Version> {
    let exact =
        inputs::of_file(Path::new("/proc/self/exe")).context("cannot read this program's own file")?;
    Ok(Version { version: env!("CARGO_PKG_VERSION").to_owned(), exact })
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
    })
}
