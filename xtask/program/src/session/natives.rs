//! The native actions of a plan: steps that this process performs itself, because no program does.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use vocabulary::problem::Problem;

use super::fetched_certificate;
use super::opened::Opened;
use super::rolling;
use super::rotating;
use crate::engines::compose::deployed;
use crate::engines::process::instance::held_in;
use crate::engines::process::lower::{BringUp, Prepare, store, store_certificate};
use crate::engines::process::{certificate, secret_files, vault};
use crate::images::engine::Engine;
use crate::judging::{code, flows, migrations};
use crate::tools::NpmProject;
use crate::tools::programs::tools;
use foundation::files;
use judges::checks::flows::Rule;
use judges::checks::flows::code::Text;
use runner::plan::mask::Outputs;
use runner::plan::perform::StepContext;

/// Performs one native action.
///
/// # Errors
/// Those of the action.
pub fn perform(opened: &Opened, action: &BringUp, step: &StepContext) -> Result<Outputs> {
    let prepare = match action {
        BringUp::Roll(roll) => return rolling::perform(opened, roll, step),
        BringUp::Rotate(rotate) => return rotating::perform(opened, rotate, step).map(|()| Outputs::new()),
        BringUp::Prepare(prepare) => prepare,
    };
    match prepare {
        Prepare::CheckFlows => {
            let root = &opened.instance.root;
            let engines = |texts: &[Text<'_>]| {
                code::judge(&opened.toolbox, root, texts).map_err(|error| format!("{error:#}"))
            };
            // Packages may still be downloading: the launcher checks again before a flow starts.
            let refuses =
                |finding: &Problem| finding.is_error() && Rule::of(finding) != Some(Rule::NotJudged);
            let mut findings =
                flows::judge(root, opened.platform.draining.limit_seconds, None, Some(&engines))?;
            findings.extend(migrations::judge(opened.platform, root)?);
            let (errors, warnings): (Vec<_>, Vec<_>) = findings.into_iter().partition(refuses);
            for warning in warnings {
                step.log.line(&warning.to_string());
            }
            if !errors.is_empty() {
                let lines: Vec<_> = errors.iter().map(|finding| format!("\n  {finding}")).collect();
                bail!("the flows cannot run:{}", lines.concat());
            }
        }
        Prepare::InstallTools { programs } => {
            opened.toolbox.ensure(&tools(programs.iter().copied())?, step)?;
        }
        Prepare::InstallModules => {
            let folder = opened.instance.root.join("flows");
            opened.toolbox.npm_modules(NpmProject { folder: &folder }, step)?;
        }
        Prepare::LoadImages { images } => {
            let engine = Engine::find()?;
            for image in images {
                step.log.line(&deployed::load(&engine, image)?);
            }
        }
        Prepare::MakeSecrets | Prepare::ReadSecrets => {
            let units = opened.units();
            if matches!(prepare, Prepare::ReadSecrets) {
                let count = vault::read_all(&opened.resolver(&units))?;
                step.log.line(&format!("read {count} secrets from the store"));
            }
            fetched_certificate::keep(opened.platform, &opened.environment, &opened.instance.folder)?;
            for secret in secret_files::ensure(&opened.resolver(&units))? {
                step.log.line(&format!("made {secret}"));
                // An edge that does not run yet reads it when it starts.
                if secret == opened.platform.edge.certificate
                    && let Some(edge) = rolling::edge(opened).filter(|edge| edge.processes().is_ok())
                {
                    edge.reload()?;
                    step.log.line("the edge serves with it");
                }
            }
            secret_files::open_to_containers(&opened.resolver(&units))?;
        }
        Prepare::RecordInstance => record(opened)?,
    }
    Ok(Outputs::new())
}

/// Where releases are rolled out, the edge's folder, which belongs to its user, and that of the replicas that are held.
fn folders_for_containers(opened: &Opened) -> Result<()> {
    if opened.instance.release.is_none() {
        return Ok(());
    }
    let held = held_in(&opened.instance.folder, "");
    fs::create_dir_all(&held)?;
    fs::set_permissions(&held, fs::Permissions::from_mode(0o755))?;
    for unit in opened.slots().iter().filter(|unit| opened.platform.is_edge(unit)) {
        let Some(shape) = unit.service.container.shape() else { continue };
        let folder = opened.instance.volume(unit, opened.platform.edge.folder);
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        chown(&folder, Some(shape.user.uid), Some(shape.user.gid)).with_context(|| {
            format!("{}: it has to belong to the user of {}", folder.display(), unit.name())
        })?;
    }
    Ok(())
}

/// As with the secrets: the server's user reads the files, and a folder that only its owner can enter keeps everybody else out.
fn folder_for_store(certificate: &Path) -> Result<()> {
    let folder = certificate.parent().context("it is in a folder")?;
    let above = folder.parent().context("it is below that of the data")?;
    for (path, mode) in [(above, 0o700), (folder, 0o755), (certificate, 0o644)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Writes the instance file and creates the data folders.
fn record(opened: &Opened) -> Result<()> {
    fs::create_dir_all(opened.instance.metrics())?;
    let folder = &opened.instance.folder;
    fs::create_dir_all(folder)?;
    if opened.in_containers() {
        // Volumes of the engine hold the data.
        folders_for_containers(opened)?;
    }
    let units = opened.units();
    let resolver = opened.resolver(&units);
    if let Some((store, unit)) = store(&resolver) {
        let certificate = store_certificate(&resolver, unit, &store);
        certificate::own(&certificate)?;
        if opened.in_containers() {
            folder_for_store(&certificate)?;
        }
    }
    let units = if !opened.in_containers() { opened.slots() } else { vec![] };
    for unit in units {
        for volume in &unit.service.volumes {
            let path = folder.join("data").join(unit.name()).join(volume.name);
            // Initialisation creates its folder itself, completely or not at all.
            let initialised = unit.service.process.as_ref().and_then(|process| process.initialise.as_ref());
            let made_by_itself = initialised.is_some_and(|made| made.volume.name == volume.name);
            fs::create_dir_all(if made_by_itself { path.parent().unwrap_or(&path) } else { &path })?;
        }
    }
    files::write::whole(&opened.instance.record(), 0o600, serde_json::to_string_pretty(&opened.record())?)
}
