//! The ruleset of a host's firewall, loaded into a host and containers of network namespaces: what can connect to what is
//! measured, and must be what the model says.
//!
//! Every container listens on every port and has a way to every other, so that nothing but the ruleset holds it back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use artifacts::firewall::{Resolved, addresses, ruleset};
use serde_json::{Value, json};
use vocabulary::model::Platform;
use vocabulary::model::environment::{EngineKind, Environment, Firewall, Host, Listen, LlmProvider, Tier};
use vocabulary::model::topology::{Network, Topology, WayOut};

use crate::containers::repository;

const PREFIX: &str = "10.203";
const OPERATORS: &str = "192.0.2";
const STRANGERS: &str = "198.51.100";
const OUTSIDE: &str = "203.0.113";
const USER: &str = "nobody";
/// Nobody declares this port.
const UNDECLARED: u16 = 9999;
/// Where something of the host listens that nobody outside may reach.
const HOST: [u16; 5] = [22, 1883, 5432, 8443, UNDECLARED];

/// Who, where, at which port.
type Cells = BTreeSet<(String, String, u16)>;

fn environment(engine: EngineKind) -> Environment {
    Environment {
        name: "qa".to_owned(),
        tier: Tier::Staging,
        engine,
        hosts: vec![Host { ssh_user: USER.to_owned(), ..Host::default() }],
        listen: Some(Listen { address: "0.0.0.0".to_owned(), ..Listen::default() }),
        firewall: Some(Firewall { ssh_from: vec![format!("{OPERATORS}.0/24")], ..Firewall::default() }),
        llm: Some(LlmProvider { base_url: "https://provider/v1".to_owned(), ..LlmProvider::default() }),
        egress: [("node-red".to_owned(), vec!["other:8443".to_owned()])].into(),
        ..Environment::default()
    }
}

fn resolved() -> Resolved {
    let address = |last: u8| vec![format!("{OUTSIDE}.{last}").parse().unwrap()];
    [("provider".to_owned(), address(2)), ("other".to_owned(), address(3))].into()
}

fn nft() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--root")
        .arg(repository())
        .args(["doctor", "--install", "nft", "--json"])
        .output()
        .unwrap();
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let found = findings.as_array().unwrap().iter().find(|one| one["program"] == "nft").unwrap();
    found["path"].as_str().unwrap_or_else(|| panic!("{found}")).to_owned()
}

/// None where this machine allows no namespaces, or, for a plan with users, where the caller is not root.
fn measured(plan: &Value) -> Option<BTreeMap<String, Vec<(String, u16)>>> {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root && plan["users"] != json!([]) {
        eprintln!("the caller is not root: nothing was measured");
        return None;
    }
    let mapped: &[&str] = if is_root { &[] } else { &["--map-root-user"] };
    let probe = Command::new("unshare").args(mapped).args(["--net", "true"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("this machine allows no network namespaces: nothing was measured");
        return None;
    }
    let nft = plan["nft"].as_str().unwrap();
    let libraries = Path::new(nft).ancestors().nth(2).unwrap();
    let libraries = libraries.join(format!("lib/{}-linux-gnu", std::env::consts::ARCH));
    let script = repository().join("xtask/tests/fixtures/firewall_matrix.py");
    let mut child = Command::new("unshare")
        .args(mapped)
        .args(["--net", "python3"])
        .arg(script)
        .env("LD_LIBRARY_PATH", libraries)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(plan.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// A host with containers, an operator, a stranger, and two servers outside.
struct Machine<'a> {
    topology: Topology<'a>,
    environment: Environment,
    nft: String,
}

impl<'a> Machine<'a> {
    fn of(platform: &'a Platform) -> Self {
        let environment = environment(EngineKind::Compose);
        Self { topology: Topology::deployed(platform, &environment), environment, nft: nft() }
    }

    fn ruleset(&self) -> String {
        ruleset(self.topology.platform, &self.environment, PREFIX, &resolved()).unwrap().unwrap()
    }

    fn address(&self, unit: &str, network: &Network) -> String {
        format!("{PREFIX}.{}", self.topology.address(unit, network).unwrap())
    }

    fn ports(&self) -> BTreeSet<u16> {
        let declared = self.topology.units.iter().flat_map(|unit| &unit.service.ports);
        declared.map(|port| port.number).chain([22, 53, 80, 443, 8443, UNDECLARED]).collect()
    }

    /// The name of who has an address.
    fn owners(&self) -> BTreeMap<String, String> {
        let networks = self.topology.networks.iter();
        let own = networks.flat_map(|network| {
            network.members.iter().map(|name| (self.address(name, network), name.clone()))
        });
        let outside = [
            (OPERATORS, "operator", 2),
            (STRANGERS, "stranger", 2),
            (OUTSIDE, "provider", 2),
            (OUTSIDE, "other", 3),
        ]
        .map(|(net, name, last)| (format!("{net}.{last}"), name.to_owned()));
        let gateways = self.topology.networks.iter().map(gateway);
        let hosts = gateways.chain([OPERATORS, STRANGERS, OUTSIDE].map(|net| format!("{net}.1")));
        own.chain(outside).chain(hosts.map(|address| (address, "host".to_owned()))).collect()
    }

    fn plan(&self, ruleset: &str, bridges_ask: u8) -> Value {
        let names: Vec<String> = self.topology.units.iter().map(|unit| unit.name()).collect();
        let others = ["operator", "stranger", "provider", "other"].map(str::to_owned);
        let everybody = || names.iter().chain(&others);
        let mut networks: Vec<Value> = Vec::new();
        let mut routed: BTreeSet<&String> = BTreeSet::new();
        // A container leaves by the network that leads outside, where it has one.
        let mut sorted: Vec<&Network> = self.topology.networks.iter().collect();
        sorted.sort_by_key(|network| network.way_out == WayOut::Closed);
        for network in sorted {
            let default = network.members.iter().all(|name| routed.insert(name));
            let members: BTreeMap<_, _> =
                network.members.iter().map(|name| (name, self.address(name, network))).collect();
            networks.push(json!({ "gateway": format!("{}/29", gateway(network)), "members": members, "default": default }));
        }
        for (net, members) in [
            (OPERATORS, &[("operator", 2)][..]),
            (STRANGERS, &[("stranger", 2)]),
            (OUTSIDE, &[("provider", 2), ("other", 3)]),
        ] {
            let members: BTreeMap<_, _> =
                members.iter().map(|(name, last)| (*name, format!("{net}.{last}"))).collect();
            networks.push(json!({ "gateway": format!("{net}.1/24"), "members": members, "default": true }));
        }
        let owners = self.owners();
        let tries: BTreeMap<_, _> = everybody()
            .map(|from| {
                let aims = owners.iter().filter(|(_, owner)| *owner != from);
                let aims =
                    aims.flat_map(|(address, _)| self.ports().into_iter().map(move |port| (address, port)));
                (from, aims.collect::<Vec<_>>())
            })
            .collect();
        let places: BTreeMap<_, _> = everybody().map(|name| (name, self.ports())).collect();
        json!({
            "nft": self.nft, "bridges_ask": bridges_ask, "places": places, "networks": networks, "host": HOST, "users": [],
            "rulesets": [self.docker(), ruleset], "tries": tries,
        })
    }

    /// Published ports, as Docker has them, and that it lets them and everything else pass.
    fn docker(&self) -> String {
        let edge = self.topology.platform.edge.service();
        let outside = self.topology.network(&format!("{edge}--outside")).unwrap();
        let edge = self.address(edge.0, outside);
        format!(
            "table ip docker {{\n\tchain nat {{\n\t\ttype nat hook prerouting priority -100\n\t\tfib daddr type local tcp dport 80 \
             dnat to {edge}:8080\n\t\tfib daddr type local tcp dport 443 dnat to {edge}:8443\n\t}}\n\tchain forward \
             {{\n\t\ttype filter hook forward priority 0; policy accept\n\t}}\n}}\n"
        )
    }

    /// Who reaches what, by names.
    fn reached(&self, ruleset: &str, bridges_ask: u8) -> Option<Cells> {
        let owners = self.owners();
        let cells = |(from, aims): (String, Vec<(String, u16)>)| {
            aims.into_iter()
                .map(|(address, port)| (from.clone(), owners[&address].clone(), port))
                .collect::<Vec<_>>()
        };
        Some(measured(&self.plan(ruleset, bridges_ask))?.into_iter().flat_map(cells).collect())
    }

    /// What the model says.
    fn declared(&self) -> Cells {
        let mut cells = Cells::new();
        let topology = &self.topology;
        for from in &topology.units {
            for to in topology.units.iter().filter(|to| to.name() != from.name()) {
                let ports = to.service.ports.iter().filter(|port| topology.allows(from, to, port));
                cells.extend(ports.map(|port| (from.name(), to.name(), port.number)));
            }
            if from.service.calls_out() {
                // Names are looked up anywhere.
                let outside = ["operator", "stranger", "provider", "other"];
                cells.extend(outside.map(|to| (from.name(), to.to_owned(), 53)));
            }
            if from.service.id == topology.platform.workers.service() {
                cells.extend(
                    [("provider", 443), ("other", 8443)].map(|(to, port)| (from.name(), to.to_owned(), port)),
                );
            }
        }
        let served = |from: &str, ports: &[u16]| {
            ports.iter().map(|port| (from.to_owned(), "host".to_owned(), *port)).collect::<Vec<_>>()
        };
        cells.extend(served("operator", &[22, 80, 443]));
        for from in ["stranger", "provider", "other"] {
            cells.extend(served(from, &[80, 443]));
        }
        cells
    }
}

fn gateway(network: &Network) -> String {
    let subnet = Topology::subnet(network);
    let (address, _) = subnet.split_once('/').unwrap();
    let (start, last) = address.rsplit_once('.').unwrap();
    format!("{PREFIX}.{start}.{}", last.parse::<u16>().unwrap() + 1)
}

#[track_caller]
fn same(measured: &Cells, declared: &Cells) {
    let more: Vec<_> = measured.difference(declared).collect();
    let less: Vec<_> = declared.difference(measured).collect();
    assert!(
        more.is_empty() && less.is_empty(),
        "reached, undeclared: {more:#?}\ndeclared, not reached: {less:#?}"
    );
}

#[test]
fn exactly_what_the_model_declares_can_be_reached_between_containers_the_host_and_outside() {
    let platform = platform::platform();
    let machine = Machine::of(&platform);
    // Docker has bridges ask the host's chains, or not, by its version and settings.
    for bridges_ask in [0, 1] {
        let Some(measured) = machine.reached(&machine.ruleset(), bridges_ask) else { return };
        same(&measured, &machine.declared());
    }
}

#[test]
fn a_ruleset_that_allows_more_or_less_is_noticed() {
    let platform = platform::platform();
    let machine = Machine::of(&platform);
    let (good, declared) = (machine.ruleset(), machine.declared());
    let rule = |contains: &str| good.lines().find(|line| line.contains(contains)).unwrap();
    let without = |line: &str| good.replace(&format!("{line}\n"), "");
    let containers = format!("ip saddr {{ {PREFIX}.0.0/16 }} ip daddr {{ {PREFIX}.0.0/16 }} drop");
    let faults = [
        ("no ruleset", String::new()),
        ("an edge is missing", without(rule(" . 5432,"))),
        ("another port", good.replace(" . 5432,", &format!(" . {UNDECLARED},"))),
        ("by a published port", without(rule(&containers))),
        ("between neighbours", good.replace("priority -10; policy drop", "priority -10; policy accept")),
    ];
    for (name, fault) in &faults {
        assert_ne!(*fault, good, "{name}");
        let Some(measured) = machine.reached(fault, 0) else { return };
        assert_ne!(measured, declared, "{name} is not noticed");
    }
}

#[test]
fn a_host_of_processes_serves_the_edge_alone_and_its_services_reach_listed_servers_alone() {
    let (platform, environment) = (platform::platform(), environment(EngineKind::Process));
    let loaded = ruleset(&platform, &environment, PREFIX, &Resolved::new()).unwrap().unwrap();
    // As when addresses change.
    let filled = addresses(&platform, &environment, PREFIX, &resolved()).unwrap().unwrap();
    let nets = [
        (OPERATORS, json!({ "operator": format!("{OPERATORS}.2") })),
        (STRANGERS, json!({ "stranger": format!("{STRANGERS}.2") })),
        (OUTSIDE, json!({ "provider": format!("{OUTSIDE}.2"), "other": format!("{OUTSIDE}.3") })),
    ];
    let networks = nets.map(
        |(net, members)| json!({ "gateway": format!("{net}.1/24"), "members": members, "default": true }),
    );
    let servers = [443, 8443, UNDECLARED];
    let tried = |address: &str, ports: &[u16]| -> Vec<(String, u16)> {
        ports.iter().map(|port| (address.to_owned(), *port)).collect()
    };
    let host = [22, 80, 443, 5432];
    let outwards = || {
        let provider = tried(&format!("{OUTSIDE}.2"), &servers);
        let other = tried(&format!("{OUTSIDE}.3"), &servers);
        [provider, other, tried("127.0.0.1", &[5432])].concat()
    };
    let plan = json!({
        "nft": nft(), "bridges_ask": 0, "networks": networks, "host": host, "users": [USER, "root"],
        "places": { "operator": [], "stranger": [], "provider": servers, "other": servers },
        "rulesets": [loaded, filled],
        "tries": {
            "operator": tried(&format!("{OPERATORS}.1"), &host),
            "stranger": tried(&format!("{STRANGERS}.1"), &host),
            USER: outwards(), "root": outwards(),
        },
    });
    let Some(mut measured) = measured(&plan) else { return };
    let mut of = |name: &str| measured.remove(name).unwrap();
    assert_eq!(of("operator"), tried(&format!("{OPERATORS}.1"), &[22, 80, 443]));
    assert_eq!(of("stranger"), tried(&format!("{STRANGERS}.1"), &[80, 443]));
    let listed =
        [(format!("{OUTSIDE}.2"), 443), (format!("{OUTSIDE}.3"), 8443), ("127.0.0.1".to_owned(), 5432)];
    assert_eq!(of(USER), listed);
    assert_eq!(of("root"), outwards(), "other users are not held back");
}
