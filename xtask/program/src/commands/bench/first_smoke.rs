//! From nothing running to a proven platform, beside the least that a Node-RED can do: answer one request.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::sample::{Figure, figure, times};
use crate::context::Context;
use crate::session::opened::{OpenOptions, Opened};
use crate::session::servers::{self, Editor};
use crate::session::{running, smoke};
use crate::tools::{NpmProject, programs, progress};
use foundation::files::remove;
use foundation::interrupt::Interrupt;
use runner::plan::register;
use runner::plan::report::Outcome;
use runner::plan::show::{OutputStyle, Show};

pub fn measure(context: &Context, runs: usize, interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let name = register::own("bench");
    let show = Show::to(OutputStyle::Plain, Box::new(std::io::sink()));
    let opened = Opened::open(context, &OpenOptions::private(&name), None)?;
    let progress = progress::on_stderr();
    opened.toolbox.ensure(&programs::tools(opened.program_names())?, progress.as_ref())?;
    opened.toolbox.npm_modules(NpmProject { folder: &context.path("flows") }, progress.as_ref())?;
    let down = || running::bring_down(context, &name, &show, &interrupt.heeded());
    let up = || -> Result<()> {
        let report = running::bring_up(context, &opened, &opened.plan(), &show, interrupt)?;
        if report.outcome != Outcome::Done {
            let errors: Vec<_> = report.steps.iter().filter_map(|step| step.error.as_deref()).collect();
            bail!("the platform does not start: {}", errors.join("; "));
        }
        smoke::target(&opened)?.prove(opened.platform, &|| interrupt.raised()).map(drop)
    };
    let clear = || remove(&opened.instance.folder.join("data"));
    let measured = (|| {
        let mut first = Vec::new();
        let mut again = Vec::new();
        // One round that is not counted, as for every other figure.
        for round in 0..=runs {
            for times in [&mut first, &mut again] {
                let begun = Instant::now();
                up()?;
                if round > 0 {
                    times.push(begun.elapsed());
                }
                down()?;
            }
            clear()?;
        }
        Ok::<_, anyhow::Error>((first, again))
    })();
    down()?;
    remove(&opened.instance.folder)?;
    let (first, again) = measured?;
    let bare = figure("bare Node-RED to its first 200", &bare_node_red(&opened, runs)?, None);
    let first = figure("dev to five passed checks, empty data", &first, Some(&bare));
    let again = figure("dev to five passed checks, data there", &again, Some(&bare));
    Ok(vec![bare, first, again])
}

/// The same Node-RED with one flow that answers, and nothing else.
fn bare_node_red(opened: &Opened, runs: usize) -> Result<Vec<Duration>> {
    times(runs, &mut || servers::bare(&opened.toolbox, &opened.instance.root, Editor::AsInstalled)?.answers())
}
