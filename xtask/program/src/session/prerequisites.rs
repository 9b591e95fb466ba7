//! What an environment requires of a release before it is deployed there.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use foundation::nearest::hint;
use foundation::program_name::PROGRAM;
use runner::evidence::Kind;
use shipping::release::judge::Verdict;
use shipping::release::{description, ledger};
use vocabulary::model::Platform;
use vocabulary::model::environment::Environment;
use vocabulary::problem::Problem;

use super::host;
use crate::context::Context;
use crate::deployment::history::{self, Outcome};

/// A release that has not run where the environment wants it to have run before. `state` is that of the environments of this
/// machine.
///
/// # Errors
/// The history of an environment of this machine cannot be read.
pub fn never_ran(
    context: &Context,
    state: &Path,
    environment: &Environment,
    verdict: &Verdict,
) -> Result<Option<Problem>> {
    let (Some(from), Some(manifest)) = (&environment.promotes_from, &verdict.manifest) else {
        return Ok(None);
    };
    let (entries, place) = match host::of(context, from) {
        None => (history::read(&state.join(from))?, "this machine".to_owned()),
        Some(host) => match host::history(&host, from) {
            Ok(entries) => (entries, host.address),
            Err(error) => {
                let seen = format!("could not ask {} what was deployed to {from}: {error:#}", host.address);
                let remedy = format!("`{PROGRAM} history {from}` must succeed");
                return Ok(Some(Problem::new("promotes_from", seen).remedy(remedy)));
            }
        },
    };
    let version = &manifest.release.version;
    let bundle = verdict.files.get(&description::bundle(version));
    let ran = entries.iter().any(|entry| entry.result == Outcome::Done && Some(&entry.digest) == bundle);
    Ok((!ran).then(|| {
        Problem::new("promotes_from", format!("{version} was never deployed to {from} on {place}"))
            .expected("a successful deploy of the same bundle there")
            .remedy(format!(
                "`{PROGRAM} deploy {from}` first, then `{PROGRAM} promote {from} {}`",
                environment.name
            ))
    }))
}

/// The gates that the environment requires and of which the release has no evidence.
pub fn unproven(platform: &Platform, environment: &Environment, verdict: &Verdict) -> Vec<Problem> {
    // Without a manifest the release is refused already, and its evidence was not read.
    let Some(manifest) = &verdict.manifest else { return Vec::new() };
    let records = verdict.ledger.iter().flat_map(|ledger| &ledger.records);
    let passed: BTreeSet<&str> =
        records.filter(|record| record.kind == Kind::Gate).map(|record| record.name.as_str()).collect();
    let missing = environment.requires.iter().filter(|gate| !passed.contains(gate.as_str()));
    let problem = |gate: &String| {
        let version = &manifest.release.version;
        let gates = || platform.gates.iter().map(|gate| gate.id);
        let remedy = if gates().any(|known| known == gate) {
            format!(
                "in a checkout of the release's commit, run `cargo xtask ci {gate}`, then package the release again"
            )
        } else {
            format!("no gate has this name{}", hint(gate, gates()))
        };
        Problem::new("requires", format!("{version} has no evidence that the gate {gate} passed"))
            .expected(format!("a record of it in {}", ledger::FILE))
            .remedy(remedy)
    };
    missing.map(problem).collect()
}

#[cfg(test)]
mod tests {
    use runner::evidence::Record;
    use serde_json::json;
    use shipping::release::ledger::Ledger;
    use shipping::release::manifest::Manifest;

    use super::*;
    use crate::context::Global;
    use crate::deployment::history::Change;
    use crate::deployment::history::tests::entry;

    /// Of the release 1.2.0, of which these gates passed.
    fn verdict(gates: &[&str]) -> Verdict {
        let release = json!({
            "schema": 1, "version": "1.2.0", "commit": "c", "committed": 0, "flows_rev": "r", "target": "t", "images": [],
            "tools": {},
        });
        let manifest = json!({ "schema": 1, "release": release, "artifacts": [] }).to_string();
        let records = gates.iter().map(|gate| Record { name: (*gate).to_owned(), ..Record::default() });
        Verdict {
            manifest: Some(Manifest::parse(&manifest).unwrap()),
            ledger: Some(Ledger {
                schema: 2,
                commit: "c".to_owned(),
                records: records.collect(),
                left_out: Vec::new(),
            }),
            files: [(description::bundle("1.2.0"), "0".repeat(64))].into(),
            ..Verdict::default()
        }
    }

    #[test]
    fn a_release_must_have_run_before_and_passed_the_gates() {
        let state = tempfile::tempdir().unwrap();
        let global = Global { root: Some(state.path().to_owned()), json: false };
        let context = Context::new(&global, Box::leak(Box::new(second_platform::platform()))).unwrap();
        let environment = Environment {
            name: "production".to_owned(),
            promotes_from: Some("staging".to_owned()),
            requires: vec!["tests".to_owned(), "smoke".to_owned()],
            ..Environment::default()
        };
        let found = |verdict: &Verdict| {
            let mut problems = unproven(context.platform, &environment, verdict);
            problems.extend(never_ran(&context, state.path(), &environment, verdict).unwrap());
            problems.iter().map(|problem| problem.seen.clone()).collect::<Vec<_>>()
        };
        let (not_run, not_proven) = (
            "1.2.0 was never deployed to staging on this machine",
            "1.2.0 has no evidence that the gate smoke passed",
        );
        assert_eq!(found(&verdict(&["tests"])), [not_proven, not_run]);

        let staging = state.path().join("staging");
        std::fs::create_dir(&staging).unwrap();
        let add = |to, result, digest: &str| {
            let entry = history::Entry { digest: digest.repeat(64), ..entry(Change::Deploy, to, result) };
            history::append(&staging, &entry).unwrap();
        };
        add("1.2.0-1", Outcome::Done, "1");
        add("1.2.0-0", Outcome::RolledBack, "0");
        assert_eq!(
            found(&verdict(&["tests", "smoke"])),
            [not_run],
            "another bundle ran, this one was rolled back"
        );
        add("1.2.0-0", Outcome::Done, "0");
        add("1.3.0-2", Outcome::Done, "2");
        assert_eq!(found(&verdict(&["tests", "smoke"])), [""; 0], "it need not run any more");
        assert_eq!(found(&Verdict::default()), [""; 0], "what is refused already has no evidence either");
    }
}
