//! Compares the hardening that the engine and the kernel report for each container with the model.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vocabulary::model::topology::{Topology, Unit};
use vocabulary::model::{Lifetime, Platform};

use super::judged;
use super::stack::{PUBLIC, Stack, runs_on};

/// # Errors
/// Every setting that differs.
pub fn check(stack: &Stack) -> Result<Vec<String>> {
    let topology = stack.topology();
    let mut problems = Vec::new();
    let mut told = Vec::new();
    let secrets = secret_values(stack)?;
    for unit in &topology.units {
        let found = stack.inspect(unit)?;
        let mut wrong = broken(stack.platform, &topology, unit, &found, &stack.seen.project.name);
        let text = found.to_string();
        let shown = secrets.iter().filter(|(_, value)| text.contains(value.as_str()));
        wrong.extend(shown.map(|(name, _)| format!("the value of {name} can be read from docker inspect")));
        if runs_on(unit) {
            let pid = &found["State"]["Pid"];
            let status = fs::read_to_string(format!("/proc/{pid}/status"))
                .with_context(|| format!("{}: process {pid} is gone", unit.name()))?;
            wrong.extend(unlike(&status, unit));
        }
        told.push(format!("{}: {} claims broken", unit.name(), wrong.len()));
        problems.extend(wrong.into_iter().map(|problem| format!("{}: {problem}", unit.name())));
    }
    judged(&problems, told)
}

/// Settings that differ according to `docker inspect`. Pure.
fn broken(
    platform: &Platform,
    topology: &Topology<'_>,
    unit: &Unit<'_>,
    found: &Value,
    project: &str,
) -> Vec<String> {
    let (config, host) = (&found["Config"], &found["HostConfig"]);
    let (policy, service) = (&platform.containers, unit.service);
    let user = unit.shape.user;
    let mut problems = Vec::new();
    let mut expect = |what: &str, found: &Value, wanted: Value| {
        if *found != wanted {
            problems.push(format!("{what} is {found}; expected {wanted}"));
        }
    };
    expect("the user", &config["User"], json!(format!("{}:{}", user.uid, user.gid)));
    expect("a read-only root", &host["ReadonlyRootfs"], json!(true));
    expect("dropped capabilities", &host["CapDrop"], json!(["ALL"]));
    expect("added capabilities", &host["CapAdd"], Value::Null);
    expect("privileged", &host["Privileged"], json!(false));
    expect("security options", &host["SecurityOpt"], json!(["no-new-privileges:true"]));
    expect("an init", &host["Init"], json!(true));
    let memory = u64::from(service.resources.memory_mib) << 20;
    expect("memory in bytes", &host["Memory"], json!(memory));
    expect("memory and swap in bytes", &host["MemorySwap"], json!(memory));
    expect("processor time", &host["NanoCpus"], json!(u64::from(service.resources.cpu_millis) * 1_000_000));
    expect("the limit of processes", &host["PidsLimit"], json!(service.resources.pids));
    let restart = match service.lifetime {
        Lifetime::OneShot => json!({ "Name": "no", "MaximumRetryCount": 0 }),
        _ => json!({ "Name": "always", "MaximumRetryCount": 0 }),
    };
    expect("the restart policy", &host["RestartPolicy"], restart);
    let logs = json!({
        "Type": "json-file",
        "Config": { "max-size": format!("{}m", policy.log_file_mib), "max-file": policy.log_files.to_string() },
    });
    expect("the rotation of its log", &host["LogConfig"], logs);
    expect("the signal that stops it", &config["StopSignal"], json!(service.stop.signal));
    expect(
        "seconds to stop",
        &config["StopTimeout"],
        json!(platform.stop_limit_seconds(service, topology.scope.tier())),
    );
    expect("the host's namespaces", &json!([host["PidMode"], host["UsernsMode"]]), json!(["", ""]));
    for (path, options) in host["Tmpfs"].as_object().into_iter().flatten() {
        let options: BTreeSet<&str> = options.as_str().unwrap_or_default().split(',').collect();
        for option in ["noexec", "nosuid", "nodev"] {
            expect(&format!("{option} of {path}"), &json!(options.contains(option)), json!(true));
        }
    }
    for mount in found["Mounts"].as_array().into_iter().flatten().filter(|mount| mount["Type"] == "bind") {
        expect(&format!("writing to {}", mount["Destination"]), &mount["RW"], json!(false));
    }
    let names = found["NetworkSettings"]["Networks"].as_object();
    let networks: BTreeSet<&String> = names.into_iter().flatten().map(|(name, _)| name).collect();
    let wanted: BTreeSet<String> =
        topology.networks_of(unit).map(|network| format!("{project}_{}", network.name)).collect();
    expect("its networks", &json!(networks), json!(wanted));
    for (port, bindings) in host["PortBindings"].as_object().into_iter().flatten() {
        for binding in bindings.as_array().into_iter().flatten() {
            expect(&format!("the host's address of {port}"), &binding["HostIp"], json!(PUBLIC));
        }
    }
    problems
}

/// Settings that differ according to the kernel, in the text of `/proc/PID/status`. Pure.
fn unlike(status: &str, unit: &Unit<'_>) -> Vec<String> {
    let user = unit.shape.user;
    let ids = |id: u32| [id.to_string(), id.to_string(), id.to_string(), id.to_string()].join("\t");
    let none = "0000000000000000".to_owned();
    [
        ("Uid", ids(user.uid)),
        ("Gid", ids(user.gid)),
        ("NoNewPrivs", "1".to_owned()),
        ("CapEff", none.clone()),
        ("CapPrm", none.clone()),
        ("CapBnd", none),
        ("Seccomp", "2".to_owned()),
    ]
    .into_iter()
    .filter_map(|(name, wanted)| {
        let found =
            status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap_or_default();
        let found = found.trim();
        (found != wanted).then(|| format!("the kernel reports {name} {found}; expected {wanted}"))
    })
    .collect()
}

/// The values of this run's secrets, by name.
fn secret_values(stack: &Stack) -> Result<Vec<(String, String)>> {
    let mut values = Vec::new();
    for secret in &stack.platform.secrets {
        if let Ok(value) = fs::read_to_string(stack.secrets.join(secret.name.0)) {
            values.push((secret.name.to_string(), value.trim().to_owned()));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use vocabulary::model::topology::Scope;

    use super::*;

    #[test]
    fn the_kernel_must_report_every_setting() {
        let platform = second_platform::platform();
        let topology = Topology::of(&platform, Scope::Rehearsal);
        let unit = topology.unit("flow-engine-a").unwrap();
        let status = "Uid:\t20002\t20002\t20002\t20002\nGid:\t20002\t20002\t20002\t20002\nNoNewPrivs:\t1\n\
            CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nSeccomp:\t2\n";
        assert_eq!(unlike(status, unit), [""; 0]);
        let root = status.replacen("20002", "0", 1).replace("CapEff:\t0", "CapEff:\t1");
        assert_eq!(unlike(&root, unit).len(), 2);
        assert_eq!(unlike("", unit).len(), 7, "what the kernel does not report is not proven");
    }

    #[test]
    fn every_setting_that_the_engine_does_not_report_is_a_problem() {
        let platform = second_platform::platform();
        let topology = Topology::of(&platform, Scope::Rehearsal);
        for unit in &topology.units {
            let found = broken(&platform, &topology, unit, &Value::Null, "harbour");
            assert!(found.len() >= 16, "{}: {found:#?}", unit.name());
        }
    }
}
