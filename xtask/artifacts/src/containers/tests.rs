//! What must hold for a platform in containers, and what `validate` finds when it does not.

use std::collections::BTreeMap;

use vocabulary::formats::dotenv::{Line, write};
use vocabulary::model::environment::{Environment, LlmProvider, Size};
use vocabulary::model::topology::{Scope, Topology, WayOut};
use vocabulary::model::{
    Container, Destination, Edge, Exposure, Need, Platform, Port, PortRef, Protocol, Service, ServiceId,
    Shape, Storage,
};

use super::compose::rendered;
use super::site::{Placement, values};
use second_platform::platform;

fn service<'a>(platform: &'a mut Platform, id: &str) -> &'a mut Service {
    platform.services.iter_mut().find(|service| service.id.0 == id).unwrap()
}

fn shape<'a>(platform: &'a mut Platform, id: &str) -> &'a mut Shape {
    match &mut service(platform, id).container {
        Container::Runs(shape) => shape,
        Container::Later => panic!("{id} is not composed yet"),
    }
}

#[test]
fn exactly_the_edges_are_open_in_every_scope() {
    for platform in [platform(), platform::platform()] {
        only_edges_are_open(&platform);
    }
}

fn only_edges_are_open(platform: &Platform) {
    for scope in Scope::ALL {
        let topology = Topology::of(platform, scope);
        for from in &topology.units {
            for to in topology.units.iter().filter(|to| to.name() != from.name()) {
                for port in &to.service.ports {
                    let allowed = topology.allows(from, to, port) && topology.is_open(port);
                    let what = format!("{scope:?}: {} -> {}.{}", from.name(), to.name(), port.name);
                    assert_eq!(topology.reaches(from, to, port), allowed, "{what}");
                }
            }
        }
    }
}

#[test]
fn the_only_limits_are_ways_out() {
    let platform = platform();
    let topology = Topology::of(&platform, Scope::Production);
    let limits = topology.limits();
    let reached: Vec<_> = limits.iter().map(|limit| (limit.from.as_str(), limit.to.as_str())).collect();
    const HOST: &str = "the host's own sockets except on loopback";
    let everywhere = format!("every address that the host has a route to, and {HOST}");
    assert_eq!(reached, [("portal", &*everywhere), ("flow-engine-a", HOST), ("flow-engine-b", HOST)]);
}

#[test]
fn a_port_that_cannot_be_bound_for_its_clients_alone_is_a_limit() {
    let mut platform = platform();
    let store = service(&mut platform, "store");
    let port = |name, number| Port {
        name,
        number,
        protocol: Protocol::Tcp,
        exposure: Exposure::Internal,
        purpose: "planted",
    };
    store.ports.push(port("planted", 5433));
    let to = Destination::Port(PortRef { service: ServiceId("store"), name: "planted" });
    service(&mut platform, "ledger").edges.push(Edge { to, need: Need::Run, why: "planted", scrape: None });
    let limits = Topology::of(&platform, Scope::Production).limits();
    assert!(limits.iter().any(|limit| limit.from == "ledger" && limit.to == "store.queries"), "{limits:#?}");
}

#[test]
fn a_network_keeps_its_place_in_every_scope_and_no_two_share_one() {
    let platform = platform();
    let mut places: BTreeMap<String, u16> = BTreeMap::new();
    for scope in Scope::ALL {
        for network in Topology::of(&platform, scope).networks {
            assert!(network.members.len() <= 2, "{network:?}");
            assert_eq!(network.way_out == WayOut::Open, network.name.ends_with("--outside"));
            assert_eq!(*places.entry(network.name.clone()).or_insert(network.slot), network.slot);
        }
    }
    let mut slots: Vec<_> = places.values().collect();
    slots.sort();
    slots.dedup();
    assert_eq!(slots.len(), places.len());
}

#[test]
fn a_new_edge_moves_no_network() {
    let before = platform();
    let mut after = platform();
    let to = Destination::Port(PortRef { service: ServiceId("ledger"), name: "book" });
    service(&mut after, "schema").edges.push(Edge { to, need: Need::Run, why: "planted", scrape: None });
    let (before, after) = (Topology::of(&before, Scope::Production), Topology::of(&after, Scope::Production));
    assert_eq!(after.networks.len(), before.networks.len() + 1);
    for network in &before.networks {
        assert_eq!(after.network(&network.name), Some(network));
    }
}

#[test]
fn development_has_one_replica_and_no_edge() {
    let platform = platform();
    let topology = Topology::of(&platform, Scope::Development);
    let units: Vec<_> = topology.units.iter().map(|unit| unit.name()).collect();
    assert_eq!(units, ["ledger", "store", "schema", "flow-engine-a", "oracle"]);
    let engine = topology.unit("flow-engine-a").unwrap();
    let reached: Vec<_> = engine
        .service
        .ports
        .iter()
        .filter(|port| topology.host_reaches(engine, port))
        .map(|port| port.name)
        .collect();
    assert_eq!(reached, ["api", "health", "control", "studio"]);
}

#[test]
fn validate_finds_what_a_container_must_not_be() {
    type Change = fn(&mut Platform);
    let changes: &[(Change, &str)] = &[
        (|platform| shape(platform, "flow-engine").user.uid = 0, "would run as root"),
        (|platform| shape(platform, "ledger").sources.clear(), "holds no file"),
        (|platform| shape(platform, "portal").sources.push("flows"), "cannot hold our files"),
        (|platform| shape(platform, "store").folders.clear(), "lies nowhere"),
        (|platform| shape(platform, "portal").scratch[0].path = "tmp", "must be absolute"),
        (
            |platform| shape(platform, "flow-engine").probe = vocabulary::model::Probe::Nothing,
            "nothing in its image can check",
        ),
        (|platform| service(platform, "store").container = Container::Later, "not composed yet"),
        (|platform| platform.draining.delay_ms = 600, "before the edge has noticed"),
        (|platform| platform.draining.limit_seconds = 10, "before a drain"),
        (|platform| service(platform, "portal").stop.grace_seconds = 5, "still answers"),
        (|platform| platform.containers.restart_attempts = 0, "restart_attempts is 0"),
        (|platform| platform.containers.check.failures = 0, "check.failures is 0"),
    ];
    for (change, expected) in changes {
        let mut platform = platform();
        change(&mut platform);
        let violations: String = platform.validate().iter().map(|one| format!("{one}\n")).collect();
        assert!(violations.contains(expected), "{expected}: {violations}");
    }
}

#[test]
fn what_matters_is_never_kept_in_memory() {
    for service in platform::platform().services {
        let Some(shape) = service.container.shape() else { continue };
        for volume in service.volumes.iter().filter(|volume| volume.precious) {
            let folder = shape.folders.iter().find(|folder| folder.volume == volume.name).unwrap();
            assert_eq!(folder.storage, Storage::Volume, "{}/{}", service.id, volume.name);
        }
    }
}

#[test]
fn an_environment_becomes_the_variables_that_the_files_ask_for() {
    let platform = platform();
    let environment = Environment {
        name: "staging".to_owned(),
        sizes: [(
            "flow-engine".to_owned(),
            Size { cpu_millis: Some(1500), memory_mib: Some(768), ..Size::default() },
        )]
        .into(),
        llm: Some(LlmProvider {
            base_url: "https://llm.example.com/v1".to_owned(),
            model: "small-chat".to_owned(),
            api_key_file: "/etc/key".to_owned(),
            prompt_price: Some("0.15".to_owned()),
            completion_price: None,
        }),
        ..Environment::default()
    };
    let placement = |scope| Placement {
        images: [(platform.workers.service(), "harbour/flow-engine:1".to_owned())].into(),
        secrets: std::path::Path::new("/run/flowship/secrets"),
        public_address: "192.0.2.1",
        network_prefix: Some("10.77"),
        scope,
    };
    assert_eq!(
        write(&values(&platform, &environment, &placement(Scope::Production))).unwrap(),
        "FLOWSHIP_ENVIRONMENT=staging\nFLOWSHIP_LLM_BASE_URL=https://llm.example.com/v1\n\
         FLOWSHIP_LLM_MODEL=small-chat\nFLOWSHIP_LLM_API_KEY_FILE=/etc/key\nFLOWSHIP_LLM_PROMPT_PRICE=0.15\n\
         FLOWSHIP_FLOW_ENGINE_MEMORY_MIB=768\nFLOWSHIP_FLOW_ENGINE_CPUS=1.500\nFLOWSHIP_SECRETS=/run/flowship/secrets\nFLOWSHIP_PUBLIC_ADDRESS=192.0.2.1\n\
         FLOWSHIP_NETWORK_PREFIX=10.77\nFLOWSHIP_IMAGE_FLOW_ENGINE=harbour/flow-engine:1\n"
    );
    let rehearsed = Environment { llm: None, ..environment };
    let lines = values(&platform, &rehearsed, &placement(Scope::Rehearsal));
    let base = Line::Variable {
        name: "FLOWSHIP_LLM_BASE_URL".to_owned(),
        value: "http://oracle:5200/v1".to_owned(),
    };
    assert!(lines.contains(&base), "{lines:?}");
}

#[test]
fn an_environment_with_other_replicas_gets_files_of_its_own() {
    let platform = platform();
    let workers = platform.workers.service();
    for scope in Scope::ALL {
        for count in [1_u32, 2, 3, 5, 30] {
            let mut environment = scope.environment();
            environment.sizes.entry(workers.to_string()).or_default().replicas = Some(count);
            let topology = Topology::in_environment(&platform, &environment);
            let units = topology.units.iter().filter(|unit| unit.service.id == workers).count();
            assert_eq!(units, count as usize);
            // Still nobody reaches more than the edges allow.
            for network in &topology.networks {
                assert!(network.members.len() <= 2, "{network:?}");
            }
            let files = rendered(&topology, "rendered/x").unwrap();
            let committed = if scope == Scope::Development { 1 } else { 2 };
            if count == committed {
                assert_eq!(files, [], "the committed files fit");
                continue;
            }
            let project = &files[0];
            let services = project.contents.lines().filter(|line| line.starts_with("  flow-engine-"));
            let services = services.filter(|line| !line.contains("--")).count();
            assert_eq!(services, count as usize, "{}", project.contents);
            assert_eq!(files.len(), committed as usize, "development has no edge");
            if let Some(edge) = files.get(1) {
                let servers = edge.contents.matches("\n    server flow-engine-").count();
                assert_eq!(servers, count as usize, "{}", edge.contents);
                assert!(project.contents.contains("../../../rendered/x/haproxy.cfg"), "{}", project.contents);
                let told = project.contents.matches("_READY_PORT: ").count();
                assert_eq!(told, count as usize, "the edge finds every server");
            }
        }
    }
}
