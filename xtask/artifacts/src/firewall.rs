//! `rendered/ENV/firewall.nft`: what the host lets in, and in containers also what passes between them and to the outside:
//! exactly what edges, published ports and the site's lists allow.
//!
//! It needs no chain of Docker's, such as `DOCKER-USER`: its chains are asked before Docker's, and what one chain drops no
//! later chain accepts. Published ports bypass the chain of what comes in, because Docker translates their destination
//! first: they are in the chain of what is forwarded.

use core::net::IpAddr;
use std::collections::BTreeMap;

use vocabulary::formats::nftables::{
    Chain, Family, Hook, Key, Match, Networks, Rule, Set, Table, Verdict, refill, write,
};
use vocabulary::model::environment::{EngineKind, Environment, Remote, Tier, Tls};
use vocabulary::model::topology::{Topology, Unit, WayOut};
use vocabulary::model::{Destination, Exposure, Fact, Platform, Protocol, Service, Value};
use vocabulary::problem::Problem;

use crate::artifact::{Artifact, Made, Rendered};

pub const FAMILY: Rendered = Rendered {
    name: "firewall",
    what: "rendered/ENV/firewall.nft: the ruleset of an environment's host, for nftables",
    source: file!(),
    make: generate,
};

/// The addresses of the servers outside, by what the site calls them. A name that is not in it has none.
pub type Resolved = BTreeMap<String, Vec<IpAddr>>;

/// Before the filters of Docker and of the system, which have 0.
const PRIORITY: i16 = -10;
const EGRESS: [&str; 2] = ["egress", "egress6"];
const FLOWS: &str = "flows";
const PUBLISHED: &str = "published";

fn generate(platform: &Platform, environment: &Environment) -> Made {
    let prefix = platform.containers.network_prefix;
    let made = ruleset(platform, environment, prefix, &Resolved::new())?;
    let path = format!("rendered/{}/firewall.nft", environment.name);
    Ok(made.into_iter().map(|text| Artifact::file(path.clone(), text)).collect())
}

/// The whole ruleset; none where the environment has no firewall.
///
/// # Errors
/// A name that nftables does not take.
pub fn ruleset(
    platform: &Platform,
    environment: &Environment,
    prefix: &str,
    resolved: &Resolved,
) -> Result<Option<String>, Vec<Problem>> {
    let Some(tables) = tables(platform, environment, prefix, resolved) else { return Ok(None) };
    let header = [
        format!(
            "Made from ops/environments/{}.toml and the edges of the services; edit those instead.",
            environment.name
        ),
        "It replaces its own tables only. Load it with `nft -f FILE`.".to_owned(),
    ];
    write(&header, &tables).map(Some)
}

/// Only the addresses of the servers outside, for a ruleset that is loaded; none where no rule asks for them.
///
/// # Errors
/// As [`ruleset`].
pub fn addresses(
    platform: &Platform,
    environment: &Environment,
    prefix: &str,
    resolved: &Resolved,
) -> Result<Option<String>, Vec<Problem>> {
    let tables = tables(platform, environment, prefix, resolved).unwrap_or_default();
    let filled = tables.iter().filter_map(|table| {
        let sets: Vec<&Set> = table.sets.iter().filter(|set| EGRESS.contains(&&*set.name)).collect();
        (!sets.is_empty()).then(|| refill(table, &sets))
    });
    let filled = filled.collect::<Result<Vec<_>, _>>()?;
    Ok((!filled.is_empty()).then(|| filled.concat()))
}

/// Where a service may connect to outside of the platform.
pub fn remotes(platform: &Platform, environment: &Environment, service: &Service) -> Vec<Remote> {
    if !service.calls_out() {
        return vec![];
    }
    let asks_model = service.variables.iter().any(|one| one.value == Value::Fact(Fact::LlmBaseUrl));
    let model = environment.llm.as_ref().filter(|_| asks_model);
    let authority = match &environment.tls {
        Tls::Acme(acme) if service.id == platform.edge.service() => Some(acme.directory()),
        _ => None,
    };
    let listed = environment.egress.get(service.id.0).into_iter().flatten();
    let addresses = model.map(|llm| llm.base_url.as_str()).into_iter().chain(authority);
    let mut remotes: Vec<Remote> =
        addresses.filter_map(Remote::of_url).chain(listed.filter_map(|text| Remote::parse(text))).collect();
    remotes.sort();
    remotes.dedup();
    remotes
}

fn tables(
    platform: &Platform,
    environment: &Environment,
    prefix: &str,
    resolved: &Resolved,
) -> Option<Vec<Table>> {
    let firewall = environment.firewall.as_ref().filter(|_| environment.tier != Tier::Development)?;
    let mut host = Table {
        family: Family::Inet,
        name: format!("{}-{}", platform.name, environment.name),
        about: "The host itself.",
        sets: vec![],
        chains: vec![Chain {
            hook: Hook::Input,
            priority: PRIORITY,
            otherwise: Verdict::Drop,
            rules: [
                established(),
                from_containers(environment, prefix),
                own(),
                log_in(&firewall.ssh_from, firewall.ssh_port),
                served(platform, environment),
                last(),
            ]
            .concat(),
        }],
    };
    match environment.engine {
        EngineKind::Kubernetes => None,
        EngineKind::Process => {
            if !environment.runs_as_root() {
                let (sets, chain) = of_user(platform, environment, resolved);
                host.sets.extend(sets);
                host.chains.push(chain);
            }
            Some(vec![host])
        }
        EngineKind::Compose => {
            let topology = Topology::deployed(platform, environment);
            host.sets = vec![
                flows(&topology, prefix),
                published(&topology, prefix),
                egress(&topology, environment, prefix, resolved),
            ];
            host.chains.push(forwarded(&topology, environment, prefix));
            Some(vec![host.clone(), between(&host, &topology, prefix)])
        }
    }
}

fn rule(when: impl Into<Vec<Match>>, then: Verdict, why: &'static str) -> Rule {
    Rule { when: when.into(), then, why }
}

fn established() -> Vec<Rule> {
    vec![
        rule([Match::Established], Verdict::Accept, "Answers."),
        rule([Match::Invalid], Verdict::Drop, "Part of no connection."),
    ]
}

/// Not even where operators may come from everywhere.
fn from_containers(environment: &Environment, prefix: &str) -> Vec<Rule> {
    if environment.engine != EngineKind::Compose {
        return vec![];
    }
    let networks = Networks::V4(vec![format!("{prefix}.0.0/16")]);
    vec![rule([Match::From(networks)], Verdict::Drop, "Containers need nothing of the host.")]
}

fn own() -> Vec<Rule> {
    const NEIGHBOURS: &[&str] =
        &["nd-neighbor-solicit", "nd-neighbor-advert", "nd-router-advert", "mld-listener-query"];
    let echo = |one: Match| vec![one, Match::AtMostPerSecond(10)];
    vec![
        rule([Match::FromLoopback], Verdict::Accept, "The host, to itself."),
        rule(echo(Match::Icmp(&["echo-request"])), Verdict::Accept, "ping."),
        rule(echo(Match::Icmp6(&["echo-request"])), Verdict::Accept, "ping."),
        rule([Match::Icmp6(NEIGHBOURS)], Verdict::Accept, "IPv6 does not work without."),
        rule([Match::Dhcp6], Verdict::Accept, "Answers of a DHCP server, which come from another address."),
    ]
}

fn log_in(from: &[String], port: u16) -> Vec<Rule> {
    let (v6, v4): (Vec<String>, Vec<String>) = from.iter().cloned().partition(|one| one.contains(':'));
    let networks = [Networks::V4(v4), Networks::V6(v6)].into_iter().filter(|networks| match networks {
        Networks::V4(some) | Networks::V6(some) => !some.is_empty(),
    });
    networks
        .map(|networks| rule([Match::From(networks), Match::ToTcp(vec![port])], Verdict::Accept, "SSH."))
        .collect()
}

/// Processes listen on the host. Docker, too, has a program listen there for what it does not translate, such as IPv6.
fn served(platform: &Platform, environment: &Environment) -> Vec<Rule> {
    match served_ports(platform, environment) {
        ports if ports.is_empty() => vec![],
        ports => vec![rule([Match::ToTcp(ports)], Verdict::Accept, "What the edge serves.")],
    }
}

/// The ports of the host at which other machines are served.
fn served_ports(platform: &Platform, environment: &Environment) -> Vec<u16> {
    let default = (environment.engine == EngineKind::Compose).then(Default::default);
    let Some(listen) = environment.listen.clone().or(default) else { return vec![] };
    let public = platform.services.iter().flat_map(|service| &service.ports);
    let public = public.filter(|port| port.exposure == Exposure::Public);
    let number = public.filter_map(|port| match port.protocol {
        Protocol::Http => Some(listen.http),
        Protocol::Https => Some(listen.https),
        Protocol::Tcp => None,
    });
    number.collect()
}

fn last() -> Vec<Rule> {
    vec![rule([Match::AtMostPerSecond(5)], Verdict::Log, "The rest is dropped, and some of it logged.")]
}

/// The services of the process engine have one user.
fn of_user(platform: &Platform, environment: &Environment, resolved: &Resolved) -> (Vec<Set>, Chain) {
    let user = environment.hosts.first().map(|host| host.ssh_user.clone()).unwrap_or_default();
    let mine = || Match::User(user.clone());
    let mut sets = [Key::Destination, Key::Destination6].map(|key| vec![key, Key::TcpTo]).map(|keys| Set {
        name: EGRESS[usize::from(keys[0] == Key::Destination6)].to_owned(),
        about: "Servers outside that services may connect to.".to_owned(),
        keys,
        elements: vec![],
    });
    for unit in platform.units(environment).iter().filter(|unit| unit.is_first()) {
        for remote in remotes(platform, environment, unit.service) {
            for address in resolved.get(&remote.host).into_iter().flatten() {
                let element = vec![address.to_string(), remote.port.to_string()];
                let elements = &mut sets[usize::from(address.is_ipv6())].elements;
                if !elements.contains(&element) {
                    elements.push(element);
                }
            }
        }
    }
    let listed = sets.iter().map(|set| {
        let asked = Match::In { keys: set.keys.clone(), set: set.name.clone() };
        rule([mine(), asked], Verdict::Accept, "A listed server.")
    });
    let before = vec![
        rule([Match::Established], Verdict::Accept, "Answers."),
        rule([Match::ToLoopback], Verdict::Accept, "The services, to each other."),
        rule([mine(), Match::ToDns], Verdict::Accept, "Names have to be looked up."),
    ];
    let after = vec![
        rule([mine(), Match::AtMostPerSecond(5)], Verdict::Log, "Some of what is refused."),
        rule([mine()], Verdict::Reject, "The services reach nothing else. Other users are not held back."),
    ];
    let rules = before.into_iter().chain(listed).chain(after).collect();
    (sets.to_vec(), Chain { hook: Hook::Output, priority: PRIORITY, otherwise: Verdict::Accept, rules })
}

/// From which container to which, at which port: one element for each edge between two of them.
fn flows(topology: &Topology<'_>, prefix: &str) -> Set {
    let mut elements = Vec::new();
    for from in &topology.units {
        for to in topology.units.iter().filter(|to| to.name() != from.name()) {
            let ports = to.service.ports.iter();
            for port in ports.filter(|port| topology.is_open(port) && topology.allows(from, to, port)) {
                let Some(network) = topology.between(from, to) else { continue };
                let address =
                    |unit: &Unit<'_>| Some(format!("{prefix}.{}", topology.address(&unit.name(), network)?));
                if let (Some(client), Some(server)) = (address(from), address(to)) {
                    elements.push(vec![client, server, port.number.to_string()]);
                }
            }
        }
    }
    Set {
        name: FLOWS.to_owned(),
        about: "The edges: from a container, to another, at a port.".to_owned(),
        keys: vec![Key::Source, Key::Destination, Key::TcpTo],
        elements,
    }
}

/// The addresses from which a container reaches the outside.
fn outside<'a>(
    topology: &'a Topology<'_>,
    unit: &Unit<'_>,
    prefix: &str,
) -> impl Iterator<Item = String> + 'a {
    let (name, prefix) = (unit.name(), prefix.to_owned());
    let open = topology.networks.iter().filter(|network| network.way_out == WayOut::Open);
    open.filter_map(move |network| Some(format!("{prefix}.{}", topology.address(&name, network)?)))
}

fn published(topology: &Topology<'_>, prefix: &str) -> Set {
    let elements = topology.units.iter().flat_map(|unit| {
        let public = unit.service.ports.iter().filter(|port| port.exposure == Exposure::Public);
        let numbers: Vec<_> = public.map(|port| port.number.to_string()).collect();
        outside(topology, unit, prefix).flat_map(move |address| {
            let element = |number: &String| vec![address.clone(), number.clone()];
            numbers.iter().map(element).collect::<Vec<_>>()
        })
    });
    Set {
        name: PUBLISHED.to_owned(),
        about: "Where Docker sends what comes to a published port.".to_owned(),
        keys: vec![Key::Destination, Key::TcpTo],
        elements: elements.collect(),
    }
}

fn egress(topology: &Topology<'_>, environment: &Environment, prefix: &str, resolved: &Resolved) -> Set {
    let mut elements = Vec::new();
    for unit in &topology.units {
        for remote in remotes(topology.platform, environment, unit.service) {
            // The networks are of IPv4.
            let addresses = resolved.get(&remote.host).into_iter().flatten();
            for address in addresses.filter(|address| address.is_ipv4()) {
                for own in outside(topology, unit, prefix) {
                    let element = vec![own, address.to_string(), remote.port.to_string()];
                    if !elements.contains(&element) {
                        elements.push(element);
                    }
                }
            }
        }
    }
    Set {
        name: EGRESS[0].to_owned(),
        about: "From a container, to a server outside, at a port.".to_owned(),
        keys: vec![Key::Source, Key::Destination, Key::TcpTo],
        elements,
    }
}

fn forwarded(topology: &Topology<'_>, environment: &Environment, prefix: &str) -> Chain {
    let set = |keys: &[Key], name: &str| Match::In { keys: keys.to_vec(), set: name.to_owned() };
    let whole = [Key::Source, Key::Destination, Key::TcpTo];
    let mut rules = established();
    rules.push(rule([set(&whole, FLOWS)], Verdict::Accept, "An edge, where bridges ask these chains too."));
    let containers = || Networks::V4(vec![format!("{prefix}.0.0/16")]);
    rules.push(rule(
        [Match::From(containers()), Match::To(containers())],
        Verdict::Drop,
        "No other way from one container to another, such as by a published port.",
    ));
    let ports = served_ports(topology.platform, environment);
    if !ports.is_empty() {
        let to = set(&whole[1..], PUBLISHED);
        let when = [Match::Translated, Match::OriginalTcpTo(ports), to];
        rules.push(rule(when, Verdict::Accept, "A published port."));
    }
    rules.push(rule([set(&whole, EGRESS[0])], Verdict::Accept, "A listed server outside."));
    let callers = topology
        .units
        .iter()
        .filter(|unit| unit.service.edges.iter().any(|edge| edge.to == Destination::Internet));
    let callers: Vec<String> = callers.flat_map(|unit| outside(topology, unit, prefix)).collect();
    if !callers.is_empty() {
        let when = [Match::From(Networks::V4(callers)), Match::ToDns];
        rules.push(rule(when, Verdict::Accept, "Names have to be looked up."));
    }
    rules.extend(last());
    Chain { hook: Hook::Forward, priority: PRIORITY, otherwise: Verdict::Drop, rules }
}

/// Two containers of one network reach each other without the host's routing: the bridge itself must hold them back. Not
/// every kernel follows connections there, so what belongs to one is known by its ports and flags.
fn between(host: &Table, topology: &Topology<'_>, prefix: &str) -> Table {
    let set = |keys: [Key; 3]| Match::In { keys: keys.to_vec(), set: FLOWS.to_owned() };
    let answers = vec![set([Key::Destination, Key::Source, Key::TcpFrom]), Match::OpensNothing];
    Table {
        family: Family::Bridge,
        name: host.name.clone(),
        about: "From container to container.",
        sets: vec![flows(topology, prefix)],
        chains: vec![Chain {
            hook: Hook::Forward,
            priority: PRIORITY,
            otherwise: Verdict::Drop,
            rules: vec![
                rule([Match::Arp], Verdict::Accept, "Addresses are found by it."),
                rule([set([Key::Source, Key::Destination, Key::TcpTo])], Verdict::Accept, "An edge."),
                rule(answers, Verdict::Accept, "Answers."),
            ],
        }],
    }
}
