//! A program with a disk of its own, or without a network: Linux namespaces, for root and, where the kernel lets them,
//! for others.

use std::process::{Command, Output, Stdio};

/// What is apart from the machine.
#[derive(Clone, Copy)]
// Not every suite needs both.
#[allow(dead_code)]
pub enum Apart {
    Mounts,
    Network,
}

/// A command to which the program and its arguments are added; none where this machine allows no namespaces.
fn apart(what: Apart) -> Option<Command> {
    // The first may be had without root, the second where root may not map users.
    [&["--map-root-user"][..], &[]].into_iter().find_map(|mapped| {
        let command = || {
            let mut command = Command::new("unshare");
            command.args(mapped).arg(match what {
                Apart::Mounts => "--mount",
                Apart::Network => "--net",
            });
            command
        };
        let mut probe = command();
        match what {
            // A namespace may be allowed, and mounting in it not.
            Apart::Mounts => probe.args(["mount", "-t", "tmpfs", "none", "/tmp"]),
            Apart::Network => probe.arg("true"),
        };
        let probe = probe.stdin(Stdio::null()).output();
        probe.is_ok_and(|output| output.status.success()).then(command)
    })
}

/// Has a shell carry out `script` there, with `program` as its `"$@"`; none as above.
pub fn shell(what: Apart, script: &str, program: &Command) -> Option<Output> {
    let mut command = apart(what)?;
    command.args(["sh", "-c", script, "sh"]).arg(program.get_program()).args(program.get_args());
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Some(command.stdin(Stdio::null()).output().unwrap())
}
