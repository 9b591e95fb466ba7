//! Who runs beside whom in containers, and in which networks: derived from the edges, never listed.
//!
//! Every client and server that an edge joins have a network of their own with nobody else in it, and a port is
//! bound in the networks of its clients alone. So an address is known before anything runs, and what a network
//! cannot forbid, the missing socket does. What remains open all the same is an [`EngineLimit`].

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::Serialize;

use super::environment::{EdgeSettings, EngineKind, Environment, LlmProvider, Tier};
use super::{Destination, Exposure, Platform, Port, PortRef, SecretRef, ServiceId, Shape};
use crate::problem::Problem;

/// Which services run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One replica of each, unless the site asks for more; the developer, on the host, takes the place of clients that do not run.
    Development,
    Production,
    /// Production with the stand-ins for what is outside of it, to rehearse and to test.
    Rehearsal,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Development, Self::Production, Self::Rehearsal];

    /// The scope of an environment: who names no provider of a model gets the stand-ins.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        match (environment.tier, &environment.llm) {
            (Tier::Development, _) => Self::Development,
            (_, Some(_)) => Self::Production,
            (_, None) => Self::Rehearsal,
        }
    }

    #[must_use]
    pub fn tier(self) -> Tier {
        if self == Self::Development { Tier::Development } else { Tier::Production }
    }

    /// The environment that decides nothing by itself and has this scope: the committed files are made for it.
    #[must_use]
    pub fn environment(self) -> Environment {
        Environment {
            tier: self.tier(),
            engine: EngineKind::Compose,
            llm: (self == Self::Production).then(LlmProvider::default),
            ..Environment::default()
        }
    }
}

/// One container: a unit with its shape.
#[derive(Debug, Clone, Copy)]
pub struct Unit<'a> {
    pub unit: super::Unit<'a>,
    pub shape: &'a Shape,
}

impl<'a> Deref for Unit<'a> {
    type Target = super::Unit<'a>;

    fn deref(&self) -> &super::Unit<'a> {
        &self.unit
    }
}

/// One network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    pub name: String,
    /// Names of units. The n-th has the n-th free address.
    pub members: Vec<String>,
    pub way_out: WayOut,
    /// Whether the host has an address in it, and so whether an operator reaches the members.
    pub host: bool,
    /// Its place in the platform's address range, in steps of 8 addresses.
    pub slot: u16,
}

/// Whether a network leads anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WayOut {
    Closed,
    /// To every address that the host has a route to, and with the ports that the host publishes.
    Open,
}

/// Where a port is bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// Nobody but the container's own health check asks.
    Loopback,
    /// At the unit's address in this network.
    Network(String),
    /// At every address, because clients come from several networks.
    Everywhere,
}

/// What an engine leaves open although no edge allows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EngineLimit {
    /// A unit.
    pub from: String,
    /// `unit.port`, or in words.
    pub to: String,
    pub why: &'static str,
}

/// The containers of one scope with their networks.
#[derive(Debug, Clone)]
pub struct Topology<'a> {
    pub platform: &'a Platform,
    pub scope: Scope,
    /// Whether releases are rolled out to it: replicas can be held, and the host reaches their operations ports and the
    /// folder of the edge.
    pub deployed: bool,
    /// What the site says of its edge.
    pub edge: EdgeSettings,
    /// Secrets of channels to people that the site does not have: there is no file of them.
    pub without: Vec<SecretRef>,
    pub units: Vec<Unit<'a>>,
    pub networks: Vec<Network>,
}

/// A network holds 8 addresses: its own, the gateway's, the broadcast's, and five for members.
const STEP: u16 = 8;
const SLOTS: u16 = 8192;
/// The first address of a member, after the network's own and the gateway's.
const FIRST_MEMBER: u16 = 2;

impl<'a> Topology<'a> {
    /// The containers of the environment that the scope stands for.
    #[must_use]
    pub fn of(platform: &'a Platform, scope: Scope) -> Self {
        Self::in_environment(platform, &scope.environment())
    }

    /// The containers of an environment.
    #[must_use]
    pub fn in_environment(platform: &'a Platform, environment: &Environment) -> Self {
        let environment = in_containers(environment);
        Self::without_networks(platform, &environment, platform.units(&environment), false).joined()
    }

    /// The containers of an environment that releases are rolled out to: one for each slot.
    #[must_use]
    pub fn deployed(platform: &'a Platform, environment: &Environment) -> Self {
        Self::of_slots(platform, environment, platform.slots(&in_containers(environment)))
    }

    /// The same of some of its slots.
    #[must_use]
    pub fn of_slots(platform: &'a Platform, environment: &Environment, slots: Vec<super::Unit<'a>>) -> Self {
        Self::without_networks(platform, &in_containers(environment), slots, true).joined()
    }

    fn joined(self) -> Self {
        let (mut topology, platform) = (self.clone(), self.platform);
        topology.networks = topology.derive();
        let slots = slots(platform, &topology.networks);
        for network in &mut topology.networks {
            network.slot = slots[&network.name];
        }
        topology
    }

    fn without_networks(
        platform: &'a Platform,
        environment: &Environment,
        units: Vec<super::Unit<'a>>,
        deployed: bool,
    ) -> Self {
        let units =
            units.into_iter().filter_map(|unit| Some(Unit { unit, shape: unit.service.container.shape()? }));
        let scope = Scope::of(environment);
        let edge = environment.edge.clone();
        // In development all secrets are made.
        let channels = platform.monitoring.filter(|_| environment.tier != Tier::Development);
        let channels = channels.into_iter().flat_map(|monitoring| monitoring.channels(environment));
        let without = channels.filter(|(_, setting)| setting.is_none()).map(|(secret, _)| secret).collect();
        Topology { platform, scope, deployed, edge, without, units: units.collect(), networks: vec![] }
    }

    #[must_use]
    pub fn unit(&self, name: &str) -> Option<&Unit<'a>> {
        self.units.iter().find(|unit| unit.name() == name)
    }

    /// The first replica of a service.
    ///
    /// # Errors
    /// None runs in this scope.
    pub fn first(&self, service: ServiceId) -> Result<&Unit<'a>, Problem> {
        self.units
            .iter()
            .find(|unit| unit.service.id == service)
            .ok_or_else(|| Problem::new(format!("service {service}"), "none of it runs here"))
    }

    #[must_use]
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// The networks of a unit.
    pub fn networks_of(&self, unit: &super::Unit<'_>) -> impl Iterator<Item = &Network> {
        let name = unit.name();
        self.networks.iter().filter(move |network| network.members.contains(&name))
    }

    /// Whether a port is opened at all.
    #[must_use]
    pub fn is_open(&self, port: &Port) -> bool {
        port.exposure != Exposure::Development || self.scope == Scope::Development
    }

    /// Whether somebody on the host reaches a unit's port.
    #[must_use]
    pub fn host_reaches(&self, unit: &super::Unit<'_>, port: &Port) -> bool {
        let reference = PortRef { service: unit.service.id, name: port.name };
        match (self.scope, port.exposure) {
            (_, Exposure::Operator) | (Scope::Development, Exposure::Development) => true,
            (Scope::Development, _) => {
                self.clients(unit, reference).next().is_none()
                    && self.platform.edges().any(|(_, edge)| edge.to == Destination::Port(reference))
            }
            _ => false,
        }
    }

    /// Whether a port is published on the host's loopback address: for a developer, and for who rolls releases out, and asks what
    /// was logged and what fires. The secret store's is not: its network would need a way out. Who reads the secrets for the
    /// containers asks the container itself.
    #[must_use]
    pub fn on_loopback(&self, unit: &super::Unit<'_>, port: &Port) -> bool {
        let reference = PortRef { service: unit.service.id, name: port.name };
        let monitoring = self.platform.monitoring;
        let asked = [
            Some(self.platform.workers.operations),
            self.platform.log_store.map(|store| store.api),
            monitoring.map(|monitoring| monitoring.scraper),
            monitoring.map(|monitoring| monitoring.notifier),
            monitoring.and_then(|monitoring| monitoring.viewer).map(|viewer| viewer.web),
        ];
        let is_store = self.platform.secret_store.is_some_and(|store| store.api == reference);
        let by_developer =
            self.scope == Scope::Development && self.is_open(port) && self.host_reaches(unit, port);
        (by_developer && !is_store) || (self.deployed && asked.contains(&Some(reference)))
    }

    /// Where a unit binds a port that is open.
    #[must_use]
    pub fn binding(&self, unit: &super::Unit<'_>, port: &Port) -> Binding {
        let mut networks: Vec<_> = self.asks(unit, port).into_iter().map(|ask| ask.name).collect();
        networks.dedup();
        match networks.as_slice() {
            [] => Binding::Loopback,
            [only] => Binding::Network(only.clone()),
            _ => Binding::Everywhere,
        }
    }

    /// The last two numbers of a unit's address in a network, and the length of the network's prefix.
    #[must_use]
    pub fn address(&self, unit: &str, network: &Network) -> Option<String> {
        let position = network.members.iter().position(|member| member == unit)?;
        Some(tail(network.slot * STEP + FIRST_MEMBER + u16::try_from(position).ok()?))
    }

    /// The last two numbers of a network's own address.
    #[must_use]
    pub fn subnet(network: &Network) -> String {
        format!("{}/29", tail(network.slot * STEP))
    }

    /// The network in which a client finds a server.
    #[must_use]
    pub fn between(&self, left: &super::Unit<'_>, right: &super::Unit<'_>) -> Option<&Network> {
        self.network(&self.pair(left, right))
    }

    /// Whether packets of `from` find a socket at the port.
    #[must_use]
    pub fn reaches(&self, from: &super::Unit<'_>, to: &super::Unit<'_>, port: &Port) -> bool {
        if !self.is_open(port) {
            return false;
        }
        let (from, to_name) = (from.name(), to.name());
        let binding = self.binding(to, port);
        self.networks
            .iter()
            .filter(|network| network.members.contains(&from) && network.members.contains(&to_name))
            .any(|network| match &binding {
                Binding::Loopback => false,
                Binding::Network(bound) => *bound == network.name,
                Binding::Everywhere => true,
            })
    }

    /// Whether an edge allows it.
    #[must_use]
    pub fn allows(&self, from: &super::Unit<'_>, to: &super::Unit<'_>, port: &Port) -> bool {
        from.has_edge(Destination::Port(PortRef { service: to.service.id, name: port.name }))
    }

    /// Everything that stays open without an edge.
    #[must_use]
    pub fn limits(&self) -> Vec<EngineLimit> {
        let mut limits = Vec::new();
        for from in &self.units {
            for to in self.units.iter().filter(|to| to.name() != from.name()) {
                for port in &to.service.ports {
                    if self.reaches(from, to, port) && !self.allows(from, to, port) {
                        limits.push(EngineLimit {
                            from: from.name(),
                            to: format!("{}.{}", to.name(), port.name),
                            why: "the port is bound at every address, and the two share a network for another port",
                        });
                    }
                }
            }
            let mut networks = self.networks_of(from);
            if networks.any(|network| network.way_out == WayOut::Open) {
                limits.push(EngineLimit {
                    from: from.name(),
                    to: "every address that the host has a route to, and the host's own sockets except on loopback"
                        .to_owned(),
                    why: "a bridge network with a way out cannot restrict destinations: the edge to the internet, or \
                          the published port, opens all of them",
                });
            } else if self.networks_of(from).any(|network| network.host) {
                limits.push(EngineLimit {
                    from: from.name(),
                    to: "the host's own sockets except on loopback".to_owned(),
                    why: "the host has an address in a network through which an operator reaches a service",
                });
            }
        }
        limits
    }

    /// The units of this scope that may talk to a port.
    fn clients(&self, server: &super::Unit<'_>, port: PortRef) -> impl Iterator<Item = &Unit<'a>> {
        let server = server.name();
        self.units.iter().filter(move |unit| unit.name() != server && unit.has_edge(Destination::Port(port)))
    }

    /// The networks that a port asks for.
    fn asks(&self, unit: &super::Unit<'_>, port: &Port) -> Vec<Ask> {
        if !self.is_open(port) {
            return vec![];
        }
        let name = unit.name();
        let reference = PortRef { service: unit.service.id, name: port.name };
        let host = self.host_reaches(unit, port);
        let mut asks: Vec<_> = self
            .clients(unit, reference)
            .map(|client| Ask {
                name: self.pair(client, unit),
                members: vec![name.clone(), client.name()],
                way_out: WayOut::Closed,
                host,
            })
            .collect();
        // In a network of the service's clients, the engine publishes nothing.
        let alone = asks.is_empty() || self.scope == Scope::Development || self.on_loopback(unit, port);
        let by_host = host && alone;
        if port.exposure == Exposure::Public || (by_host && self.has_way_out(unit)) {
            asks.push(way_out(&name));
        } else if by_host {
            let members = vec![name.clone()];
            asks.push(Ask { name: format!("host--{name}"), members, way_out: WayOut::Closed, host: true });
        }
        asks
    }

    /// Published ports and the internet need one.
    fn has_way_out(&self, unit: &super::Unit<'_>) -> bool {
        let published = |port: &Port| port.exposure == Exposure::Public || self.on_loopback(unit, port);
        unit.has_edge(Destination::Internet) || unit.service.ports.iter().any(published)
    }

    fn derive(&self) -> Vec<Network> {
        let mut networks: Vec<Network> = Vec::new();
        for unit in &self.units {
            let of_ports = unit.service.ports.iter().flat_map(|port| self.asks(unit, port));
            let of_internet = self.has_way_out(unit).then(|| way_out(&unit.name()));
            for ask in of_ports.chain(of_internet) {
                match networks.iter_mut().find(|network| network.name == ask.name) {
                    Some(known) => known.host |= ask.host,
                    None => networks.push(Network {
                        name: ask.name,
                        members: ask.members,
                        way_out: ask.way_out,
                        host: ask.host,
                        slot: 0,
                    }),
                }
            }
        }
        networks.sort_by(|left, right| left.name.cmp(&right.name));
        networks
    }

    /// One network joins two units, whichever of them is the client: in the order of the platform's services.
    fn pair(&self, left: &super::Unit<'_>, right: &super::Unit<'_>) -> String {
        let place = |unit: &super::Unit<'_>| {
            let id = unit.service.id;
            self.platform.services.iter().position(|service| service.id == id)
        };
        let (first, second) = if place(left) <= place(right) { (left, right) } else { (right, left) };
        format!("{}--{}", first.name(), second.name())
    }
}

struct Ask {
    name: String,
    members: Vec<String>,
    way_out: WayOut,
    host: bool,
}

fn way_out(unit: &str) -> Ask {
    Ask {
        name: format!("{unit}--outside"),
        members: vec![unit.to_owned()],
        way_out: WayOut::Open,
        host: true,
    }
}

fn in_containers(environment: &Environment) -> Environment {
    Environment { engine: EngineKind::Compose, ..environment.clone() }
}

/// A place for every network of every scope, which depends on its name: a new one moves no other, except for the rare
/// two that would fall on the same place.
fn slots(platform: &Platform, networks: &[Network]) -> BTreeMap<String, u16> {
    let mut places: BTreeMap<String, u16> =
        networks.iter().map(|network| (network.name.clone(), SLOTS)).collect();
    for scope in Scope::ALL {
        // Whatever a site asks for: what it adds later moves nothing.
        let with = platform.groups().into_iter().map(|group| group.0.to_owned()).collect();
        let environment = Environment { with, ..in_containers(&scope.environment()) };
        let units = platform.units(&environment);
        let topology = Topology::without_networks(platform, &environment, units, false);
        places.extend(topology.derive().into_iter().map(|network| (network.name, SLOTS)));
    }
    let mut taken = vec![false; usize::from(SLOTS)];
    for (name, place) in &mut places {
        let mut slot = fnv1a(name) % SLOTS;
        while std::mem::replace(&mut taken[usize::from(slot)], true) {
            slot = (slot + 1) % SLOTS;
        }
        *place = slot;
    }
    places
}

/// The 32-bit FNV-1a hash, folded to 16 bits (draft-eastlake-fnv).
fn fnv1a(text: &str) -> u16 {
    let hash =
        text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [first, second, third, fourth] = hash.to_be_bytes();
    u16::from_be_bytes([first ^ third, second ^ fourth])
}

fn tail(address: u16) -> String {
    let [third, fourth] = address.to_be_bytes();
    format!("{third}.{fourth}")
}
