//! What gates ask of the machine and it does not have. Observes.

use std::collections::BTreeMap;

use vocabulary::model::Requirement;

use crate::commands::check;
use crate::context::Context;
use crate::engines::compose::project::name;
use crate::engines::compose::rehearsal::TARGET;
use crate::images::engine::Engine;
use crate::images::own_engine::OwnEngine;
use crate::platform::platform;
use crate::tools::{Program, Toolbox};

/// Why a gate is not run, in a few words, and what exactly was found.
pub type Absent = BTreeMap<&'static str, String>;

/// Those of the requirements that are not met; each is looked at once.
pub fn absent(context: &Context, toolbox: &Toolbox, asked: impl IntoIterator<Item = Requirement>) -> Absent {
    let mut absent = Absent::new();
    let mut seen = Vec::new();
    for requirement in asked {
        if seen.contains(&requirement) {
            continue;
        }
        seen.push(requirement);
        let found = match requirement {
            Requirement::ContainerEngine => Engine::find().and_then(|engine| engine.build().map(|_| ())),
            Requirement::OwnEngine => Engine::find().and_then(|engine| {
                OwnEngine::find(&engine, &name(platform().name, TARGET, &context.root)).map(|_| ())
            }),
            Requirement::Root if rustix::process::geteuid().is_root() => Ok(()),
            Requirement::AdvisoryDatabase => check::advisory_database_within_reach(toolbox),
            Requirement::NpmAudits => check::npm_audits_within_reach(toolbox, context),
            Requirement::Root => Err(anyhow::anyhow!("run it as root to judge everything")),
            Requirement::LlvmTools => {
                toolbox.path(Program::LlvmProfdata).and_then(|_| toolbox.path(Program::LlvmCov)).map(|_| ())
            }
            Requirement::Valgrind => toolbox.path(Program::Valgrind).map(|_| ()),
        };
        if let Err(error) = found {
            absent.insert(requirement.absent(), format!("{error:#}"));
        }
    }
    absent
}

/// The requirement of this name, as `cargo xtask ci --list --json` writes it.
///
/// # Errors
/// There is none; the message names all.
pub fn named(name: &str) -> Result<Requirement, String> {
    serde_json::from_value(name.into()).map_err(|error| error.to_string())
}
