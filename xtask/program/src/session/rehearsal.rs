//! Names of the rehearsals of production stacks, and the removal of what they left.

use anyhow::Result;

use super::running;
use crate::context::Context;
use crate::engines::compose::lower;
use crate::engines::compose::observe::clients;
use crate::engines::compose::project::{self, Project};
pub use crate::engines::compose::rehearsal::TARGET;
use crate::engines::process::instance::supervisor_of;
use crate::tools::Toolbox;
use foundation::files;
use foundation::interrupt::Interrupt;
use runner::plan::lock;
use runner::plan::show::Show;

/// The names of the rehearsals' evidence records.
pub const REHEARSALS: [&str; 1] = [COMPOSE];
/// That of the stack in containers on one host.
pub const COMPOSE: &str = "compose";
/// The folder of the secrets, below the rehearsal's own.
pub const SECRETS: &str = "secrets";

/// The name of the project in which one secret is missing.
pub fn but_one(project: &str) -> String {
    format!("{project}-but-one")
}

/// Removes containers, networks, volumes, secrets and files of the rehearsal, unless one is running.
///
/// # Errors
/// When no engine answers, or something cannot be removed.
pub fn remove(context: &Context) -> Result<()> {
    let folder = context.state().join(TARGET);
    // A rehearsal creates its secrets first and removes them last.
    if !folder.join(SECRETS).exists() || lock::holder(&lock::path_in(&folder))?.is_some() {
        return Ok(());
    }
    let clients = clients(&Toolbox::open(context)?, true)?;
    let whole = project::name(context.platform.name, TARGET, &context.root);
    for name in [but_one(&whole), whole] {
        let project = Project {
            name,
            docker: clients.engine.client.display().to_string(),
            compose: clients.compose.clone(),
            ..Project::default()
        };
        let plan = lower::bring_down(vec![], TARGET, supervisor_of(&folder), &project, true);
        running::take_down(context, &plan, &Show::on_stderr(), &Interrupt::listen()?)?;
    }
    files::remove(&context.path("rendered").join(TARGET))?;
    files::remove(&folder)
}
