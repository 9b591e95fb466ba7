//! What runs: each service as often as an environment wants it. Decided here and nowhere else.

use super::environment::{EngineKind, Environment, SecretsIn, Tier};
use std::collections::BTreeSet;

use super::{Destination, Group, Lifetime, Need, Platform, Service};

/// One of the equal instances of a service, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replica(u32);

impl Replica {
    pub const FIRST: Self = Self(0);

    /// `a` to `z`, then `aa`, as columns of a spreadsheet are named.
    #[must_use]
    pub fn name(self) -> String {
        let mut name = String::new();
        let mut rest = self.0 + 1;
        while rest > 0 {
            rest -= 1;
            name.insert(0, char::from(b'a' + u8::try_from(rest % 26).unwrap_or_default()));
            rest /= 26;
        }
        name
    }
}

/// One instance of one service.
#[derive(Debug, Clone, Copy)]
pub struct Unit<'a> {
    pub service: &'a Service,
    pub replica: Replica,
}

impl Unit<'_> {
    /// `postgres`, or `node-red-a` where the service scales, however many of it run. In the spare place of one that does not,
    /// `mcp-tools-b`.
    #[must_use]
    pub fn name(&self) -> String {
        if self.service.scales() || !self.is_first() {
            format!("{}-{}", self.service.id, self.replica.name())
        } else {
            self.service.id.to_string()
        }
    }

    /// The name of the replica alone; empty where the service does not scale.
    #[must_use]
    pub fn replica_name(&self) -> String {
        if self.service.scales() { self.replica.name() } else { String::new() }
    }

    /// The name as part of a variable's name: `NODE_RED_A`.
    #[must_use]
    pub fn variable(&self) -> String {
        self.name().to_ascii_uppercase().replace('-', "_")
    }

    pub(super) fn has_edge(&self, to: Destination) -> bool {
        self.service.edges.iter().any(|edge| edge.to == to)
    }

    #[must_use]
    pub fn is_first(&self) -> bool {
        self.replica == Replica::FIRST
    }
}

fn runs_on(service: &Service, engine: EngineKind) -> bool {
    match engine {
        EngineKind::Process => service.process.is_some(),
        EngineKind::Compose | EngineKind::Kubernetes => service.container.shape().is_some(),
    }
}

impl Platform {
    /// Everything that runs in an environment on its engine, in the platform's order. The model's stand-in runs where the
    /// site names no provider, and an optional part where the site asks for it.
    #[must_use]
    pub fn units(&self, environment: &Environment) -> Vec<Unit<'_>> {
        let runs = |service: &&Service| {
            let shape = service.container.shape();
            let on_engine = runs_on(service, environment.engine);
            let in_tier =
                environment.tier != Tier::Development || shape.is_none_or(|shape| shape.in_development);
            let is_wanted = service.group.is_none_or(|group| self.asks_for(environment, group));
            on_engine
                && in_tier
                && is_wanted
                && (service.lifetime != Lifetime::StandIn || environment.llm.is_none())
        };
        let running = self.services.iter().filter(runs);
        running
            .flat_map(|service| {
                (0..service.replicas(environment)).map(move |index| Unit { service, replica: Replica(index) })
            })
            .collect()
    }

    /// Whether an environment asks for an optional part: by its name, by the name of another one that cannot start without
    /// it, or by keeping its secrets in the store that is one.
    #[must_use]
    pub fn asks_for(&self, environment: &Environment, group: Group) -> bool {
        if self.store_group() == Some(group) {
            return environment.secret_store == SecretsIn::Vault;
        }
        let is_named = |group: Group| environment.with.iter().any(|name| *name == group.0);
        let is_in = |to: Destination| match to {
            Destination::Port(port) => {
                self.service(port.service).is_some_and(|other| other.group == Some(group))
            }
            Destination::Internet => false,
        };
        let needs_it = |service: &Service| {
            service.group.is_some_and(is_named)
                && service.edges.iter().any(|edge| edge.need == Need::Start && is_in(edge.to))
        };
        is_named(group) || self.services.iter().any(needs_it)
    }

    /// The optional parts that an environment can ask for by their names: of each, some engine runs a service.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<Group> {
        let running = self.services.iter().filter(|service| !service.is_planned());
        running
            .filter_map(|service| service.group)
            .filter(|group| self.store_group() != Some(*group))
            .collect()
    }

    /// Whether an engine runs anything of an optional part.
    #[must_use]
    pub fn has_part_on(&self, engine: EngineKind, group: &str) -> bool {
        let is_in = |service: &&Service| service.group.is_some_and(|own| own.0 == group);
        self.services.iter().filter(is_in).any(|service| runs_on(service, engine))
    }

    fn store_group(&self) -> Option<Group> {
        self.service(self.secret_store?.service())?.group
    }

    /// The units, and behind an edge a spare place beside the workers: a new one starts there before an old one leaves. The
    /// edge knows all of them, and asks none that is not healthy. A service that [runs beside
    /// itself](Self::runs_beside_itself) has a spare place too.
    #[must_use]
    pub fn slots(&self, environment: &Environment) -> Vec<Unit<'_>> {
        let units = self.units(environment);
        if !units.iter().any(|unit| self.is_edge(unit)) {
            return units;
        }
        let has_spare = |unit: &Unit<'_>| {
            (self.is_worker(unit) && unit.service.scales()) || self.runs_beside_itself(unit.service)
        };
        let mut slots = Vec::with_capacity(units.len() + 2);
        for (index, unit) in units.iter().enumerate() {
            slots.push(*unit);
            let is_last = units.get(index + 1).is_none_or(|next| next.service.id != unit.service.id);
            if is_last && has_spare(unit) {
                slots.push(Unit { replica: Replica(unit.replica.0 + 1), ..*unit });
            }
        }
        slots
    }

    /// Whether a new one of a service runs beside the old one while a release is rolled out: old workers use the old one, and
    /// new workers the new one. For that it has no data, and no clients but the workers and who
    /// reads its metrics.
    #[must_use]
    pub fn runs_beside_itself(&self, service: &Service) -> bool {
        let clients = self.services.iter().filter(|client| {
            client
                .edges
                .iter()
                .filter(|edge| edge.scrape.is_none())
                .any(|edge| matches!(edge.to, Destination::Port(to) if to.service == service.id))
        });
        let clients: Vec<_> = clients.map(|client| client.id).collect();
        service.lifetime == Lifetime::LongRunning { replicas: 1 }
            && service.volumes.is_empty()
            && clients == [self.workers.service()]
    }

    #[must_use]
    pub fn is_edge(&self, unit: &Unit<'_>) -> bool {
        unit.service.id == self.edge.service()
    }

    #[must_use]
    pub fn is_worker(&self, unit: &Unit<'_>) -> bool {
        unit.service.id == self.workers.service()
    }

    /// [`super::Fact::DrainDelay`] of a worker beside which these units run.
    pub fn drain_delay_ms<'a>(&self, mut units: impl Iterator<Item = &'a Unit<'a>>) -> u32 {
        if units.any(|unit| self.is_edge(unit)) { self.draining.delay_ms } else { 0 }
    }

    /// Seconds after which a service that was asked to end is killed. What a drain waits for passes through the workers and
    /// the edge.
    #[must_use]
    pub fn stop_limit_seconds(&self, service: &Service, tier: Tier) -> u16 {
        let drains = [self.workers.service(), self.edge.service()].contains(&service.id);
        let drain = self.draining.limit_seconds_in(tier);
        let delay = u16::try_from(self.draining.delay_ms.div_ceil(1000)).unwrap_or(u16::MAX);
        let grace = service.stop.grace_seconds;
        if drains { grace.saturating_add(drain).saturating_add(delay) } else { grace }
    }
}

impl Service {
    /// Whether a site may choose how many of it run.
    #[must_use]
    pub fn scales(&self) -> bool {
        matches!(self.lifetime, Lifetime::LongRunning { replicas } if replicas > 1)
    }

    /// How many of it run where it runs at all. In development one is enough unless the site asks for more.
    fn replicas(&self, environment: &Environment) -> u32 {
        let Lifetime::LongRunning { replicas } = self.lifetime else { return 1 };
        match environment.size(self.id.0).replicas {
            Some(wanted) if self.scales() => wanted.max(1),
            _ if environment.tier == Tier::Development => 1,
            _ => replicas,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Replica;

    #[test]
    fn replicas_are_named_like_the_columns_of_a_spreadsheet() {
        let names = [0, 1, 25, 26, 27, 51, 52, 701, 702].map(|index| Replica(index).name());
        assert_eq!(names, ["a", "b", "z", "aa", "ab", "az", "ba", "zz", "aaa"]);
    }
}
