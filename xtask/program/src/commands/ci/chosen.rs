//! Which gates are asked for: by name, by group, by what has changed.

use anyhow::Result;
use vocabulary::model::{Gate, GateGroup, Platform, Reads};

use foundation::exit::refused;
use foundation::nearest::hint;

/// Files that all gates hang on: their own definitions, the programs that they call, and how they are called.
const OF_ALL: [&str; 9] = [
    ".cargo",
    ".github",
    "Cargo.lock",
    "Cargo.toml",
    "flows/package-lock.json",
    "flows/package.json",
    "ops/ci",
    "rust-toolchain.toml",
    "xtask",
];

/// The named gates and those of the named groups, in the platform's order; all when none is named, the slow ones only if they
/// are asked for.
///
/// # Errors
/// Refused when a name is unknown, with the nearest.
pub fn chosen<'a>(
    platform: &'a Platform,
    names: &[String],
    groups: &[String],
    slow: bool,
) -> Result<Vec<&'a Gate>> {
    let known: Vec<_> = platform.gates.iter().map(|gate| gate.id).collect();
    let known_groups = self::groups(platform);
    let mut problems = Vec::new();
    for (what, typed, known) in [("gate", names, &known), ("group", groups, &known_groups)] {
        let unknown: Vec<_> = typed.iter().filter(|name| !known.contains(&name.as_str())).collect();
        for name in &unknown {
            problems.push(format!("unknown {what} {name}{}", hint(name, known.iter().copied())));
        }
        if !unknown.is_empty() {
            problems.push(format!("the {what}s are {}", known.join(", ")));
        }
    }
    if !problems.is_empty() {
        return Err(refused(problems.join("\n")));
    }
    let all = names.is_empty() && groups.is_empty();
    let wanted = |gate: &&Gate| {
        all && (slow || gate.group != GateGroup::Slow)
            || names.iter().any(|name| name == gate.id)
            || groups.iter().any(|name| name == gate.group.name())
    };
    Ok(platform.gates.iter().filter(wanted).collect())
}

/// The groups that have gates, in the platform's order.
pub fn groups(platform: &Platform) -> Vec<&'static str> {
    let mut groups = Vec::new();
    for gate in &platform.gates {
        if !groups.contains(&gate.group.name()) {
            groups.push(gate.group.name());
        }
    }
    groups
}

/// Whether a change of these files may change what the gate says. One that asks the world may always say another, and
/// whoever compares with another commit has another history.
pub fn concerned(gate: &Gate, files: &[String]) -> bool {
    let of_all = Reads::Files(OF_ALL.to_vec());
    !matches!(gate.reads, Reads::Files(_))
        || files.iter().any(|file| of_all.concerns(file) || gate.reads.concerns(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use second_platform::platform;

    /// Two gates that read files, and one each that reads more.
    fn gates() -> Vec<Gate> {
        let gate = |id, reads| Gate { id, reads, ..platform().gates.remove(0) };
        vec![
            gate("format", Reads::Files(vec!["xtask"])),
            gate("flows", Reads::Files(vec!["ops/x", "flows"])),
            gate("secrets-in-history", Reads::History),
            gate("advisories", Reads::World),
        ]
    }

    fn concerned_by(files: &[&str]) -> Vec<&'static str> {
        let files: Vec<_> = files.iter().map(|file| (*file).to_owned()).collect();
        gates().iter().filter(|gate| concerned(gate, &files)).map(|gate| gate.id).collect()
    }

    #[test]
    fn a_change_concerns_the_gates_that_read_it_and_those_that_read_more_than_files() {
        let more = ["secrets-in-history", "advisories"];
        assert_eq!(concerned_by(&["README.md"]), more);
        assert_eq!(concerned_by(&[]), more);
        assert_eq!(concerned_by(&["flowsy/x"]), more, "a name that begins like a folder lies not in it");
        assert_eq!(concerned_by(&["flows/flows.json"]), [&["flows"], &more[..]].concat());
    }

    #[test]
    fn what_all_gates_hang_on_concerns_all() {
        let all: Vec<_> = gates().iter().map(|gate| gate.id).collect();
        for file in
            ["ops/ci/requirements.txt", "xtask/platform/src/gates/format.rs", ".github/workflows/ci.yml"]
        {
            assert_eq!(concerned_by(&[file]), all, "{file}");
        }
    }

    #[test]
    fn gates_are_chosen_by_name_and_by_group() {
        let platform = platform();
        let ids = |names: &[&str], groups: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let gates = chosen(&platform, &owned(names), &owned(groups), false);
            gates
                .map(|gates| gates.iter().map(|gate| gate.id).collect::<Vec<_>>())
                .map_err(|error| error.to_string())
        };
        assert_eq!(ids(&[], &["security"]).unwrap(), ["customs"]);
        assert_eq!(ids(&["berths"], &["security"]).unwrap(), ["berths", "customs"]);
        assert_eq!(ids(&[], &[]).unwrap(), ["berths", "customs"]);
        let mut slow = platform.clone();
        slow.gates[1].group = GateGroup::Slow;
        let count = |names: &[String], too| chosen(&slow, names, &[], too).unwrap().len();
        assert_eq!((count(&[], false), count(&[], true), count(&["customs".to_owned()], false)), (1, 2, 1));
        let refusal = ids(&["berth"], &["securty"]).unwrap_err();
        assert!(refusal.contains("unknown gate berth; did you mean berths?"), "{refusal}");
        assert!(refusal.contains("unknown group securty; did you mean security?"), "{refusal}");
    }
}
