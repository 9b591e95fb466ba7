//! Proves, replaces or revokes the secrets of an environment on this machine, while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::json;
use vocabulary::model::environment::Tls;
use vocabulary::model::{Secret, SecretKind};

use super::deployed::State;
use super::opened::Opened;
use super::{deployer, dry_run, running, secret_audit};
use crate::context::Context;
use crate::deployment::Deployed;
use crate::deployment::releases::Installed;
use crate::engines::Intent;
use crate::engines::process::secret_store::{Text, Value};
use crate::engines::roll::rotation::{self, Change};
use foundation::exit::refused;
use foundation::files;
use foundation::interrupt::Interrupt;
use foundation::nearest::hint;
use foundation::program_name::PROGRAM;
use foundation::stdout;
use runner::plan::report::{Outcome, Status};
use runner::plan::show::Show;

/// What is to be changed.
pub struct Wanted<'a> {
    pub change: Change,
    /// None: all of them.
    pub names: &'a [String],
    pub dry_run: bool,
}

/// # Errors
/// Refused when there is no such secret here, or another command is at work; reported when a step fails.
pub fn carry_out(
    context: &Context,
    deployed: &Deployed,
    installed: &Installed,
    wanted: &Wanted<'_>,
) -> Result<()> {
    let name = &deployed.name;
    // No deploy begins meanwhile.
    let lock = (!wanted.dry_run).then(|| deployer::hold_off(deployed)).transpose()?;
    let state = State::of(context, deployed)?;
    if state.deploying && !wanted.dry_run {
        return Err(refused(format!(
            "another command is changing {name}; wait for it: `{PROGRAM} status {name}`"
        )));
    }
    let place = Context::deployed(installed.tree(), deployed.state.clone(), context);
    let intent = Intent::ChangeSecrets(wanted.change);
    let opened = Opened::deployed(&place, state.environment, &installed.identity()?, intent)?;
    let mut plan = opened.plan();
    let known: BTreeSet<&str> = opened
        .units()
        .iter()
        .flat_map(|unit| unit.service.secrets.iter().map(|used| used.secret.0))
        .collect();
    unknown(wanted.names, &known)?;
    let chosen = |secret: &str| wanted.names.is_empty() || wanted.names.iter().any(|name| name == secret);
    let of_site: BTreeMap<&str, &str> = context
        .platform
        .secrets
        .iter()
        .filter(|secret| known.contains(secret.name.0) && chosen(secret.name.0))
        .filter_map(|secret| Some((secret.name.0, by_hand(secret, wanted.change, &opened.environment.tls)?)))
        .collect();
    let fetches = matches!(opened.environment.tls, Tls::Acme(_)) && wanted.change == Change::Rotate;
    let certificate = context.platform.edge.certificate.0;
    plan.steps.retain(|step| {
        let secret = rotation::secret_of(&step.id);
        chosen(secret) && !(fetches && secret == certificate)
    });
    rotation::chain(&mut plan.steps);
    if wanted.dry_run {
        return dry_run::show(context, &plan);
    }
    let begun = Instant::now();
    files::write::remove_left(&opened.instance.secrets())?;
    let report = running::carry_out(&place, &opened, &plan, &Show::on_stderr(), &Interrupt::listen()?)?;
    secret_audit::export(&opened)?;
    drop(lock);
    let seconds = begun.elapsed().as_secs_f64();
    let mut secrets: Vec<&str> = plan.steps.iter().map(|step| rotation::secret_of(&step.id)).collect();
    secrets.dedup();
    let failed: BTreeSet<&str> = report
        .steps
        .iter()
        .filter(|step| matches!(step.status, Status::Failed | Status::Interrupted | Status::NotStarted))
        .map(|step| rotation::secret_of(&step.id))
        .collect();
    if context.json {
        secrets.retain(|name| !failed.contains(name) && !of_site.contains_key(name));
        stdout::json(
            &json!({ "done": secrets, "failed": failed, "by_hand": of_site, "seconds": seconds, "report": report }),
        )?;
    } else {
        let verb = match wanted.change {
            Change::Check => "works",
            Change::Rotate => "rotated",
            Change::Revoke => "revoked",
        };
        for secret in secrets.iter().filter(|name| !of_site.contains_key(*name)) {
            let state = if failed.contains(secret) { "not done" } else { verb };
            stdout::text(&format!("{secret}: {state}\n"))?;
        }
        of_site.iter().try_for_each(|(secret, what)| stdout::text(&format!("{secret}: {what}\n")))?;
        if report.outcome == Outcome::Done {
            stdout::text(&format!("took {seconds:.1} s\n"))?;
        } else {
            eprintln!(
                "nothing is tried again by itself; `{PROGRAM} secrets audit {name}` shows what is due when"
            );
        }
    }
    report.into_result()
}

fn unknown(names: &[String], known: &BTreeSet<&str>) -> Result<()> {
    let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) else { return Ok(()) };
    let known: Vec<&str> = known.iter().copied().collect();
    Err(refused(format!(
        "no service here reads a secret {unknown}; expected one of {}{}",
        known.join(", "),
        hint(unknown, known.iter().copied())
    )))
}

/// What the site must do itself.
fn by_hand(secret: &Secret, change: Change, tls: &Tls) -> Option<&'static str> {
    match (secret.kind, change) {
        (SecretKind::CertificatePair, Change::Rotate) if matches!(tls, Tls::Acme(_)) => {
            Some("the edge fetches it, and renews it by itself")
        }
        (SecretKind::ProviderKey, Change::Rotate) => Some(
            "have a new one issued, put it into its file, run this again to prove that it works, and revoke the old one \
             where it was issued",
        ),
        (SecretKind::ProviderKey, Change::Revoke) => Some("revoke it where it was issued"),
        (SecretKind::CertificatePair, Change::Revoke) => Some("have its authority revoke it, and rotate it"),
        (SecretKind::AccountPassword, Change::Rotate | Change::Revoke) => {
            Some("change it in the service, and in its file")
        }
        _ => None,
    }
}

/// The secrets below the folder of an environment whose change is not finished, and why.
///
/// # Errors
/// They cannot be read.
pub fn unfinished(deployed: &Deployed) -> Result<Vec<String>> {
    let folder = deployed.folder().join("secrets");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What a killed writer has left is not read by anybody.
        if name.starts_with('.') {
            continue;
        }
        let text = Text::new(files::text(&path, files::TEXT)?);
        found.extend(Value::parse(&text).problem().map(|why| format!("{name}: {why}")));
    }
    found.sort();
    Ok(found)
}
