//! The files for containers, judged by the programs that read them: hadolint and Compose through the gate `containers`.
//! Each judge is shown a planted fault, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use vocabulary::model::environment::EngineKind;

const PRODUCTION_DOCKERFILE: &str = "ops/docker/prod/Dockerfile";
const PRODUCTION: &str = "ops/docker/prod/compose.prod.yaml";
const REHEARSAL: &str = "ops/docker/prod/compose.rehearsal.yaml";
const OVERRIDE: &str = "ops/docker/dev/docker-compose.override.yml";
const EXAMPLE: &str = "ops/docker/compose.env.example";

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What the gate reads, in a folder that may be spoilt.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for below in ["ops/environments", "ops/ci", "ops/docker", "ops/edge"] {
            for entry in walkdir::WalkDir::new(repository().join(below)) {
                let entry = entry.unwrap();
                let to = tree.path(entry.path().strip_prefix(repository()).unwrap());
                if entry.file_type().is_dir() {
                    fs::create_dir_all(to).unwrap();
                } else {
                    fs::copy(entry.path(), to).unwrap();
                }
            }
        }
        tree
    }

    fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(below)
    }

    fn change(&self, below: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(below)).unwrap();
        assert!(text.contains(from), "{below} has no {from}");
        fs::write(self.path(below), text.replacen(from, to, 1)).unwrap();
    }

    fn gate(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("--root").arg(self.0.path()).args(["ci", "containers"]);
        command.output().unwrap()
    }

    fn is_refused(&self, because: &str) {
        let output = self.gate();
        let shown = shown(&output);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert!(shown.contains(because), "expected {because}: {shown}");
    }
}

pub fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A program of the catalogue; the gate has installed it.
pub fn program(name: &str) -> PathBuf {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["doctor", "--json", "--install", name])
        .output()
        .unwrap();
    let programs: Vec<Value> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output)));
    let found = programs.iter().find(|one| one["program"] == name).unwrap();
    PathBuf::from(found["path"].as_str().unwrap())
}

/// A project as Compose understands it.
fn project(folder: &str, more: &[&str]) -> Value {
    let output = Command::new(program("docker-compose"))
        .current_dir(repository().join(folder))
        .arg("--env-file")
        .arg(repository().join(EXAMPLE))
        .args(more.iter().map(|file| format!("--file={}", repository().join(file).display())))
        .args(["config", "--format", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn services(project: &Value) -> Vec<(&String, &Value)> {
    project["services"].as_object().unwrap().iter().collect()
}

#[test]
fn the_gate_accepts_what_is_generated() {
    let output = Tree::new().gate();
    assert!(output.status.success(), "{}", shown(&output));
}

/// What each environment has of its own, and three replicas of one, together with what a run adds.
#[test]
fn compose_accepts_what_is_rendered_for_every_environment() {
    let platform = platform::platform();
    let mut environments = judges::site::load_all(repository(), &judges::site::known(&platform)).unwrap();
    let mut more = environments.iter().find(|one| one.engine == EngineKind::Compose).unwrap().clone();
    more.name = "three".to_owned();
    more.sizes.entry(platform.workers.service().to_string()).or_default().replicas = Some(3);
    environments.push(more);
    let tree = Tree::new();
    let mut judged = Vec::new();
    for environment in &environments {
        let made = artifacts::render(&platform, environment).unwrap();
        let is_other = |path: &str| path.ends_with(".nft") || path.contains("/monitoring/");
        let made: Vec<_> = made.into_iter().filter(|one| !is_other(&one.path)).collect();
        assert_eq!(made.is_empty(), environment.engine != EngineKind::Compose, "{}", environment.name);
        if made.is_empty() {
            continue;
        }
        for artifact in &made {
            let to = tree.path(&artifact.path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(to, &artifact.contents).unwrap();
        }
        let whole = format!("rendered/{}/compose.yaml", environment.name);
        let whole = made.iter().find(|artifact| artifact.path == whole).map(|artifact| &*artifact.path);
        let output = Command::new(program("docker-compose"))
            .current_dir(tree.path("ops/docker/prod"))
            .arg(format!("--env-file={}", tree.path(EXAMPLE).display()))
            .arg(format!("--env-file=../../../rendered/{}/compose.env", environment.name))
            .arg(format!("--file={}", tree.path(whole.unwrap_or(PRODUCTION)).display()))
            .args(["config", "--format", "json"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {}", environment.name, shown(&output));
        let project: Value = serde_json::from_slice(&output.stdout).unwrap();
        let workers = services(&project).into_iter().filter(|(name, _)| name.starts_with("node-red-"));
        let told =
            workers.clone().all(|(_, one)| one["environment"]["FLOWSHIP_ENVIRONMENT"] == *environment.name);
        assert!(told, "{project:#}");
        judged.push((environment.name.as_str(), workers.count()));
    }
    assert_eq!(judged, [("staging", 2), ("three", 3)]);
}

#[test]
fn hadolint_finds_packages_of_no_version() {
    let tree = Tree::new();
    tree.change(PRODUCTION_DOCKERFILE, "RUN --mount", "RUN apt-get install -y curl\nRUN --mount");
    tree.is_refused("DL3008");
}

#[test]
fn a_finding_cannot_be_switched_off_in_the_file() {
    let tree = Tree::new();
    let ignored = "# hadolint ignore=DL3008,DL3009,DL3015,DL3059\nRUN apt-get install -y curl\nRUN --mount";
    tree.change(PRODUCTION_DOCKERFILE, "RUN --mount", ignored);
    tree.is_refused("DL3008");
}

#[test]
fn compose_refuses_what_it_does_not_know_in_each_project() {
    for file in [PRODUCTION, REHEARSAL, OVERRIDE] {
        let tree = Tree::new();
        tree.change(file, "    user:", "    usr:");
        tree.is_refused("usr");
    }
}

#[test]
fn compose_names_each_variable_that_is_missing() {
    let text = fs::read_to_string(repository().join(EXAMPLE)).unwrap();
    let variables: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(variables.len() > 5, "{text}");
    for line in variables {
        let tree = Tree::new();
        tree.change(EXAMPLE, &format!("{line}\n"), "");
        let name = line.split('=').next().unwrap();
        let only_in_rehearsals = name == "FLOWSHIP_IMAGE_LLM";
        assert!(!tree.gate().status.success() || only_in_rehearsals, "{name}");
        tree.is_refused(name);
    }
}

#[test]
fn every_service_of_production_is_hardened() {
    for files in [vec![PRODUCTION], vec![PRODUCTION, REHEARSAL]] {
        let project = project(".", &files);
        for (name, service) in services(&project) {
            assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
            assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]), "{name}");
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(service["init"], true, "{name}");
            for absent in ["privileged", "cap_add", "devices", "pid", "ipc", "network_mode", "userns_mode"] {
                assert!(service.get(absent).is_none(), "{name}: {absent}");
            }
            let user = service["user"].as_str().unwrap();
            assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{name}: {user}");
            for limit in ["mem_limit", "memswap_limit", "cpus", "pids_limit"] {
                assert!(service.get(limit).is_some(), "{name}: {limit}");
            }
            assert_eq!(service["mem_limit"], service["memswap_limit"], "{name}");
            assert!(matches!(service["restart"].as_str(), Some("no" | "always")), "{name}");
            assert_eq!(service["logging"]["options"]["max-file"], "5", "{name}");
            assert!(service.get("healthcheck").is_some() || service["restart"] == "no", "{name}");
            assert!(service["networks"].get("default").is_none(), "{name}");
            for (network, attached) in service["networks"].as_object().unwrap() {
                assert!(attached["ipv4_address"].is_string(), "{name}: {network}");
            }
            for port in service["ports"].as_array().into_iter().flatten() {
                assert_eq!(name, "edge");
                assert_eq!(port["host_ip"], "192.0.2.10");
            }
            let secrets = service["environment"].as_object().unwrap().iter();
            for (variable, value) in secrets.filter(|(variable, _)| variable.ends_with("_FILE")) {
                assert!(value.as_str().unwrap().starts_with("/run/secrets/"), "{name}: {variable}");
            }
        }
        for (name, network) in project["networks"].as_object().unwrap() {
            assert_eq!(network["internal"] == true, !name.ends_with("--outside"), "{name}");
        }
    }
}

#[test]
fn production_has_two_replicas_and_no_way_to_their_operations() {
    let project = project(".", &[PRODUCTION]);
    let names = services(&project).into_iter().map(|(name, _)| name.as_str());
    let replicas: Vec<_> = names.filter(|name| name.starts_with("node-red-")).collect();
    assert_eq!(replicas, ["node-red-a", "node-red-b"]);
    assert!(project["services"].get("llm").is_none(), "a stand-in is not for production");
    for replica in replicas {
        let service = &project["services"][replica];
        let told = |variable: &str| service["environment"][variable].as_str().unwrap_or_default();
        let at = |network: String| service["networks"][&network]["ipv4_address"].as_str().unwrap();
        assert_eq!(told("FLOWS_HOST"), at(format!("edge--{replica}")));
        assert_eq!(told("READY_HOST"), told("FLOWS_HOST"));
        assert_eq!(told("OPS_HOST"), at(format!("{replica}--outside")));
        assert_eq!(told("EDITOR_PORT"), "");
        let drain: u32 =
            told("DRAIN_DELAY_MS").parse::<u32>().unwrap() + told("DRAIN_TIMEOUT_MS").parse::<u32>().unwrap();
        assert!(drain >= 60_000, "a model may take that long");
        let grace = |name: &str| {
            let given = project["services"][name]["stop_grace_period"].as_str().unwrap();
            let seconds =
                given.strip_suffix('s').unwrap().split('m').map(|part| part.parse::<u32>().unwrap());
            seconds.fold(0, |sum, part| sum * 60 + part) * 1000
        };
        assert!(
            drain < grace(replica) && grace(replica) < grace("edge"),
            "{} {}",
            grace(replica),
            grace("edge")
        );
        assert_ne!(told("DRAIN_DELAY_MS"), "0", "the edge has to notice");
        assert_eq!(service["depends_on"]["migrate"]["condition"], "service_completed_successfully");
    }
    assert_eq!(project["services"]["migrate"]["depends_on"]["postgres"]["condition"], "service_healthy");
}

#[test]
fn development_publishes_on_loopback_only_and_mounts_the_sources() {
    let project = project("ops/docker/dev", &[]);
    for absent in ["edge", "node-red-b"] {
        assert!(project["services"].get(absent).is_none(), "{absent}");
    }
    let node_red = &project["services"]["node-red-a"];
    let ports = node_red["ports"].as_array().unwrap();
    assert!(ports.iter().all(|port| port["host_ip"] == "127.0.0.1"), "{ports:?}");
    let targets: Vec<_> = ports.iter().map(|port| port["target"].as_u64().unwrap()).collect();
    assert_eq!(targets, [1881, 1882, 1883, 1880, 9229]);
    assert_eq!(node_red["build"]["target"], "debugger");
    assert_eq!(node_red["read_only"], true);
    let flows = repository().join("flows").display().to_string();
    assert!(node_red["volumes"].as_array().unwrap().iter().any(|mount| mount["source"] == *flows));
    for (name, service) in services(&project) {
        assert!(name == "node-red-a" || service.get("ports").is_none(), "{name}");
        let writes = |mount: &Value| mount["type"] == "bind" && mount["read_only"] != true;
        let may = name == "node-red-a";
        assert!(may || !service["volumes"].as_array().into_iter().flatten().any(writes), "{name}");
    }
}
