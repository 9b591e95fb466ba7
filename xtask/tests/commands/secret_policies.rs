//! Who may read which secret, asked of a real OpenBao that has the generated policies.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use artifacts::secret_policies::path;
use serde_json::{Value, json};
use vocabulary::formats::vault_policy::Capability;
use vocabulary::model::{Platform, SecretStore};

use crate::containers::repository;

const ROOT: &str = "root-of-the-test";
const LIMIT: Duration = Duration::from_secs(30);

/// OpenBao in memory.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(store: &SecretStore) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program())
            .args(["server", "-dev", "-dev-no-store-token", "-log-level=error"])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .arg(format!("-dev-root-token-id={ROOT}"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, address: format!("http://127.0.0.1:{port}/v1") };
        let give_up = Instant::now() + LIMIT;
        let health = format!("{}/sys/health", server.address);
        while ureq::get(&health).call().is_err() {
            assert!(Instant::now() < give_up, "OpenBao does not answer");
            thread::sleep(Duration::from_millis(50));
        }
        let engine = json!({ "type": "kv", "options": { "version": "2" } });
        server.done("POST", &format!("sys/mounts/{}", store.mount), &engine);
        server
    }

    fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.address))
            .header("x-vault-token", token)
            .header(
                "content-type",
                if method == "PATCH" { "application/merge-patch+json" } else { "application/json" },
            )
            .body(body.to_string())
            .unwrap();
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .proxy(None)
            .timeout_global(Some(LIMIT))
            .build()
            .into();
        let mut answer = agent.run(request).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
    }

    /// As root.
    #[track_caller]
    fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(ROOT, method, path, body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// A token that has this policy alone.
    fn token(&self, name: &str, policy: &str) -> String {
        self.done("POST", &format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
        let wanted = json!({ "policies": [name], "no_default_policy": true });
        self.done("POST", "auth/token/create", &wanted)["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// What a token may do with each path.
    fn capabilities(&self, token: &str, paths: &[String]) -> BTreeMap<String, Vec<String>> {
        let mut answer =
            self.done("POST", "sys/capabilities", &json!({ "token": token, "paths": paths }))["data"].take();
        let mut of = |path: &String| serde_json::from_value(answer[path].take()).unwrap();
        paths.iter().map(|path| (path.clone(), of(path))).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--root")
        .arg(repository())
        .args(["doctor", "--install", "bao", "--json"])
        .output()
        .unwrap();
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:#?}"));
    let found = findings.as_array().unwrap().iter().find(|one| one["program"] == "bao").unwrap();
    PathBuf::from(found["path"].as_str().unwrap_or_else(|| panic!("{found}")))
}

fn readers(platform: &Platform) -> BTreeMap<String, (PathBuf, Vec<String>)> {
    let store = platform.secret_store.unwrap();
    let reading = platform.services.iter().filter(|service| !service.secrets.is_empty());
    reading
        .map(|service| {
            let file = repository().join(format!("ops/secrets/policies/{}.hcl", service.id));
            let reads = service.secrets.iter().map(|used| path(&store, used.secret)).collect();
            (service.id.to_string(), (file, reads))
        })
        .collect()
}

/// Everywhere that a reader could want to go.
fn places(platform: &Platform) -> Vec<String> {
    let store = platform.secret_store.unwrap();
    let mount = store.mount;
    let mut places = Vec::new();
    for secret in &platform.secrets {
        places.push(path(&store, secret.name));
        for other in ["metadata", "delete", "undelete", "destroy", "subkeys"] {
            places.push(format!("{mount}/{other}/{}", secret.name));
        }
        places.push(format!("{}/below", path(&store, secret.name)));
    }
    for service in &platform.services {
        places.push(format!("sys/policies/acl/{}", service.id));
    }
    let fixed = [
        "auth/token/create",
        "auth/token/lookup",
        "auth/token/lookup-self",
        "auth/token/renew",
        "auth/token/renew-self",
        "auth/token/revoke",
        "auth/token/revoke-self",
        "auth/approle/role/x",
        "cubbyhole/x",
        "identity/entity",
        "secret/data/x",
        "sys/audit",
        "sys/auth/x",
        "sys/mounts",
        "sys/mounts/x",
        "sys/raw/core",
        "sys/rotate",
        "sys/seal",
        "sys/storage/raft/snapshot",
        "sys/wrapping/wrap",
    ];
    places.extend(fixed.map(str::to_owned));
    places.extend([format!("{mount}/data/"), format!("{mount}/metadata/"), format!("{mount}/config")]);
    places
}

/// What the model allows a reader of these paths.
fn allowed(reads: &[String], place: &str) -> Vec<String> {
    let capability = if reads.iter().any(|path| path == place) {
        Capability::Read.name()
    } else if ["auth/token/renew-self", "auth/token/revoke-self"].contains(&place) {
        Capability::Update.name()
    } else {
        "deny"
    };
    vec![capability.to_owned()]
}

fn differences(server: &Server, token: &str, reads: &[String], places: &[String]) -> Vec<String> {
    let may = server.capabilities(token, places);
    let wrong = may.iter().filter(|(place, may)| **may != allowed(reads, place));
    wrong.map(|(place, may)| format!("{place}: {}", may.join(", "))).collect()
}

#[test]
fn every_service_reads_its_secrets_and_can_do_nothing_else() {
    let platform = &platform::platform();
    let store = &platform.secret_store.unwrap();
    let server = Server::start(store);
    for secret in &platform.secrets {
        let value = json!({ "data": { "value": format!("value of {}", secret.name) } });
        server.done("POST", &path(store, secret.name), &value);
    }
    let (readers, places) = (readers(platform), places(platform));
    for (reader, (file, reads)) in &readers {
        let token = server.token(reader, &fs::read_to_string(file).unwrap());
        let wrong = differences(&server, &token, reads, &places);
        assert!(wrong.is_empty(), "{reader} may do other things than the model says: {wrong:#?}");
        // What the server says that it would do, it does.
        for secret in &platform.secrets {
            let place = path(store, secret.name);
            let reads = reads.contains(&place);
            let (status, answer) = server.ask(&token, "GET", &place, &Value::Null);
            assert_eq!(status, if reads { 200 } else { 403 }, "{reader} {place}: {answer}");
            if reads {
                assert_eq!(answer["data"]["data"]["value"], format!("value of {}", secret.name));
            }
            let changed = json!({ "data": { "value": "changed" } });
            let metadata = place.replace("/data/", "/metadata/");
            for (method, place) in
                [("POST", &place), ("PATCH", &place), ("DELETE", &place), ("DELETE", &metadata)]
            {
                let (status, answer) = server.ask(&token, method, place, &changed);
                assert_eq!(status, 403, "{reader} {method} {place}: {answer}");
            }
        }
        let list = format!("{}/metadata/?list=true", store.mount);
        assert_eq!(server.ask(&token, "GET", &list, &Value::Null).0, 403, "{reader} lists");
        assert_eq!(server.ask(&token, "POST", "auth/token/renew-self", &json!({})).0, 200, "{reader} renews");
    }
    planted_faults_are_found(&server, &readers, &places);
}

fn planted_faults_are_found(
    server: &Server,
    readers: &BTreeMap<String, (PathBuf, Vec<String>)>,
    places: &[String],
) {
    let (file, reads) = readers.values().find(|(_, reads)| reads.len() > 1).unwrap();
    let policy = fs::read_to_string(file).unwrap();
    let more = |rule: &str| format!("{policy}\npath \"{rule}\" {{\n  capabilities = [\"read\"]\n}}\n");
    let faults = [
        policy.replacen("[\"read\"]", "[\"read\", \"list\"]", 1),
        policy.replacen(&reads[0], "elsewhere", 1),
        more("flowship/*"),
        more("sys/mounts"),
    ];
    for (number, fault) in faults.iter().enumerate() {
        let token = server.token("planted", fault);
        assert!(!differences(server, &token, reads, places).is_empty(), "fault {number} is not found");
    }
}

#[test]
fn openbao_would_write_the_policies_the_same() {
    let (folder, program) = (tempfile::tempdir().unwrap(), program());
    for (reader, (file, _)) in readers(&platform::platform()) {
        let copy = folder.path().join(format!("{reader}.hcl"));
        fs::copy(&file, &copy).unwrap();
        let output = Command::new(&program).args(["policy", "fmt"]).arg(&copy).output().unwrap();
        assert!(output.status.success(), "{output:#?}");
        assert_eq!(fs::read_to_string(&copy).unwrap(), read(&file), "{reader}");
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}
