//! A platform that lives for one smoke run: free ports, its own folder, gone afterwards whatever happens.

use anyhow::Result;

use super::{Target, remove, target};
use crate::commands::dev::opened::{Opened, Wish};
use crate::commands::dev::{DEFAULT, running};
use crate::context::Context;
use crate::plan::interrupt::Interrupt;
use crate::plan::report::Outcome;
use crate::plan::show::Show;

/// # Errors
/// When the platform does not come up or go down, or as `ask` says.
pub fn run(context: &Context, interrupt: &Interrupt, ask: &dyn Fn(&Target) -> Result<()>) -> Result<()> {
    let name = format!("smoke-{}", std::process::id());
    let show = Show::on_stderr();
    let wish = Wish { environment: DEFAULT, target: &name, any_ports: true, inspect: None, engine: None };
    let opened = Opened::open(context, &wish, None)?;
    let plan = opened.plan(false, false);
    let asked = running::bring_up(context, &opened, &plan, &show, interrupt).and_then(|report| {
        if report.outcome != Outcome::Done {
            return report.into_result();
        }
        ask(&target(context, &opened.platform, &opened.instance.folder, &opened.record())?)
    });
    let down = running::bring_down(context, &name, &show, &interrupt.heeded());
    if asked.is_ok() && down.is_ok() {
        remove(&opened.instance.folder)?;
    } else {
        show.say(&format!("its logs are kept in {}", opened.instance.folder.display()));
    }
    asked.and(down)
}
