//! Rows on Kubernetes manifests.

use std::collections::BTreeMap;

use super::compose::ALLOWED_CAPABILITIES;
use super::row::{Inspection, Place, Row, Source, Subject, Verdict};
use super::tree::{Parsed, Tree};
use super::yaml::Node;

pub fn rows() -> Vec<Row> {
    let row =
        |id, what, sources, judge| Row { id, what, sources, subject: Subject::Kubernetes, also: &[], judge };
    vec![
        row(
            "K1",
            "every pod is not root, drops all capabilities, cannot gain privileges, has a seccomp profile, and shares \
             nothing of its node",
            &[Source::PodSecurity],
            pods,
        ),
        row(
            "K2",
            "in every namespace with pods, what no policy allows is denied, in both directions",
            &[Source::Own],
            default_deny,
        ),
    ]
}

const NONE: &str = "Kubernetes manifest with pods";
const FOLDER: &str = "ops/kubernetes/";

/// The objects of the manifests, those of lists too.
fn objects(parsed: &Parsed) -> Vec<&Node> {
    let inside = |document| -> Vec<&Node> {
        let document: &Node = document;
        if document.text_at("kind").is_some_and(|kind| kind.ends_with("List")) {
            document.get("items").map_or(&[][..], Node::items).iter().collect()
        } else {
            vec![document]
        }
    };
    parsed.documents.iter().flat_map(inside).collect()
}

/// What an object makes pods of: the part that holds their containers.
fn pod_spec(object: &Node) -> Option<&Node> {
    match object.text_at("kind")? {
        "Pod" => object.get("spec"),
        "CronJob" => object.at(&["spec", "jobTemplate", "spec", "template", "spec"]),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            object.at(&["spec", "template", "spec"])
        }
        _ => None,
    }
}

fn title(object: &Node) -> String {
    let name = object.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("without a name");
    format!("{} {name}", object.text_at("kind").unwrap_or_default())
}

fn pods(tree: &Tree) -> Verdict {
    let parsed = tree.yaml(|path| path.starts_with(FOLDER));
    let mut look = Inspection::default();
    look.broken(&parsed.broken);
    for object in objects(&parsed) {
        let Some(spec) = pod_spec(object) else { continue };
        let title = title(object);
        for key in ["hostNetwork", "hostPID", "hostIPC"] {
            if let Some(found) = spec.get(key).filter(|found| found.is("true")) {
                look.find(&found.place, format!("{title} has {key}"), format!("leave {key} out"));
            }
        }
        for volume in spec.get("volumes").map_or(&[][..], Node::items) {
            if let Some(path) = volume.get("hostPath") {
                look.find(
                    &path.place,
                    format!("{title} mounts a folder of its node"),
                    "use a claim or a secret",
                );
            }
        }
        for kind in ["containers", "initContainers", "ephemeralContainers"] {
            for container in spec.get(kind).map_or(&[][..], Node::items) {
                look.saw();
                let name = container.text_at("name").unwrap_or_default();
                judge_container(&mut look, spec, container, &format!("{title}, container {name}"));
            }
        }
    }
    look.verdict(NONE)
}

fn judge_container(look: &mut Inspection, spec: &Node, container: &Node, title: &str) {
    let own = |path: &[&str]| container.get("securityContext").and_then(|context| context.at(path));
    let either =
        |path: &[&str]| own(path).or(spec.get("securityContext").and_then(|context| context.at(path)));
    let mut demand = |good: bool, place: &Place, what: &str, remedy: &str| {
        if !good {
            look.find(place, format!("{title} {what}"), format!("give it {remedy}"));
        }
    };
    let at =
        |found: Option<&Node>| found.map_or_else(|| container.place.clone(), |found| found.place.clone());
    let root = either(&["runAsNonRoot"]);
    demand(root.is_some_and(|flag| flag.is("true")), &at(root), "may run as root", "runAsNonRoot: true");
    let user = either(&["runAsUser"]);
    demand(!user.is_some_and(|user| user.is("0")), &at(user), "runs as root", "a runAsUser above 0");
    let gain = own(&["allowPrivilegeEscalation"]);
    demand(
        gain.is_some_and(|flag| flag.is("false")),
        &at(gain),
        "may gain privileges",
        "allowPrivilegeEscalation: false",
    );
    let dropped = own(&["capabilities", "drop"]);
    demand(
        dropped.is_some_and(|list| list.texts().contains(&"ALL")),
        &at(dropped),
        "keeps capabilities",
        "capabilities.drop: [ALL]",
    );
    let added = own(&["capabilities", "add"]);
    let allowed = |list: &Node| list.texts().iter().all(|one| ALLOWED_CAPABILITIES.contains(one));
    demand(added.is_none_or(allowed), &at(added), "takes capabilities back", "no more than NET_BIND_SERVICE");
    let privileged = own(&["privileged"]);
    demand(
        !privileged.is_some_and(|flag| flag.is("true")),
        &at(privileged),
        "is privileged",
        "no `privileged`",
    );
    let profile = either(&["seccompProfile", "type"]);
    demand(
        profile.is_some_and(|kind| kind.is("RuntimeDefault") || kind.is("Localhost")),
        &at(profile),
        "may call everything in the kernel",
        "seccompProfile.type: RuntimeDefault",
    );
}

fn default_deny(tree: &Tree) -> Verdict {
    let parsed = tree.yaml(|path| path.starts_with(FOLDER));
    let mut look = Inspection::default();
    look.broken(&parsed.broken);
    let namespace = |object: &Node| {
        object.at(&["metadata", "namespace"]).and_then(Node::text).unwrap_or("default").to_owned()
    };
    let mut namespaces: BTreeMap<String, &Place> = BTreeMap::new();
    for object in objects(&parsed).into_iter().filter(|object| pod_spec(object).is_some()) {
        namespaces.entry(namespace(object)).or_insert(&object.place);
    }
    for (name, place) in namespaces {
        look.saw();
        for direction in ["Ingress", "Egress"] {
            let denies = |policy: &&Node| {
                policy.text_at("kind") == Some("NetworkPolicy")
                    && namespace(policy) == name
                    && policy.get("spec").is_some_and(|spec| denies_all(spec, direction))
            };
            if !objects(&parsed).iter().any(denies) {
                look.find(
                    place,
                    format!("in the namespace {name} every pod has free {}", direction.to_lowercase()),
                    format!("add a NetworkPolicy with podSelector: {{}} and policyTypes: [{direction}], without rules"),
                );
            }
        }
    }
    look.verdict(NONE)
}

/// Selects every pod, and allows none of this direction.
fn denies_all(spec: &Node, direction: &str) -> bool {
    let everything = spec.get("podSelector").is_some_and(|selector| selector.entries().is_empty());
    let rules = spec.get(&direction.to_lowercase()).map_or(&[][..], Node::items);
    everything
        && rules.is_empty()
        && spec.get("policyTypes").is_some_and(|types| types.texts().contains(&direction))
}
