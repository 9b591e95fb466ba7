//! Gates whose result is known without running them: nothing that their last pass rests on has changed.

use std::path::Path;

use anyhow::Result;
use vocabulary::model::{Gate, Reads};

use foundation::clock::{now_ms, utc};
use runner::evidence::tree::Tree;
use runner::evidence::{Confirmation, Kind, Record, store};

/// Whether an earlier pass may stand for a new one at all: not where it is asked to run everything, and never in CI,
/// whose machines prove what a laptop claims.
pub fn may_stand(fresh: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| variable(name).is_some_and(|value| !["", "0", "false"].contains(&value.as_str()));
    !fresh && !set("CI") && !set("GITHUB_ACTIONS")
}

/// The pass that stands for a run of the gate now. A gate that asks the world has none, nor has a history that git does
/// not give.
///
/// # Errors
/// When there is a record that cannot be read.
pub fn pass(gate: &Gate, expected: &Record, state: &Path) -> Result<Option<Record>> {
    if gate.reads == Reads::World || (gate.reads == Reads::History && expected.commit.is_none()) {
        return Ok(None);
    }
    Ok(store::read(state, Kind::Gate, gate.id)?.filter(|record| record.rests_on_the_same(expected)))
}

/// In the order in which they should start: what took longest when it last passed, so that nothing long is left for the
/// end. Gates that never passed come before all others.
pub fn longest_first(gates: &mut [&Gate], state: &Path) {
    let took = |gate: &&Gate| match store::read(state, Kind::Gate, gate.id) {
        Ok(Some(record)) => record.duration_ms,
        _ => u64::MAX,
    };
    gates.sort_by_cached_key(|gate| std::cmp::Reverse(took(gate)));
}

/// Notes that the pass holds for this tree too, where that is news.
///
/// # Errors
/// When it cannot be written.
pub fn confirm(record: &Record, tree: &Tree, state: &Path) -> Result<()> {
    let told = |commit: &Option<String>, clean: bool| *commit == tree.commit && clean == tree.clean;
    let again = record.confirmed.as_ref().is_some_and(|seen| told(&seen.commit, seen.clean));
    if told(&record.commit, record.clean) || again {
        return Ok(());
    }
    let confirmed =
        Some(Confirmation { commit: tree.commit.clone(), clean: tree.clean, at: utc(now_ms() / 1000) });
    store::write(state, &Record { confirmed, ..record.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner::evidence::record::SCHEMA;
    use second_platform::platform;

    fn record(gate: &str) -> Record {
        Record {
            schema: SCHEMA,
            name: gate.to_owned(),
            commit: Some("a".repeat(40)),
            clean: true,
            ..Record::default()
        }
    }

    #[test]
    fn in_ci_and_when_asked_no_record_replaces_a_run() {
        let with = |name: &'static str, value: &'static str| {
            move |asked: &str| (asked == name).then(|| value.to_owned())
        };
        assert!(may_stand(false, |_| None));
        assert!(may_stand(false, with("CI", "false")));
        assert!(!may_stand(true, |_| None));
        assert!(!may_stand(false, with("CI", "true")));
        assert!(!may_stand(false, with("CI", "1")));
        assert!(!may_stand(false, with("GITHUB_ACTIONS", "true")));
    }

    #[test]
    fn what_took_longest_starts_first() {
        let state = tempfile::tempdir().unwrap();
        let some = platform().gates.remove(0);
        let all = ["format", "generated", "flows", "workflows"].map(|id| Gate { id, ..some.clone() });
        let ids = |gates: &[&Gate]| gates.iter().map(|gate| gate.id).collect::<Vec<_>>();
        for (gate, duration_ms) in [("format", 300), ("generated", 900), ("flows", 5)] {
            store::write(state.path(), &Record { duration_ms, ..record(gate) }).unwrap();
        }
        let mut some: Vec<_> = all.iter().collect();
        assert_eq!(ids(&some), ["format", "generated", "flows", "workflows"]);
        longest_first(&mut some, state.path());
        assert_eq!(ids(&some), ["workflows", "generated", "format", "flows"]);
    }

    #[test]
    fn a_pass_is_reused_only_for_local_inputs_and_only_while_nothing_changes() {
        let some = platform().gates.remove(0);
        for reads in [Reads::World, Reads::History, some.reads.clone()] {
            let state = tempfile::tempdir().unwrap();
            let gate = Gate { reads, ..some.clone() };
            let before = record(gate.id);
            assert_eq!(pass(&gate, &before, state.path()).unwrap(), None, "{} never passed", gate.id);
            store::write(state.path(), &before).unwrap();
            let stands = pass(&gate, &before, state.path()).unwrap().is_some();
            assert_eq!(stands, gate.reads != Reads::World, "{}", gate.id);
            let outside = Record { commit: None, ..before.clone() };
            let stands = pass(&gate, &outside, state.path()).unwrap().is_some();
            assert_eq!(stands, matches!(gate.reads, Reads::Files(_)), "{}: no repository", gate.id);
            let changed = Record { inputs_sha256: "4".repeat(64), ..before };
            assert_eq!(pass(&gate, &changed, state.path()).unwrap(), None, "{}", gate.id);
        }
    }
}
