//! Measures which ports each container reaches from inside its networks, and compares them with the edges of the model.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;
use vocabulary::model::topology::{Topology, Unit};

use super::stack::{Stack, runs_on};
use super::{judged, said, said_to};

/// Seconds after which a port that neither accepts nor refuses counts as closed.
const LIMIT: u32 = 2;

/// One measured connection: its source, its port, and whether the server accepted it.
pub type Measured = BTreeMap<(String, String), bool>;

/// # Errors
/// Every connection that differs from the model.
pub fn check(stack: &Stack) -> Result<Vec<String>> {
    let topology = stack.topology();
    let mut seen = BTreeMap::new();
    let mut extra = vec![];
    for unit in &topology.units {
        let found = if runs_on(unit) { stack.inspect(unit)? } else { held(stack, unit, &mut extra)? };
        seen.insert(unit.name(), found);
    }
    let measured = measure(&topology, &seen);
    for container in extra {
        let _ = stack.engine.ask(&["rm", "--force", &container]);
    }
    let measured = measured?;
    let open = measured.values().filter(|open| **open).count();
    judged(
        &differences(&topology, &measured),
        vec![format!("{} connections measured, {open} open, as in the model", measured.len())],
    )
}

/// A one-shot service has ended by now. A copy of its container, whose program stops itself, keeps its networks.
fn held(stack: &Stack, unit: &Unit<'_>, extra: &mut Vec<String>) -> Result<Value> {
    let name = format!("{}-{}-held", stack.seen.project.name, unit.name());
    let argv = stack.seen.project.argv(&[
        "run",
        "--detach",
        "--no-deps",
        "--name",
        &name,
        "--entrypoint",
        "sh",
        &unit.name(),
        "-c",
        "kill -STOP $$",
    ]);
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    extra.push(name.clone());
    said(&words)?;
    let answer = stack.engine.ask(&["inspect", &name])?;
    let mut found: Vec<Value> = serde_json::from_str(&answer.stdout)?;
    found.pop().with_context(|| name.clone())
}

/// The server decides whether a connection was accepted: where a container has a way out, a proxy on that way may accept
/// anything. A connection counts when the server's own kernel lists it, from no other container, and did not list it
/// before: another process may hold one.
const SCRIPT: &str = r#"
clients() {
    cat "/proc/$1/net/tcp" "/proc/$1/net/tcp6" 2>/dev/null | awk -v local="$2" -v others="$3" '
        BEGIN { count = split(others, list, ",") }
        substr($2, length($2) - 12) == local && $4 == "01" {
            remote = substr($3, length($3) - 12); other = 0
            for (i = 1; i <= count; i++) if (list[i] == substr(remote, 1, 8)) other = 1
            if (!other) print remote
        }'
}
look() {
    before=" $(clients "$4" "$5" "$6" | tr '\n' ' ')"
    exec 3<>"/dev/tcp/$2/$3" || exit
    for _ in 1 2 3 4 5; do
        for client in $(clients "$4" "$5" "$6"); do
            [[ $before == *" $client "* ]] || { echo "$1"; exit; }
        done
        sleep 0.1
    done
}
export -f clients look
while read -r line; do
    # Word by word on purpose.
    (timeout "$LIMIT" bash -c 'look $1' look "$line") 2>/dev/null &
done
wait
"#;

fn measure(topology: &Topology<'_>, seen: &BTreeMap<String, Value>) -> Result<Measured> {
    let mut measured = Measured::new();
    for from in &topology.units {
        let others: Vec<String> = seen
            .iter()
            .filter(|(name, _)| **name != from.name())
            .flat_map(|(_, found)| addresses(found))
            .filter_map(|address| hexadecimal(&address))
            .collect();
        let mut asked = String::new();
        for to in topology.units.iter().filter(|to| to.name() != from.name()) {
            let server = &seen[&to.name()]["State"]["Pid"];
            for port in &to.service.ports {
                let cell = format!("{}.{}", to.name(), port.name);
                measured.insert((from.name(), cell.clone()), false);
                for address in addresses(&seen[&to.name()]) {
                    let local = hexadecimal(&address).context("an address of IPv4")?;
                    asked.push_str(&format!(
                        "{cell} {address} {} {server} {local}:{:04X} {}\n",
                        port.number,
                        port.number,
                        others.join(",")
                    ));
                }
            }
        }
        let pid = seen[&from.name()]["State"]["Pid"].to_string();
        let script = format!("LIMIT={LIMIT}\n{SCRIPT}");
        let said = said_to(&["nsenter", "--target", &pid, "--net", "bash", "-c", &script], &asked)?;
        for cell in said.lines() {
            measured.insert((from.name(), cell.to_owned()), true);
        }
    }
    Ok(measured)
}

/// As the kernel writes an address in `/proc/net/tcp`: `10.0.0.1` is `0100000A`.
fn hexadecimal(address: &str) -> Option<String> {
    let address: std::net::Ipv4Addr = address.parse().ok()?;
    let [first, second, third, fourth] = address.octets();
    Some(format!("{fourth:02X}{third:02X}{second:02X}{first:02X}"))
}

/// Every address that a container has.
fn addresses(found: &Value) -> BTreeSet<String> {
    let networks = found["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    let addresses = networks.filter_map(|(_, network)| network["IPAddress"].as_str());
    addresses.filter(|address| !address.is_empty()).map(str::to_owned).collect()
}

/// Connections that are open and should not be, and the reverse. Pure.
fn differences(topology: &Topology<'_>, measured: &Measured) -> Vec<String> {
    let limits: BTreeSet<(String, String)> =
        topology.limits().into_iter().map(|limit| (limit.from, limit.to)).collect();
    let mut problems = Vec::new();
    for from in &topology.units {
        for to in topology.units.iter().filter(|to| to.name() != from.name()) {
            for port in &to.service.ports {
                let cell = (from.name(), format!("{}.{}", to.name(), port.name));
                let allowed = topology.allows(from, to, port) && topology.is_open(port);
                let wanted = allowed || limits.contains(&cell);
                match (wanted, measured.get(&cell)) {
                    (true, Some(true)) | (false, Some(false)) => {}
                    (true, Some(false)) => {
                        problems.push(format!("{} cannot reach {}, which its edge allows", cell.0, cell.1));
                    }
                    (false, Some(true)) => {
                        problems.push(format!("{} reaches {}, which no edge allows", cell.0, cell.1));
                    }
                    (_, None) => problems.push(format!("{} to {} was not measured", cell.0, cell.1)),
                }
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use vocabulary::model::topology::Scope;

    use super::*;

    #[test]
    fn every_connection_that_differs_is_reported() {
        let platform = second_platform::platform();
        let topology = Topology::of(&platform, Scope::Rehearsal);
        let mut measured = Measured::new();
        for from in &topology.units {
            for to in topology.units.iter().filter(|to| to.name() != from.name()) {
                for port in &to.service.ports {
                    let cell = (from.name(), format!("{}.{}", to.name(), port.name));
                    measured.insert(cell, topology.reaches(from, to, port));
                }
            }
        }
        assert_eq!(
            differences(&topology, &measured),
            [""; 0],
            "what the networks do is what the edges allow"
        );
        measured.insert(("portal".into(), "store.queries".into()), true);
        measured.insert(("flow-engine-a".into(), "store.queries".into()), false);
        measured.remove(&("oracle".to_owned(), "portal.tls".to_owned()));
        assert_eq!(
            differences(&topology, &measured),
            [
                "portal reaches store.queries, which no edge allows",
                "flow-engine-a cannot reach store.queries, which its edge allows",
                "oracle to portal.tls was not measured",
            ]
        );
    }
}
