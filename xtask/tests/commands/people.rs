//! What people may do, by role: the commands of the table are those of the operator's program.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::containers::repository;

/// They change nothing of an environment, or only the developer's own.
const ANYBODYS: [&str; 8] = ["alerts", "check", "dev", "doctor", "environment", "help", "image", "reset"];

#[test]
fn each_command_on_environments_belongs_to_a_role() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("flowship");
    symlink(env!("CARGO_BIN_EXE_xtask"), &program).unwrap();
    let output = Command::new(program).arg("--root").arg(repository()).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, list) = help.split_once("\nCommands:\n").unwrap();
    let list = list.lines().take_while(|line| !line.is_empty());
    // Lines that go on are indented deeper.
    let commands: BTreeSet<&str> = list
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split(' ').next())
        .collect();
    let platform = platform::platform();
    let granted = platform.access.iter().flat_map(|role| role.commands.iter().copied());
    assert_eq!(granted.chain(ANYBODYS).collect::<BTreeSet<_>>(), commands);
    for role in &platform.access {
        // Whoever does not log in works through GitHub.
        let on_github = |command: &&str| ["release", "promote", "rollback"].contains(command);
        let others: Vec<_> = role.commands.iter().filter(|command| !on_github(command)).collect();
        assert!(role.login || others.is_empty(), "{} cannot run {others:?} without a login", role.id);
    }
}
