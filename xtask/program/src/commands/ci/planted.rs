//! Has programs find faults that were planted for them, so that it means something when they find none in the tree.

use std::fs;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, bail};

use super::lower::Planted;
use crate::context::Context;
use crate::tools::catalogue::Source;
use crate::tools::programs::of_catalogue;
use crate::tools::toolbox::{how_to_get, how_to_get_component};
use crate::tools::{NpmProject, Toolbox, versions};
use foundation::processes::describe;
use runner::plan::child::{Command, End, Inherits, Sink};
use runner::plan::mask::Outputs;
use runner::plan::perform::{StepContext, Stopped};

/// Characters of its output that are kept: the end of it is looked through.
const KEPT: usize = 1 << 20;

/// # Errors
/// Each program that does not find its fault, that cannot be run, or that is not what was installed.
pub fn find(asked: &[Planted], step: &StepContext, context: &Context, toolbox: &Toolbox) -> Result<Outputs> {
    let mut problems = Vec::new();
    for planted in asked {
        let found = one(planted, step, context, toolbox);
        let _ = fs::remove_dir_all(&planted.folder);
        match found {
            Ok(()) => {}
            Err(error) if error.is::<Stopped>() => return Err(error),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    if problems.is_empty() { Ok(Outputs::new()) } else { bail!("{}", problems.join("\n")) }
}

fn one(planted: &Planted, step: &StepContext, context: &Context, toolbox: &Toolbox) -> Result<()> {
    let name = planted.program.as_str();
    let hashes = versions::hashes(context, toolbox, [name])?;
    write(planted).with_context(|| format!("cannot write {}", planted.folder.display()))?;
    let (status, output) = match run(planted, step) {
        Err(error) if !error.is::<Stopped>() => {
            bail!("{name} does not run on this machine: {error:#}; {}", replacement(name, context, toolbox))
        }
        ended => ended?,
    };
    let finding = &planted.finding;
    let why = match (status.success(), output.contains(finding)) {
        (false, true) => {
            let sums: Vec<_> = hashes.iter().map(|(name, sum)| format!("{name} (SHA-256 {sum})")).collect();
            step.log.line(&format!("{} found the planted fault: {finding}", sums.join(" by ")));
            return Ok(());
        }
        (true, true) => "it reported the fault but exited with 0".to_owned(),
        (_, false) => {
            let last = output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
            format!("{}; its last output was: {}", describe(status), last.trim())
        }
    };
    bail!(
        "{name} did not find the planted fault (\"{finding}\"): {why}. So its results for the tree mean nothing. It is \
         {}: check with `cargo xtask doctor` whether that is the right {name}, and whether your settings turn its \
         rules off",
        planted.exec.program
    )
}

/// How another one is had.
fn replacement(name: &str, context: &Context, toolbox: &Toolbox) -> String {
    let flows = context.path("flows");
    let folder = match of_catalogue(name) {
        Ok(program) => match program.tool().entry().source {
            Source::Host { debian, fedora, .. } => return how_to_get(debian, fedora),
            Source::RustComponent { component, least } => return how_to_get_component(component, least),
            Source::Wheel { .. } | Source::GoProgram { .. } | Source::SystemPackage { .. } => {
                toolbox.folder(program.tool())
            }
        },
        Err(_) => toolbox.npm_folder(NpmProject { folder: &flows }),
    };
    match folder {
        Ok(folder) => format!("remove {}, and the next run installs it again", folder.display()),
        Err(error) => format!("{error:#}"),
    }
}

fn write(planted: &Planted) -> std::io::Result<()> {
    if planted.folder.exists() {
        fs::remove_dir_all(&planted.folder)?;
    }
    fs::create_dir_all(&planted.folder)?;
    planted.files.iter().try_for_each(|(name, text)| fs::write(planted.folder.join(name), text))
}

/// How it ended, and what it printed.
fn run(planted: &Planted, step: &StepContext) -> Result<(std::process::ExitStatus, String)> {
    let exec = &planted.exec;
    let mut argv = vec![step.resolve(&exec.program.as_str().into())?];
    argv.extend(exec.args.iter().map(|arg| step.resolve(arg)).collect::<Result<Vec<_>>>()?);
    let env = exec.env.iter().map(|(name, value)| Ok((name.clone(), step.resolve(value)?)));
    let env = env.collect::<Result<_>>()?;
    let (inherits, cwd) = (Inherits::Everything, exec.cwd.clone());
    let command = Command { argv, env, inherits, cwd, ..Command::default() };
    let printed = Arc::new(Mutex::new(String::new()));
    let (log, kept) = (Arc::clone(&step.log), Arc::clone(&printed));
    let sink: Sink = Arc::new(move |line| {
        log.line(line);
        if let Ok(mut kept) = kept.lock()
            && kept.len() < KEPT
        {
            kept.push_str(line);
            kept.push('\n');
        }
    });
    match command.start(&sink, None)?.finish(step.deadline, step.stop, step.grace)? {
        End::Exited(status) => {
            let printed = printed.lock().map(|text| text.clone()).unwrap_or_default();
            Ok((status, printed))
        }
        End::TimedOut => bail!("it exceeded its time limit"),
        End::Stopped => Err(Stopped.into()),
    }
}
