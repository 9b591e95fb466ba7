//! NetworkPolicies of Kubernetes (`networking.k8s.io/v1`). A pod that any policy selects is reached, and reaches, only what
//! its policies list.

use super::yaml::{Yaml, write};

/// One policy. It holds back both directions, whatever it lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPolicy {
    pub name: String,
    pub about: String,
    /// Whom it holds back; without labels, every pod of the namespace.
    pub pods: Labels,
    pub ingress: Vec<Allowed>,
    pub egress: Vec<Allowed>,
}

/// Labels that all must have.
pub type Labels = Vec<(&'static str, String)>;

/// Connections that are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// With any of these.
    pub peers: Vec<Peer>,
    /// The port of the pod that is reached, of any of these.
    pub ports: Vec<(Transport, u16)>,
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    Pods(Labels),
    /// Pods of another namespace.
    PodsIn {
        namespace: Labels,
        pods: Labels,
    },
    /// Addresses in CIDR notation, without some of them.
    Addresses {
        block: String,
        except: Vec<String>,
    },
}

/// How a port is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

/// All policies as the documents of one file.
#[must_use]
pub fn documents(header: &[String], policies: &[NetworkPolicy]) -> String {
    let written = policies.iter().enumerate().map(|(position, policy)| {
        let about = if position == 0 {
            [header, std::slice::from_ref(&policy.about)].concat()
        } else {
            vec![policy.about.clone()]
        };
        write(&about, &document(policy))
    });
    written.collect::<Vec<_>>().join("---\n")
}

fn document(policy: &NetworkPolicy) -> Yaml {
    let directions = ["Ingress", "Egress"].map(Yaml::text).to_vec();
    let list = |all: &[Allowed], word| Yaml::Sequence(all.iter().map(|one| allowed(one, word)).collect());
    Yaml::mapping([
        ("apiVersion", Yaml::text("networking.k8s.io/v1")),
        ("kind", Yaml::text("NetworkPolicy")),
        ("metadata", Yaml::mapping([("name", Yaml::text(policy.name.clone()))])),
        (
            "spec",
            Yaml::mapping([
                ("podSelector", selector(&policy.pods)),
                ("policyTypes", Yaml::Sequence(directions)),
                ("ingress", list(&policy.ingress, "from")),
                ("egress", list(&policy.egress, "to")),
            ]),
        ),
    ])
}

/// Without peers, anybody.
fn allowed(one: &Allowed, word: &str) -> Yaml {
    let peers = Yaml::Sequence(one.peers.iter().map(peer).collect());
    let port = |(transport, number): &(Transport, u16)| {
        let name = if *transport == Transport::Tcp { "TCP" } else { "UDP" };
        Yaml::mapping([("protocol", Yaml::text(name)), ("port", Yaml::Integer((*number).into()))])
    };
    let ports = ("ports".to_owned(), Yaml::Sequence(one.ports.iter().map(port).collect()));
    let peers = (!one.peers.is_empty()).then(|| (word.to_owned(), peers));
    Yaml::Mapping(peers.into_iter().chain([ports]).collect())
}

fn peer(peer: &Peer) -> Yaml {
    match peer {
        Peer::Pods(labels) => Yaml::mapping([("podSelector", selector(labels))]),
        Peer::PodsIn { namespace, pods } => {
            Yaml::mapping([("namespaceSelector", selector(namespace)), ("podSelector", selector(pods))])
        }
        Peer::Addresses { block, except } => {
            let without = Yaml::Sequence(except.iter().map(|one| Yaml::text(one.clone())).collect());
            let mut entries = vec![("cidr".to_owned(), Yaml::text(block.clone()))];
            if !except.is_empty() {
                entries.push(("except".to_owned(), without));
            }
            Yaml::mapping([("ipBlock", Yaml::Mapping(entries))])
        }
    }
}

fn selector(labels: &Labels) -> Yaml {
    let all = labels.iter().map(|(key, value)| ((*key).to_owned(), Yaml::text(value.clone())));
    match labels.as_slice() {
        [] => Yaml::Mapping(vec![]),
        _ => Yaml::mapping([("matchLabels", Yaml::Mapping(all.collect()))]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_kubernetes_reads() {
        let nobody = NetworkPolicy {
            name: "default-deny".into(),
            about: "Nobody.".into(),
            pods: vec![],
            ingress: vec![],
            egress: vec![],
        };
        let some = NetworkPolicy {
            name: "web".into(),
            about: "The web.".into(),
            pods: vec![("app", "web".into())],
            ingress: vec![Allowed { peers: vec![], ports: vec![(Transport::Tcp, 80)] }],
            egress: vec![Allowed {
                peers: vec![Peer::Addresses { block: "0.0.0.0/0".into(), except: vec!["10.0.0.0/8".into()] }],
                ports: vec![(Transport::Udp, 53)],
            }],
        };
        assert_eq!(
            documents(&["head".to_owned()], &[nobody, some]),
            "# head\n# Nobody.\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: default-deny\nspec:\n  \
             podSelector: {}\n  policyTypes:\n    - Ingress\n    - Egress\n  ingress: []\n  egress: []\n---\n# The \
             web.\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: web\nspec:\n  podSelector:\n    \
             matchLabels:\n      app: web\n  policyTypes:\n    - Ingress\n    - Egress\n  ingress:\n    - ports:\n        - \
             protocol: TCP\n          port: 80\n  egress:\n    - to:\n        - ipBlock:\n            cidr: \"0.0.0.0/0\"\n            \
             except:\n              - \"10.0.0.0/8\"\n      ports:\n        - protocol: UDP\n          port: 53\n"
        );
    }
}
