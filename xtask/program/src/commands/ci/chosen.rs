//! Which gates are asked for: by name, by group, by what has changed.

use anyhow::Result;
use vocabulary::model::{Gate, Platform, Reads};

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

/// The named gates and those of the named groups, in the platform's order; all when none is named.
///
/// # Errors
/// Refused when a name is unknown, with the nearest.
pub fn chosen<'a>(platform: &'a Platform, names: &[String], groups: &[String]) -> Result<Vec<&'a Gate>> {
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
        all || names.iter().any(|name| name == gate.id) || groups.iter().any(|name| name == gate.group.name())
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
    use platform::platform;

    fn concerned_by(files: &[&str]) -> Vec<&'static str> {
        let files: Vec<_> = files.iter().map(|file| (*file).to_owned()).collect();
        platform().gates.iter().filter(|gate| concerned(gate, &files)).map(|gate| gate.id).collect()
    }

    #[test]
    fn a_change_concerns_the_gates_that_read_it_and_those_that_read_more_than_files() {
        let platform = platform();
        let more = |gate: &&Gate| !matches!(gate.reads, Reads::Files(_));
        let world: Vec<_> = platform.gates.iter().filter(more).map(|gate| gate.id).collect();
        assert_eq!(concerned_by(&["README.md"]), world);
        assert_eq!(concerned_by(&[]), world);
        assert_eq!(concerned_by(&["flowsy/x"]), world, "a name that begins like a folder lies not in it");
        let flows = concerned_by(&["flows/flows.json"]);
        for (gate, expected) in
            [("flows", true), ("node", true), ("smoke", true), ("format", false), ("clippy", false)]
        {
            assert_eq!(flows.contains(&gate), expected, "{gate}: {flows:?}");
        }
    }

    #[test]
    fn what_all_gates_hang_on_concerns_all() {
        let all: Vec<_> = platform().gates.iter().map(|gate| gate.id).collect();
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
            let gates = chosen(&platform, &owned(names), &owned(groups));
            gates
                .map(|gates| gates.iter().map(|gate| gate.id).collect::<Vec<_>>())
                .map_err(|error| error.to_string())
        };
        let rust = ids(&[], &["rust"]).unwrap();
        assert!(rust.contains(&"clippy") && rust.contains(&"tests") && !rust.contains(&"format"), "{rust:?}");
        let both = ids(&["format"], &["rust"]).unwrap();
        assert_eq!(both.len(), rust.len() + 1);
        assert_eq!(ids(&[], &[]).unwrap().len(), platform.gates.len());
        let refusal = ids(&["formt"], &["rusty"]).unwrap_err();
        assert!(refusal.contains("unknown gate formt; did you mean format?"), "{refusal}");
        assert!(refusal.contains("unknown group rusty; did you mean rust?"), "{refusal}");
    }
}
