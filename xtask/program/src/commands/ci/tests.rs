//! What the gates of the shipped platform declare that they read.

use std::fs;
use std::path::{Path, PathBuf};

use runner::evidence::basis::programs_of;
use runner::evidence::tree::Tree;
use vocabulary::model::Reads;

use crate::tools::programs::{XTASK, is_of_modules, of_catalogue};
use platform::platform;

#[test]
fn a_gate_that_asks_outside_reads_the_world() {
    for gate in platform().gates {
        let asks = gate.requires.iter().any(|one| one.is_outside());
        assert!(!asks || gate.reads == Reads::World, "{}", gate.id);
        for name in programs_of(&gate) {
            let known = name == XTASK || is_of_modules(name) || of_catalogue(name).is_ok();
            assert!(known, "{}: no version of {name} can be told", gate.id);
        }
    }
}

/// What a real gate declares, as a small tree: a file at each path, or in the folder of that name.
#[test]
fn touching_an_input_of_a_gate_concerns_those_gates_that_read_it_and_no_other() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let root = tempfile::tempdir().unwrap();
    let gates = platform().gates;
    let mut inputs: Vec<(&str, PathBuf)> = Vec::new();
    for gate in &gates {
        let Reads::Files(paths) = &gate.reads else { continue };
        for path in paths {
            let there = repository.join(path);
            assert!(there.exists(), "{} reads {path}, which does not exist", gate.id);
            let file = if there.is_dir() { format!("{path}/in/it") } else { (*path).to_owned() };
            let there = root.path().join(&file);
            fs::create_dir_all(there.parent().unwrap()).unwrap();
            fs::write(there, "before").unwrap();
            inputs.push((path, file.into()));
        }
    }
    let digests = || {
        let tree = Tree::observe(root.path()).unwrap();
        gates.iter().map(|gate| (gate, tree.digest(&gate.reads))).collect::<Vec<_>>()
    };
    for (path, file) in inputs {
        let before = digests();
        let text = fs::read_to_string(root.path().join(&file)).unwrap();
        fs::write(root.path().join(&file), text + "x").unwrap();
        for ((gate, before), (_, after)) in before.into_iter().zip(digests()) {
            let reads = match &gate.reads {
                Reads::World | Reads::History => true,
                Reads::Files(paths) => paths.iter().any(|one| file.starts_with(one)),
            };
            assert_eq!(before != after, reads, "{}: {path}", gate.id);
        }
    }
}
