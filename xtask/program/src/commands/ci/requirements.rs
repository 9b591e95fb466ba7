//! What gates ask of the machine and it does not have. Observes.

use std::collections::BTreeMap;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use vocabulary::model::Requirement;

use crate::context::Context;
use crate::engines::compose::project::name;
use crate::engines::compose::rehearsal::TARGET;
use crate::images::engine::Engine;
use crate::images::own_engine::OwnEngine;
use crate::judging::{advisory_database, go_database, npm_audit};
use crate::tools::{Program, Tool, Toolbox, progress};

/// Why a gate is not run, in a few words, and what exactly was found.
pub type Absent = BTreeMap<&'static str, String>;

/// Those of the requirements that are not met; each is looked at once, all at the same time: some ask the network.
pub fn absent(context: &Context, toolbox: &Toolbox, asked: impl IntoIterator<Item = Requirement>) -> Absent {
    let mut once: Vec<Requirement> = Vec::new();
    for requirement in asked {
        if !once.contains(&requirement) {
            once.push(requirement);
        }
    }
    thread::scope(|scope| {
        let looks = once
            .into_iter()
            .map(|requirement| (requirement, scope.spawn(move || look(context, toolbox, requirement))));
        // All of them start before the first is waited for.
        let looks: Vec<_> = looks.collect();
        let found = looks.into_iter().map(|(requirement, look)| {
            let found =
                look.join().unwrap_or_else(|_| Err(anyhow!("a bug in this program: the check panicked")));
            (requirement, found)
        });
        found.filter_map(|(one, found)| Some((one.absent(), format!("{:#}", found.err()?)))).collect()
    })
}

fn look(context: &Context, toolbox: &Toolbox, requirement: Requirement) -> Result<()> {
    match requirement {
        Requirement::ContainerEngine => Engine::find().and_then(|engine| engine.build().map(|_| ())),
        Requirement::OwnEngine => Engine::find().and_then(|engine| {
            OwnEngine::find(&engine, &name(context.platform.name, TARGET, &context.root)).map(|_| ())
        }),
        Requirement::Root if rustix::process::geteuid().is_root() => Ok(()),
        Requirement::Root => Err(anyhow!("run it as root, such as with sudo")),
        Requirement::AdvisoryDatabase => advisory_database::within_reach(toolbox),
        Requirement::NpmAudits => npm_audit::within_reach(toolbox, context).context(
            "configure npm with a registry that answers `npm audit`, such as registry.npmjs.org (`npm config set \
             registry`)",
        ),
        Requirement::GoAdvisories => go_database::within_reach(toolbox),
        Requirement::LlvmTools => {
            toolbox.path(Program::LlvmProfdata).and_then(|_| toolbox.path(Program::LlvmCov)).map(|_| ())
        }
        Requirement::Valgrind => toolbox.path(Program::Valgrind).map(|_| ()),
        Requirement::NewerHaproxy => toolbox.ensure(&[Tool::HaproxyNext], progress::on_stderr().as_ref()),
        Requirement::Browser => toolbox.path(Program::Chromium).map(|_| ()),
    }
}

/// The requirement of this name, as `cargo xtask ci --list --json` writes it.
///
/// # Errors
/// There is none; the message names all.
pub fn named(name: &str) -> Result<Requirement, String> {
    serde_json::from_value(name.into()).map_err(|error| error.to_string())
}
