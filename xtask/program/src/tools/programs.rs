//! The programs that services and gates name, and how each is started.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, anyhow};

use super::{Program, Tool, Toolbox};

/// A command line up to the caller's own arguments, by the program's name.
pub type Programs = BTreeMap<&'static str, Vec<String>>;

/// Programs that are part of the npm modules: their name, and their file below the modules' folder.
const IN_MODULES: [(&str, &str); 1] = [("nrlint", "nrlint/bin/nrlint.js")];

/// Programs that every system has.
const OF_THE_SYSTEM: [&str; 1] = ["sh"];

/// The name by which plans call this very program.
pub const XTASK: &str = "xtask";

/// How each of the named programs is, or will be, started.
///
/// # Errors
/// A name is unknown, or one of the user's own programs is not on PATH.
pub fn programs<'a>(
    toolbox: &Toolbox,
    root: &Path,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Programs> {
    let mut programs = Programs::new();
    let xtask = std::env::current_exe()?.display().to_string();
    // A rebuild replaces the running program; the kernel then says so behind its path.
    let xtask = xtask.strip_suffix(" (deleted)").unwrap_or(&xtask).to_owned();
    programs.insert(XTASK, vec![xtask]);
    for name in names.into_iter().collect::<BTreeSet<_>>() {
        if name == XTASK || OF_THE_SYSTEM.contains(&name) {
            continue;
        }
        if let Some((known, file)) = IN_MODULES.into_iter().find(|(known, _)| *known == name) {
            let mut argv = argv(toolbox, Program::Node)?;
            argv.push(root.join("flows/node_modules").join(file).display().to_string());
            programs.insert(known, argv);
            continue;
        }
        let program = of_catalogue(name)?;
        programs.insert(program.command(), argv(toolbox, program)?);
    }
    Ok(programs)
}

/// For what starts them by itself: the called programs on PATH, and each one's own path in `FLOWSHIP_NAME`.
pub fn called(calls: &[&str], programs: &Programs, path: &str) -> BTreeMap<String, String> {
    let called: Vec<_> =
        calls.iter().filter_map(|name| Some((*name, programs.get(name)?.first()?.as_str()))).collect();
    let mut env: BTreeMap<String, String> = called
        .iter()
        .map(|(name, file)| (format!("FLOWSHIP_{}", name.to_uppercase()), (*file).to_owned()))
        .collect();
    let folders: Vec<_> =
        called.iter().filter_map(|(_, file)| Some(Path::new(file).parent()?.display().to_string())).collect();
    if !folders.is_empty() {
        env.insert("PATH".to_owned(), format!("{}:{path}", folders.join(":")));
    }
    env
}

/// The tools that bring the named programs.
///
/// # Errors
/// A name is unknown.
pub fn tools<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Tool>> {
    let mut tools = BTreeSet::new();
    for name in names {
        if is_of_modules(name) {
            tools.insert(Tool::Node);
        } else if name != XTASK && !OF_THE_SYSTEM.contains(&name) {
            tools.insert(of_catalogue(name)?.tool());
        }
    }
    Ok(tools.into_iter().collect())
}

/// Whether it is part of the npm modules, in the package of the same name.
pub fn is_of_modules(name: &str) -> bool {
    file_in_modules(name).is_some()
}

/// The file of such a program below the modules' folder.
pub fn file_in_modules(name: &str) -> Option<&'static str> {
    IN_MODULES.iter().find_map(|(known, file)| (*known == name).then_some(*file))
}

/// The program of the catalogue that plans call so.
///
/// # Errors
/// There is none.
pub fn of_catalogue(name: &str) -> Result<Program> {
    Program::ALL
        .iter()
        .copied()
        .find(|program| program.command() == name)
        .ok_or_else(|| anyhow!("the catalogue (xtask/program/src/tools/catalogue.rs) has no program {name}"))
}

/// How a program of the catalogue is, or will be, started.
///
/// # Errors
/// It is not locked, or not on PATH.
pub fn argv_of_catalogue(toolbox: &Toolbox, program: Program) -> Result<Vec<String>> {
    argv(toolbox, program)
}

fn argv(toolbox: &Toolbox, program: Program) -> Result<Vec<String>> {
    let invocation = toolbox.planned(program)?;
    Ok(invocation.argv([] as [&str; 0]).iter().map(|part| part.to_string_lossy().into_owned()).collect())
}
