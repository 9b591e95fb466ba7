//! The NetworkPolicies of an environment on Kubernetes: nobody is reached, and nobody reaches anything, but over an edge.
//! Nothing writes them to a file yet: no engine for Kubernetes does.

use vocabulary::formats::network_policy::{Allowed, Labels, NetworkPolicy, Peer, Transport, documents};
use vocabulary::model::environment::{EngineKind, Environment, Remote};
use vocabulary::model::{Destination, Exposure, Platform, PortRef, Service, ServiceId};

use crate::artifact::banner;
use crate::firewall::remotes;

/// The label by which policies know the pods of a service.
pub const SERVICE: &str = "app.kubernetes.io/name";
/// The label by which they know the pods of the platform.
pub const PLATFORM: &str = "app.kubernetes.io/part-of";

/// What a server outside is never: the cluster's own networks, other machines of the site, and what cloud providers tell
/// their machines.
const INSIDE: [&str; 5] =
    ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];

/// One file.
#[must_use]
pub fn text(platform: &Platform, environment: &Environment) -> String {
    documents(&banner("xtask/platform/src (the edges)"), &policies(platform, environment))
}

/// One policy for all pods of the namespace, which allows nothing, and one for each service.
#[must_use]
pub fn policies(platform: &Platform, environment: &Environment) -> Vec<NetworkPolicy> {
    let environment = Environment { engine: EngineKind::Kubernetes, ..environment.clone() };
    let deny = NetworkPolicy {
        name: "default-deny".to_owned(),
        about: "Every pod, also one that no service knows of: nothing is allowed.".to_owned(),
        pods: vec![],
        ingress: vec![],
        egress: vec![],
    };
    let units = platform.units(&environment);
    let runs = |id: ServiceId| units.iter().any(|unit| unit.service.id == id);
    let services = units.iter().filter(|unit| unit.is_first()).map(|unit| unit.service);
    let own = services.map(|service| NetworkPolicy {
        name: service.id.to_string(),
        about: format!("{}: {}.", service.id, service.purpose),
        pods: pods(platform, service.id),
        ingress: ingress(platform, service, &runs),
        egress: egress(platform, &environment, service, &runs),
    });
    std::iter::once(deny).chain(own).collect()
}

fn pods(platform: &Platform, service: ServiceId) -> Labels {
    vec![(PLATFORM, platform.name.to_owned()), (SERVICE, service.to_string())]
}

fn ingress(platform: &Platform, service: &Service, runs: &dyn Fn(ServiceId) -> bool) -> Vec<Allowed> {
    let mut all = Vec::new();
    for port in &service.ports {
        let ports = vec![(Transport::Tcp, port.number)];
        if port.exposure == Exposure::Public {
            all.push(Allowed { peers: vec![], ports });
            continue;
        }
        let to = Destination::Port(PortRef { service: service.id, name: port.name });
        let clients =
            platform.edges().filter(|(client, edge)| edge.to == to && *client != service.id && runs(*client));
        let peers: Vec<Peer> = clients.map(|(client, _)| Peer::Pods(pods(platform, client))).collect();
        if !peers.is_empty() {
            all.push(Allowed { peers, ports });
        }
    }
    all
}

fn egress(
    platform: &Platform,
    environment: &Environment,
    service: &Service,
    runs: &dyn Fn(ServiceId) -> bool,
) -> Vec<Allowed> {
    let mut all = Vec::new();
    for edge in &service.edges {
        let Destination::Port(to) = edge.to else { continue };
        let Some(port) = platform.port(to).filter(|_| to.service != service.id && runs(to.service)) else {
            continue;
        };
        all.push(Allowed {
            peers: vec![Peer::Pods(pods(platform, to.service))],
            ports: vec![(Transport::Tcp, port.number)],
        });
    }
    let outside = remotes(platform, environment, service);
    if !all.is_empty() || !outside.is_empty() {
        all.push(names());
    }
    all.extend(outside.iter().map(server));
    all
}

/// Names are looked up at the cluster's own server.
fn names() -> Allowed {
    let namespace = vec![("kubernetes.io/metadata.name", "kube-system".to_owned())];
    let pods = vec![("k8s-app", "kube-dns".to_owned())];
    Allowed {
        peers: vec![Peer::PodsIn { namespace, pods }],
        ports: vec![(Transport::Udp, 53), (Transport::Tcp, 53)],
    }
}

/// A policy knows no names: a server that has one may be at any address outside.
fn server(remote: &Remote) -> Allowed {
    let is_address = remote.host.parse::<core::net::IpAddr>();
    let block = match is_address {
        Ok(address) => format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }),
        Err(_) => "0.0.0.0/0".to_owned(),
    };
    let except = if is_address.is_ok() { vec![] } else { INSIDE.map(str::to_owned).to_vec() };
    Allowed { peers: vec![Peer::Addresses { block, except }], ports: vec![(Transport::Tcp, remote.port)] }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use vocabulary::model::topology::Scope;

    use super::*;

    /// Who reaches which service at which port.
    type Reach = BTreeSet<(ServiceId, ServiceId, u16)>;

    /// Whether one direction of the policies lets a pod and another one connect.
    fn lets(direction: &[(&Labels, &Vec<Allowed>)], [own, other]: [&Labels; 2], port: u16) -> bool {
        let selects = |selector: &Labels, pod: &Labels| selector.iter().all(|label| pod.contains(label));
        let peer = |peer: &Peer| matches!(peer, Peer::Pods(labels) if selects(labels, other));
        let allows = |one: &Allowed| {
            (one.peers.is_empty() || one.peers.iter().any(peer))
                && (one.ports.is_empty() || one.ports.contains(&(Transport::Tcp, port)))
        };
        direction.iter().filter(|(pods, _)| selects(pods, own)).any(|(_, list)| list.iter().any(allows))
    }

    /// What egress lets through, and what ingress does: Kubernetes asks both.
    fn reached(platform: &Platform, policies: &[NetworkPolicy]) -> [Reach; 2] {
        let egress: Vec<_> = policies.iter().map(|policy| (&policy.pods, &policy.egress)).collect();
        let ingress: Vec<_> = policies.iter().map(|policy| (&policy.pods, &policy.ingress)).collect();
        let ports: BTreeSet<u16> = platform.ports().map(|(_, port)| port.number).chain([22, 9999]).collect();
        let ids = || platform.services.iter().map(|service| service.id);
        let mut reached = [Reach::new(), Reach::new()];
        for (from, to) in
            ids().flat_map(|from| ids().map(move |to| (from, to))).filter(|(from, to)| from != to)
        {
            let (client, server) = (&pods(platform, from), &pods(platform, to));
            for port in &ports {
                if lets(&egress, [client, server], *port) {
                    reached[0].insert((from, to, *port));
                }
                if lets(&ingress, [server, client], *port) {
                    reached[1].insert((from, to, *port));
                }
            }
        }
        reached
    }

    #[test]
    fn pods_reach_each_other_over_edges_alone() {
        let (platform, environment) = (second_platform::platform(), Scope::Production.environment());
        let kubernetes = Environment { engine: EngineKind::Kubernetes, ..environment.clone() };
        let units = platform.units(&kubernetes);
        let runs = |id: ServiceId| units.iter().any(|unit| unit.service.id == id);
        let over_edges = platform.edges().filter_map(|(from, edge)| match edge.to {
            Destination::Port(to) if from != to.service && runs(from) && runs(to.service) => {
                Some((from, to.service, platform.port(to)?.number))
            }
            _ => None,
        });
        let over_edges: Reach = over_edges.collect();
        let mut declared = [over_edges.clone(), over_edges];
        for (to, port) in platform.ports().filter(|(_, port)| port.exposure == Exposure::Public) {
            let others = platform.services.iter().filter(|service| service.id != to.service);
            declared[1].extend(others.map(|service| (service.id, to.service, port.number)));
        }
        assert!(!declared[0].is_empty() && declared[0] != declared[1]);
        let policies = policies(&platform, &environment);
        assert_eq!(reached(&platform, &policies), declared);
        // It holds back also what no service knows of.
        assert_eq!(
            (&policies[0].pods, &policies[0].ingress, &policies[0].egress),
            (&vec![], &vec![], &vec![])
        );
    }

    #[test]
    fn the_outside_is_the_listed_servers() {
        let platform = second_platform::platform();
        let client = platform.services.iter().find(|service| service.calls_out()).unwrap();
        let listed = ["192.0.2.7:5000", "mail.example.com:587"].map(str::to_owned).to_vec();
        let egress = [(client.id.0.to_owned(), listed)].into();
        let environment = Environment { egress, ..Scope::Production.environment() };
        let policies = policies(&platform, &environment);
        let outside = policies.iter().flat_map(|policy| policy.egress.iter().map(|one| (&policy.name, one)));
        let outside: Vec<_> = outside
            .filter_map(|(name, one)| match one.peers.as_slice() {
                [Peer::Addresses { block, except }] => {
                    Some((name.as_str(), block.as_str(), except.len(), one.ports[0].1))
                }
                _ => None,
            })
            .collect();
        let name = client.id.0;
        assert_eq!(outside, [(name, "192.0.2.7/32", 0, 5000), (name, "0.0.0.0/0", INSIDE.len(), 587)]);
    }
}
