//! Changes the secrets of an environment that runs, on whatever engine: a new value is written down beside the old one, then
//! both are valid, then the new one is used, then the old one dies. The file of the secret says how far that is, so the same
//! steps finish what was interrupted. Pure.

use artifacts::secret_policies::DatabaseEngine;
use serde::Serialize;
use vocabulary::model::environment::{Environment, SecretsIn};
use vocabulary::model::{Platform, Secret, SecretKind, SecretRef, SecretUse, Unit};

use super::super::process::lower::BringUp;
use foundation::program_name::PROGRAM;
use runner::plan::action::Action;
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// What becomes of the secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing: the value in use is proven to work.
    Check,
    /// A new value takes the place of the old one, without an outage.
    Rotate,
    /// The value in use dies at once, whatever still uses it.
    Revoke,
}

/// The native actions.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
pub enum Rotate {
    /// The new value is written down, on disk, before anything accepts it.
    Intend { secret: SecretRef },
    /// Who asks for it accepts every value that is written down.
    Accepted { secret: SecretRef },
    /// Readers find the new value; the old one is still valid.
    Switch { secret: SecretRef },
    /// Nobody accepts the old value any more.
    Retire { secret: SecretRef },
    /// The old value is forgotten.
    Finish { secret: SecretRef },
    /// The value is replaced by one that nobody has, at once.
    Replace { secret: SecretRef },
    /// The file says that the value was revoked.
    Mark { secret: SecretRef },
    /// The edge gets a new pair.
    Pair { secret: SecretRef },
    /// The edge serves it: proven by a handshake.
    Serve { secret: SecretRef, reload: bool },
}

/// The secret of a step.
pub fn secret_of(step: &StepId) -> &str {
    step.0.split('.').next().unwrap_or_default()
}

/// The plan: one step after the other; those of one secret begin with its name. `database` runs the script of
/// [`vocabulary::model::Database::credential`] with these words.
pub fn plan(
    platform: &Platform,
    environment: &Environment,
    target: &str,
    (units, change): (&[Unit<'_>], Change),
    database: &dyn Fn(&[&'static str]) -> Action<BringUp>,
) -> Plan<BringUp> {
    let is_read =
        |secret: &&Secret| units.iter().any(|unit| use_of(&unit.service.secrets, secret.name).is_some());
    let mut secrets: Vec<_> = platform.secrets.iter().filter(is_read).collect();
    if change == Change::Revoke {
        // The database goes last: without it, nobody can say whether other values are refused.
        secrets.reverse();
    }
    let mut steps: Vec<_> = secrets
        .iter()
        .flat_map(|secret| steps_of((platform, environment), units, change, database, secret))
        .collect();
    chain(&mut steps);
    Plan {
        intent: format!("{change:?} the secrets of {}", environment.name).to_lowercase(),
        target: target.to_owned(),
        steps,
        on_failure: OnFailure::Keep,
    }
}

/// Each step needs the one before it.
pub fn chain(steps: &mut [Step<BringUp>]) {
    for index in 0..steps.len() {
        steps[index].needs =
            index.checked_sub(1).map(|before| steps[before].id.clone()).into_iter().collect();
    }
}

fn use_of(uses: &[SecretUse], secret: SecretRef) -> Option<&SecretUse> {
    uses.iter().find(|used| used.secret == secret)
}

fn steps_of(
    (platform, environment): (&Platform, &Environment),
    units: &[Unit<'_>],
    change: Change,
    database: &dyn Fn(&[&'static str]) -> Action<BringUp>,
    secret: &Secret,
) -> Vec<Step<BringUp>> {
    let name = secret.name;
    let step = |what: &str, title: &str, action: Action<BringUp>| Step {
        time_limit_ms: 120_000,
        remedy: Some(format!("fix the reason, then run `{PROGRAM} secrets rotate` again: it goes on")),
        ..Step::new(format!("{name}.{what}"), format!("{name}: {title}"), action)
    };
    let native = |act: Rotate| Action::Native(BringUp::Rotate(act));
    let intend = || step("intend", "write the new value down", native(Rotate::Intend { secret: name }));
    let switch = || step("switch", "let readers use the new value", native(Rotate::Switch { secret: name }));
    let finish = || step("finish", "forget the old value", native(Rotate::Finish { secret: name }));
    let accepted =
        || step("accepted", "whoever asks for it accepts it", native(Rotate::Accepted { secret: name }));
    let serve = |reload| {
        step(
            "serve",
            "the edge serves it, seen by a handshake",
            native(Rotate::Serve { secret: name, reload }),
        )
    };
    let migrations = units.iter().find(|unit| unit.service.id == platform.database.migrations);
    let file = migrations.and_then(|unit| use_of(&unit.service.secrets, name)?.variable).unwrap_or_default();
    let of_database =
        |act: &'static str, title: &str, role: &'static str| step(act, title, database(&[act, file, role]));
    let by_engine = environment.secret_store == SecretsIn::Vault
        && platform.secret_store.is_some_and(|store| DatabaseEngine::of(platform, &store).is_some());
    let rotated = |role, drains: bool| {
        let mut steps = vec![];
        if drains && by_engine {
            steps.push(of_database("prepare", "the store can change its logins in the database", role));
        }
        steps.extend([
            intend(),
            of_database("apply", "the database accepts the new value too", role),
            switch(),
        ]);
        steps.extend(drains.then(|| {
            of_database("drained", "wait until no session uses the old login (80 s at most)", role)
        }));
        steps.extend([of_database("retire", "the database refuses the old value", role), finish()]);
        steps
    };
    match (secret.kind, change) {
        (SecretKind::DatabaseLogin { role } | SecretKind::DatabasePassword { role }, Change::Check) => {
            vec![of_database("check", "log in with it", role)]
        }
        (SecretKind::DatabaseLogin { role }, Change::Rotate) => rotated(role, true),
        (SecretKind::DatabasePassword { role }, Change::Rotate) => rotated(role, false),
        // Without it, nobody could let anybody in again.
        (SecretKind::DatabasePassword { role }, Change::Revoke)
            if units.iter().any(|unit| {
                unit.service.id == platform.database.port.service
                    && use_of(&unit.service.secrets, name).is_some()
            }) =>
        {
            rotated(role, false)
        }
        (SecretKind::DatabaseLogin { role } | SecretKind::DatabasePassword { role }, Change::Revoke) => vec![
            step("mark", "write down that it is revoked", native(Rotate::Mark { secret: name })),
            of_database("revoke", "the database ends its sessions and refuses it", role),
        ],
        (SecretKind::BearerToken, Change::Check) => vec![accepted()],
        (SecretKind::BearerToken, Change::Rotate) => vec![
            intend(),
            accepted(),
            switch(),
            step("retire", "nobody accepts the old value", native(Rotate::Retire { secret: name })),
        ],
        (SecretKind::BearerToken, Change::Revoke) => {
            vec![step("replace", "nobody accepts it any more", native(Rotate::Replace { secret: name }))]
        }
        (SecretKind::CertificatePair, Change::Check) => vec![serve(false)],
        (SecretKind::CertificatePair, Change::Rotate) => {
            vec![step("pair", "give the edge a new pair", native(Rotate::Pair { secret: name })), serve(true)]
        }
        // The site gives it as a file, which services read again each time they use it.
        (SecretKind::ProviderKey, Change::Check | Change::Rotate) => vec![accepted()],
        (SecretKind::CertificatePair | SecretKind::ProviderKey, Change::Revoke)
        | (SecretKind::AccountPassword, _) => vec![],
    }
}
