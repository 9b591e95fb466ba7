//! Which containers stay when a project is rolled out: those that it describes as the project did that made them.
//!
//! Compose decides that by a digest in which networks count, so with another number of replicas it would replace everything
//! that talks to them. But a network can be joined while a container runs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::deployed::{Container, ENV_FILE, FILE, project_of};
use super::project::Project;
use super::roll::inherited;
use foundation::files;
use runner::supervisor::protocol::State;

/// By the engine's name of a network: the address of a container in it.
pub type Networks = BTreeMap<String, String>;

/// The containers that stay, and the networks that each has to join.
///
/// # Errors
/// Compose does not understand the new project.
pub fn stays(
    project: &Project,
    (text, env): (&str, &str),
    containers: &BTreeMap<String, Container>,
) -> Result<BTreeMap<String, Networks>> {
    let runs = |one: &&Container| one.running.status.state == State::Running;
    if !containers.values().any(|one| runs(&one)) {
        return Ok(BTreeMap::new());
    }
    let folder = files::temporary::folder("flowship-project-")?;
    let place = |name: &str| folder.path().join(name);
    files::write::whole(&place(FILE), 0o600, text)?;
    files::write::whole(&place(ENV_FILE), 0o600, env)?;
    let new = Project { files: vec![place(FILE)], env_file: place(ENV_FILE), ..project.clone() };
    // Before it is installed, it decides by itself.
    let Some(after) = understood(&new)? else { return Ok(BTreeMap::new()) };
    let mut projects: BTreeMap<&Path, Option<Value>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for (name, one) in containers.iter().filter(|(_, one)| runs(one)) {
        let before =
            projects.entry(&one.file).or_insert_with(|| understood(&project_of(one, project)).ok().flatten());
        let joins = before.as_ref().and_then(|before| joins(name, containers, before, &after));
        found.extend(joins.map(|joins| (name.clone(), joins)));
    }
    Ok(found)
}

/// A project as Compose understands it; none where there is no Compose yet.
fn understood(project: &Project) -> Result<Option<Value>> {
    let argv = project.argv(&["config", "--format", "json"]);
    let variables = inherited().into_iter().filter_map(|name| Some((std::env::var_os(&name)?, name)));
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).env_clear().envs(variables.map(|(value, name)| (name, value)));
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        output => output.with_context(|| argv[0].clone())?,
    };
    if !output.status.success() {
        bail!("{}: {}", argv.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(Some(serde_json::from_slice(&output.stdout).context("Compose does not say what it understands")?))
}

/// The networks that a container of a service has to join to be as the new project describes it; none where it differs in
/// more. Pure.
fn joins(
    name: &str,
    containers: &BTreeMap<String, Container>,
    before: &Value,
    after: &Value,
) -> Option<Networks> {
    if definition(name, before)? != definition(name, after)? {
        return None;
    }
    let has = &containers.get(name)?.networks;
    let services = after["services"].as_object()?;
    let mut joins = Networks::new();
    let mut wanted = BTreeSet::new();
    for (key, attachment) in after["services"][name]["networks"].as_object()? {
        let network = after["networks"][key]["name"].as_str()?;
        let address = attachment["ipv4_address"].as_str()?;
        wanted.insert(network);
        match has.get(network) {
            Some(own) if own == address => {}
            // An address changes only with the container.
            Some(_) => return None,
            None => {
                // It is there, or made for a new container; one between two that run is made only when Compose replaces them.
                let others = services
                    .iter()
                    .filter(|(other, one)| *other != name && one["networks"].get(key).is_some());
                let is_there = |other: &String| {
                    containers.get(other).is_none_or(|one| one.networks.contains_key(network))
                };
                if !others.into_iter().any(|(other, _)| is_there(other)) {
                    return None;
                }
                joins.insert(network.to_owned(), address.to_owned());
            }
        }
    }
    // What it is in besides leads nowhere, or it would still reach what it has no business with.
    let leads_on = |network: &String| {
        let mut others = containers.iter().filter(|(other, _)| *other != name);
        others.any(|(other, one)| one.networks.contains_key(network) && services.contains_key(other))
    };
    has.keys().all(|network| wanted.contains(&network.as_str()) || !leads_on(network)).then_some(joins)
}

/// What a project says of a service, but for what can change while it runs.
fn definition(name: &str, project: &Value) -> Option<Value> {
    let mut service = project["services"][name].as_object()?.clone();
    service.remove("networks");
    // Only for the order in which Compose would start them.
    service.remove("depends_on");
    // The service has only their names.
    for kind in ["secrets", "configs"] {
        for one in service.get_mut(kind).and_then(Value::as_array_mut).into_iter().flatten() {
            one["is"] = project[kind][one["source"].as_str()?].clone();
        }
    }
    Some(Value::Object(service))
}

/// Has a container join networks that it is not in yet, once another command has ended well. Names and addresses have no
/// characters that a shell would understand.
pub fn joining(project: &Project, name: &str, networks: &Networks, first: Vec<String>) -> Vec<String> {
    let container = project.container(name);
    let one = |(network, address): (&String, &String)| {
        format!(
            "echo \"$has\" | grep -qxF {network} || \
             \"$0\" network connect --ip {address} --alias {name} {network} {container} || exit\n"
        )
    };
    let script = format!(
        "\"$@\" || exit\nhas=$(\"$0\" inspect --format \
         '{{{{range $name, $_ := .NetworkSettings.Networks}}}}{{{{println $name}}}}{{{{end}}}}' {container}) || exit\n{}",
        networks.iter().map(one).collect::<String>()
    );
    ["sh".to_owned(), "-c".to_owned(), script, project.docker.clone()].into_iter().chain(first).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engines::compose::roll::tests::serving;

    fn project(image: &str, networks: &[(&str, &str)]) -> Value {
        let attachments: BTreeMap<_, _> =
            networks.iter().map(|(name, address)| (*name, json!({ "ipv4_address": address }))).collect();
        let names: BTreeMap<_, _> =
            networks.iter().map(|(name, _)| (*name, json!({ "name": format!("p_{name}") }))).collect();
        let others: Vec<_> = attachments.keys().collect();
        json!({
            "services": { "store": { "image": image, "networks": attachments, "depends_on": others } },
            "networks": names,
        })
    }

    #[test]
    fn a_container_stays_if_only_its_networks_are_others_and_each_address_can_be_had() {
        let containers = [("store", "10.1.0.2"), ("oracle", "10.1.0.3")].map(|(name, address)| {
            let (name, one) = serving(name);
            (name, Container { networks: [("p_one".to_owned(), address.to_owned())].into(), ..one })
        });
        let mut other = project("a", &[]);
        other["services"]["oracle"] = json!({});
        let two = project("a", &[("one", "10.1.0.2"), ("two", "10.1.0.9")]);
        let with = |name: &str| {
            let mut two = two.clone();
            two["services"][name] = json!({ "networks": { "two": { "ipv4_address": "10.1.0.8" } } });
            two
        };
        let mut key = project("a", &[("one", "10.1.0.2")]);
        key["services"]["store"]["secrets"] = json!([{ "source": "key", "target": "/run/key" }]);
        key["secrets"]["key"]["file"] = "/one".into();
        let mut moved = key.clone();
        moved["secrets"]["key"]["file"] = "/two".into();
        let before = project("a", &[("one", "10.1.0.2")]);
        for (before, after, expected) in [
            (&before, before.clone(), Some(&[][..])),
            (&before, with("a-new-one"), Some(&[("p_two", "10.1.0.9")])),
            // The network would have to be made for two that run.
            (&before, with("oracle"), None),
            // What it is in besides leads nowhere, or to somebody else.
            (&before, project("a", &[]), Some(&[])),
            (&before, other, None),
            (&before, project("a", &[("one", "10.1.0.3")]), None),
            (&before, project("b", &[("one", "10.1.0.2")]), None),
            (&before, json!({ "services": {} }), None),
            (&key, key.clone(), Some(&[])),
            (&key, moved, None),
        ] {
            let expected = expected.map(|joins| {
                joins.iter().map(|(name, address)| ((*name).to_owned(), (*address).to_owned())).collect()
            });
            assert_eq!(joins("store", &containers.clone().into(), before, &after), expected, "{after:#}");
        }
    }
}
