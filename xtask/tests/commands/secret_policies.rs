//! Who may read which secret, asked of a real OpenBao that has the generated policies.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use artifacts::secret_policies::{path, people, policies};
use serde_json::{Value, json};
use vocabulary::model::{Platform, Role, SecretRight, SecretStore};

use crate::containers::repository;
use crate::free_ports;

/// What replaces what a role logs in with.
const LOGIN_RIGHTS: [(&str, &str); 4] = [
    ("custom-secret-id", "update"),
    ("secret-id/lookup", "update"),
    ("secret-id", "list"),
    ("secret-id-accessor/destroy", "update"),
];

/// The mount of the database engine, and whose passwords it makes.
const ENGINE: &str = "flowship-database";
const LOGINS: [&str; 2] = ["flowship_app_a", "flowship_app_b"];

const ROOT: &str = "root-of-the-test";
const LIMIT: Duration = Duration::from_secs(30);

/// OpenBao in memory.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(store: &SecretStore) -> Self {
        let [port] = free_ports::free();
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

/// What a reader may do, by place.
type Allowed = BTreeMap<String, Vec<String>>;

fn file(reader: &str) -> PathBuf {
    repository().join(format!("ops/secrets/policies/{reader}.hcl"))
}

/// By the definitions of the services, and not by what generates the files.
fn readers(platform: &Platform) -> BTreeMap<String, Allowed> {
    let store = platform.secret_store.unwrap();
    let may = |capabilities: &[&str]| capabilities.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let own = ["renew", "revoke"].map(|act| (format!("auth/token/{act}-self"), may(&["update"])));
    let reading = platform.services.iter().filter(|service| !service.secrets.is_empty());
    let services = reading.map(|service| {
        let reads = service.secrets.iter().map(|used| (path(&store, used.secret), may(&["read"])));
        let logs_in = service.secrets.iter().any(|used| used.secret == platform.database.password);
        let logins = LOGINS.iter().filter(|_| logs_in);
        let passwords = logins.map(|login| (format!("{ENGINE}/static-creds/{login}"), may(&["read"])));
        (service.id.to_string(), reads.chain(passwords).collect::<Allowed>())
    });
    let changes = platform.secrets.iter().flat_map(|secret| {
        let metadata = format!("{}/metadata/{}", store.mount, secret.name);
        [(path(&store, secret.name), may(&["create", "read", "update"])), (metadata, may(&["read"]))]
    });
    let engine = [
        ("config/logins", &["create", "update"][..]),
        ("rotate-root/logins", &["update"]),
        ("config/set-up", &["create", "delete", "update"]),
        ("static-roles/flowship_app_admin", &["create", "delete", "update"]),
        ("static-creds/flowship_app_admin", &["read"]),
        ("static-roles/flowship_app_a", &["create", "read", "update"]),
        ("rotate-role/flowship_app_a", &["update"]),
        ("static-creds/flowship_app_a", &["read"]),
        ("static-roles/flowship_app_b", &["create", "read", "update"]),
        ("rotate-role/flowship_app_b", &["update"]),
        ("static-creds/flowship_app_b", &["read"]),
    ];
    let engine = engine.map(|(place, rights)| (format!("{ENGINE}/{place}"), may(rights)));
    let roles = ["flowship-operator".to_owned(), "flowship-backup".to_owned()];
    let reading_roles = platform.services.iter().filter(|service| !service.secrets.is_empty());
    let roles = roles.into_iter().chain(reading_roles.map(|service| service.id.to_string()));
    let logins = roles.flat_map(|role| {
        LOGIN_RIGHTS.map(|(what, right)| (format!("auth/approle/role/{role}/{what}"), may(&[right])))
    });
    let operator = changes
        .chain(engine)
        .chain(logins)
        .chain([("sys/seal".to_owned(), may(&["sudo", "update"]))])
        .collect();
    let backup = [("sys/storage/raft/snapshot".to_owned(), may(&["read"]))].into();
    let program = [("flowship-operator".to_owned(), operator), ("flowship-backup".to_owned(), backup)];
    let people = platform.access.iter().filter(|role| !role.secrets.is_empty());
    let people = people.map(|role| (format!("people-{}", role.id), rights(platform, &store, role)));
    let all = services.chain(program).chain(people);
    all.map(|(name, allowed)| (name, allowed.into_iter().chain(own.clone()).collect())).collect()
}

fn rights(platform: &Platform, store: &SecretStore, role: &Role) -> Allowed {
    let may = |right| role.secrets.contains(&right);
    let metadata = format!("{}/metadata/", store.mount);
    let values = |capability, right| {
        let places = platform.secrets.iter().map(|secret| path(store, secret.name));
        places.filter(move |_| may(right)).map(move |place| (place, capability))
    };
    let ages = platform.secrets.iter().map(|secret| (format!("{metadata}{}", secret.name), "read"));
    let passwords = LOGINS.iter().map(|login| (format!("{ENGINE}/static-creds/{login}"), "read"));
    let at = |place: &str, capability, right| may(right).then(|| (place.to_owned(), capability));
    let mut allowed = Allowed::new();
    for (place, capability) in values("create", SecretRight::Replace)
        .chain(values("read", SecretRight::Read))
        .chain(values("update", SecretRight::Replace))
        .chain(passwords.filter(|_| may(SecretRight::Read)))
        .chain(ages.filter(|_| may(SecretRight::List)))
        .chain(at(&metadata, "list", SecretRight::List))
        .chain(at("sys/storage/raft/snapshot", "read", SecretRight::Snapshot))
        .chain(at("sys/seal", "sudo", SecretRight::Seal))
        .chain(at("sys/seal", "update", SecretRight::Seal))
    {
        allowed.entry(place).or_default().push(capability.to_owned());
    }
    allowed
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
    for what in
        ["config", "roles", "creds", "static-roles", "static-creds", "rotate-role", "rotate-root", "reset"]
    {
        let names = LOGINS.iter().chain(&["flowship_app_admin", "flowship_app", "logins", "set-up", "x", ""]);
        places.extend(names.map(|name| format!("{ENGINE}/{what}/{name}")));
    }
    places.push(format!("sys/mounts/{ENGINE}"));
    let roles = platform.services.iter().map(|service| service.id.0).chain([
        "flowship-operator",
        "flowship-backup",
        "x",
    ]);
    for role in roles {
        let below = ["role-id", "secret-id/destroy", "secret-id-accessor/lookup", "policies"];
        let below = below.into_iter().chain(LOGIN_RIGHTS.map(|(what, _)| what));
        places.push(format!("auth/approle/role/{role}"));
        places.extend(below.map(|what| format!("auth/approle/role/{role}/{what}")));
    }
    places.extend([format!("{mount}/data/"), format!("{mount}/metadata/"), format!("{mount}/config")]);
    places
}

fn differences(server: &Server, token: &str, allowed: &Allowed, places: &[String]) -> Vec<String> {
    let denied = vec!["deny".to_owned()];
    let may = server.capabilities(token, places);
    let wrong = may.iter().filter(|(place, may)| {
        let mut may = (*may).clone();
        may.sort();
        may != *allowed.get(*place).unwrap_or(&denied)
    });
    wrong.map(|(place, may)| format!("{place}: {}", may.join(", "))).collect()
}

#[test]
fn every_service_and_every_person_may_do_what_the_model_says_and_nothing_else() {
    let platform = &platform::platform();
    let store = &platform.secret_store.unwrap();
    let server = Server::start(store);
    for secret in &platform.secrets {
        let value = json!({ "data": { "value": format!("value of {}", secret.name) } });
        server.done("POST", &path(store, secret.name), &value);
    }
    let (readers, places) = (readers(platform), places(platform));
    let generated = policies(platform, store).into_iter().chain(people(platform, store));
    let generated: Vec<String> = generated.map(|policy| policy.name).collect();
    assert!(generated.iter().all(|name| readers.contains_key(name)), "{generated:?}");
    for (reader, allowed) in &readers {
        let token = server.token(reader, &read(&file(reader)));
        let wrong = differences(&server, &token, allowed, &places);
        assert!(wrong.is_empty(), "{reader} may do other things than the model says: {wrong:#?}");
        // What the server says that it would do, it does.
        for secret in &platform.secrets {
            let place = path(store, secret.name);
            let may = |what: &str| {
                allowed.get(&place).is_some_and(|may| may.iter().any(|capability| capability == what))
            };
            let (status, answer) = server.ask(&token, "GET", &place, &Value::Null);
            assert_eq!(status, if may("read") { 200 } else { 403 }, "{reader} {place}: {answer}");
            if may("read") {
                assert_eq!(answer["data"]["data"]["value"], format!("value of {}", secret.name));
            }
            let metadata = place.replace("/data/", "/metadata/");
            let changed = json!({ "data": { "value": format!("value of {}", secret.name) } });
            for (method, place) in
                [("POST", &place), ("PATCH", &place), ("DELETE", &place), ("DELETE", &metadata)]
            {
                let (status, answer) = server.ask(&token, method, place, &changed);
                let expected = if method == "POST" && may("update") { 200 } else { 403 };
                assert_eq!(status, expected, "{reader} {method} {place}: {answer}");
            }
        }
        let list = format!("{}/metadata/", store.mount);
        let expected = if allowed.contains_key(&list) { 200 } else { 403 };
        let list = server.ask(&token, "GET", &format!("{list}?list=true"), &Value::Null).0;
        assert_eq!(list, expected, "{reader} lists");
        assert_eq!(server.ask(&token, "POST", "auth/token/renew-self", &json!({})).0, 200, "{reader} renews");
    }
    planted_faults_are_found(&server, &readers, &places);
}

fn planted_faults_are_found(server: &Server, readers: &BTreeMap<String, Allowed>, places: &[String]) {
    let store = platform::platform().secret_store.unwrap();
    for reader in ["node-red", "people-operator"] {
        let (policy, allowed) = (read(&file(reader)), &readers[reader]);
        let more = |rule: &str| format!("{policy}\npath \"{rule}\" {{\n  capabilities = [\"read\"]\n}}\n");
        let secret = allowed.keys().find(|place| place.starts_with(store.mount)).unwrap();
        let mut faults = vec![
            policy.replacen("[\"read\"]", "[\"read\", \"list\"]", 1),
            policy.replacen(secret, "elsewhere", 1),
            more("flowship/*"),
            more("sys/mounts"),
            more("flowship-database/static-creds/flowship_app_admin"),
            more("flowship-database/creds/*"),
        ];
        if reader.starts_with("people-") {
            faults.push(policy.replacen("[\"create\", \"update\"]", "[\"create\", \"read\", \"update\"]", 1));
        }
        for (number, fault) in faults.iter().enumerate() {
            let token = server.token("planted", fault);
            let found = differences(server, &token, allowed, places);
            assert!(!found.is_empty(), "fault {number} of {reader} is not found");
        }
    }
}

#[test]
fn openbao_would_write_the_policies_the_same() {
    let (folder, program) = (tempfile::tempdir().unwrap(), program());
    for reader in readers(&platform::platform()).into_keys() {
        let copy = folder.path().join(format!("{reader}.hcl"));
        fs::copy(file(&reader), &copy).unwrap();
        let output = Command::new(&program).args(["policy", "fmt"]).arg(&copy).output().unwrap();
        assert!(output.status.success(), "{output:#?}");
        assert_eq!(read(&copy), read(&file(&reader)), "{reader}");
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}
