//! Takes down what a killed rehearsal, or one that was kept, has left.

use anyhow::Result;

use super::TARGET;
use crate::commands::dev::containers::clients;
use crate::commands::dev::running;
use crate::commands::killed_runs;
use crate::context::Context;
use crate::engines::compose::lower;
use crate::engines::compose::project::{self, Project};
use crate::engines::process::instance::supervisor_of;
use crate::plan::interrupt::Interrupt;
use crate::plan::lock;
use crate::plan::show::Show;
use crate::platform::platform;
use crate::tools::Toolbox;

/// Removes containers, networks, volumes, secrets and files of the rehearsal, unless one goes on.
///
/// # Errors
/// When no engine answers, or something cannot be removed.
pub fn remove(context: &Context) -> Result<()> {
    let folder = context.state().join(TARGET);
    // Its secrets are the first that a rehearsal makes, and the last that goes.
    if !folder.join(super::SECRETS).exists() || lock::holder(&lock::path_in(&folder))?.is_some() {
        return Ok(());
    }
    let clients = clients(&Toolbox::open(context)?)?;
    let whole = project::name(platform().name, TARGET, &context.root);
    for name in [super::stage::but_one(&whole), whole] {
        let project = Project {
            name,
            docker: clients.engine.client.display().to_string(),
            compose: clients.compose.clone(),
            folder: context.root.clone(),
            files: vec![],
            env_file: context.path("rendered").join(TARGET).join("compose.env"),
        };
        let plan = lower::bring_down(TARGET, supervisor_of(&folder), &project, true);
        running::take_down(context, &plan, &Show::on_stderr(), &Interrupt::listen()?)?;
    }
    killed_runs::remove(&context.path("rendered").join(TARGET))?;
    killed_runs::remove(&folder)
}
