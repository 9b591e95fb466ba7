//! The secret store with a real OpenBao: one server, from its first keys to its loss.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::checkout::{Checkout, Ended};

const SECRETS: &str = ".flowship/dev/secrets";
const KEYS: [&str; 3] = ["one.key", "two.key", "three.key"];

struct Site {
    checkout: Checkout,
}

impl Site {
    fn new() -> Self {
        let checkout = Checkout::new();
        let file = "ops/environments/dev.toml";
        checkout.write(file, &format!("secret_store = \"vault\"\n{}", checkout.read(file)));
        Self { checkout }
    }

    fn path(&self, name: &str) -> String {
        self.checkout.path(name).display().to_string()
    }

    fn key(&self, index: usize) -> [String; 2] {
        ["--key-file".to_owned(), self.path(KEYS[index])]
    }

    fn with(&self, words: &[&str], more: &[[String; 2]]) -> Ended {
        let words = words.iter().copied().chain(more.iter().flatten().map(String::as_str));
        self.checkout.run(&words.collect::<Vec<_>>())
    }

    #[track_caller]
    fn done(&self, words: &[&str], more: &[[String; 2]]) -> Ended {
        let ended = self.with(words, more);
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:#?}");
        ended
    }

    /// Reading the secrets fails, says this, and changes no file.
    #[track_caller]
    fn fails_closed(&self, says: &[&str]) {
        let before = self.files();
        let ended = self.with(&["secrets", "render", "dev"], &[]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        ended.says(says);
        assert_eq!(self.files(), before);
    }

    fn files(&self) -> Vec<(String, String, SystemTime)> {
        let Ok(entries) = fs::read_dir(self.checkout.path(SECRETS)) else { return vec![] };
        let mut files: Vec<_> = entries
            .map(|entry| {
                let entry = entry.unwrap();
                let found = entry.metadata().unwrap();
                assert_eq!(found.permissions().mode() & 0o777, 0o600, "{entry:?}");
                let text = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text, found.modified().unwrap())
            })
            .collect();
        files.sort();
        files
    }

    fn agent(&self) -> ureq::Agent {
        let pem = self.checkout.read(".flowship/dev/data/openbao/configuration/server.pem");
        let certificate = ureq::tls::Certificate::from_pem(pem.as_bytes()).unwrap();
        let roots = ureq::tls::RootCerts::new_with_certs(&[certificate]);
        let tls = ureq::tls::TlsConfig::builder().root_certs(roots).build();
        let config = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).proxy(None);
        config.build().into()
    }

    /// As somebody who knows the API.
    fn api(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("https://127.0.0.1:{}/v1/{path}", self.checkout.port("openbao", "api"));
        let request = ureq::http::Request::builder().method(method).uri(url).header("x-vault-token", token);
        let mut answer = self.agent().run(request.body(body.to_string()).unwrap()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
    }

    /// A token of one of the roles.
    fn token(&self, role: &str) -> String {
        let login = serde_json::from_str(&self.checkout.read(&format!(".flowship/dev/roles/{role}.json")));
        let (status, answer) = self.api("", "POST", "auth/approle/login", &login.unwrap());
        assert_eq!(status, 200, "{answer}");
        answer["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// A root token, as key holders make one.
    fn root(&self) -> String {
        self.api("", "DELETE", "sys/generate-root/attempt", &Value::Null);
        let (_, attempt) = self.api("", "POST", "sys/generate-root/attempt", &json!({}));
        for key in &KEYS[..2] {
            let given = json!({ "key": self.checkout.read(key).trim(), "nonce": attempt["nonce"] });
            let (status, answer) = self.api("", "POST", "sys/generate-root/update", &given);
            assert_eq!(status, 200, "{answer}");
            if answer["complete"] == true {
                let decoded = std::process::Command::new("base64")
                    .arg("-d")
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .and_then(|mut child| {
                        let mut stdin = child.stdin.take().unwrap();
                        let sent = answer["encoded_token"].as_str().unwrap();
                        writeln!(stdin, "{sent:=<0$}", sent.len().next_multiple_of(4))?;
                        drop(stdin);
                        child.wait_with_output()
                    });
                let pad = attempt["otp"].as_str().unwrap().bytes();
                let plain = decoded.unwrap().stdout.into_iter().zip(pad).map(|(one, other)| one ^ other);
                return String::from_utf8(plain.collect()).unwrap();
            }
        }
        panic!("two keys make no root token")
    }

    #[track_caller]
    fn as_root(&self, root: &str, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.api(root, method, path, body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }
}

#[test]
fn services_read_their_secrets_from_a_store_and_nothing_starts_without_them() {
    let site = Site::new();
    nothing_is_shown_where_it_could_be_logged(&site);
    first_set_up(&site);
    sealed(&site);
    changed_behind_its_back(&site);
    secrets_are_in_memory(&site);
    what_opens_it_is_replaced(&site);
    a_snapshot_brings_everything_back(&site);
    the_platform_runs_on_it(&site);
    unreachable(&site);
}

fn nothing_is_shown_where_it_could_be_logged(site: &Site) {
    let wrong = site.with(&["secrets", "init", "dev", "--shares", "2", "--threshold", "3"], &[]);
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
    let refused = site.with(&["secrets", "init", "dev"], &[]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    refused.says(&["--new-key-file"]);
    // It runs, and has no keys: the platform does not start, and says what to do.
    site.fails_closed(&["postgres-app-password", "has no keys: `cargo xtask secrets init dev`"]);
}

fn first_set_up(site: &Site) {
    let files = KEYS.map(|name| ["--new-key-file".to_owned(), site.path(name)]);
    let init = ["secrets", "init", "dev", "--shares", "3", "--threshold", "2"];
    let done = site.done(&init, &files);
    let keys: Vec<String> = KEYS.iter().map(|name| site.checkout.read(name).trim().to_owned()).collect();
    for (name, key) in KEYS.iter().zip(&keys) {
        let mode = fs::metadata(site.checkout.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode, key.len() > 60), (0o600, true), "{name}");
    }
    let log = site.checkout.read(".flowship/dev/services/openbao.log");
    assert!(log.contains("sys/policies/acl/node-red"), "it audits: {log}");
    let printed = format!("{done:?}{log}");
    assert!(!keys.iter().any(|key| printed.contains(key.as_str())), "a key was printed");
    site.done(&["secrets", "render", "dev"], &[]);
    let values = site.files();
    assert!(values.iter().any(|(name, ..)| name == "postgres-app-password"), "{values:?}");
    let log = site.checkout.read(".flowship/dev/services/openbao.log");
    for (name, value, _) in &values {
        assert!(!log.contains(value.trim()), "{name} was logged");
    }
    // Nobody is root any more, and a service reads what is its own and nothing else.
    let root = site.root();
    let tokens = site.as_root(&root, "GET", "auth/token/accessors?list=true", &Value::Null);
    let roots = tokens["data"]["keys"].as_array().unwrap().iter().filter(|accessor| {
        let named = json!({ "accessor": accessor });
        let (_, found) = site.api(&root, "POST", "auth/token/lookup-accessor", &named);
        found["data"]["policies"].as_array().is_some_and(|all| all.contains(&json!("root")))
    });
    assert_eq!(roots.count(), 1, "the one that this test has made");
    let token = site.token("llm");
    assert_eq!(site.api(&token, "GET", "flowship/data/llm-api-key", &Value::Null).0, 200);
    assert_eq!(site.api(&token, "GET", "flowship/data/ops-token", &Value::Null).0, 403);
    // Again: it revokes the test's root token, and replaces neither roles nor values, also not one that was rotated.
    let rotated = json!({ "data": { "value": "rotated\n" } });
    site.as_root(&site.token("flowship-operator"), "POST", "flowship/data/ops-token", &rotated);
    let role = site.checkout.read(".flowship/dev/roles/node-red.json");
    let again = site.done(&["secrets", "init", "dev", "--json"], &[site.key(0), site.key(2)]).json();
    assert_eq!(again["changed"], json!([]), "{again:#}");
    assert_eq!(site.checkout.read(".flowship/dev/roles/node-red.json"), role);
    assert_eq!(site.api(&root, "GET", "sys/mounts", &Value::Null).0, 403, "a root token is left");
    site.done(&["secrets", "render", "dev"], &[]);
    assert_eq!(site.checkout.read(&format!("{SECRETS}/ops-token")), "rotated\n");
}

/// What the rule of the alert reads, as Prometheus does.
fn says_unsealed(site: &Site) -> bool {
    let url = format!(
        "https://127.0.0.1:{}/v1/sys/metrics?format=prometheus",
        site.checkout.port("openbao", "api")
    );
    let text = site.agent().get(url).call().unwrap().body_mut().read_to_string().unwrap();
    let series = text.lines().filter(|line| line.starts_with("vault_core_unsealed{"));
    let values: Vec<_> = series.filter_map(|line| line.rsplit(' ').next()).collect();
    assert!(!values.is_empty() && values.iter().all(|value| ["0", "1"].contains(value)), "{text}");
    values.contains(&"1")
}

fn sealed(site: &Site) {
    assert!(says_unsealed(site));
    site.done(&["secrets", "seal", "dev"], &[]);
    assert!(!says_unsealed(site));
    site.fails_closed(&["ops-token", "is sealed: `cargo xtask secrets unseal dev`"]);
    let too_few = site.with(&["secrets", "unseal", "dev"], &[site.key(1)]);
    assert_eq!(too_few.code, Some(2), "{too_few:#?}");
    too_few.says(&["needs 2 different ones"]);
    fs::set_permissions(site.checkout.path(KEYS[0]), fs::Permissions::from_mode(0o644)).unwrap();
    let open = site.with(&["secrets", "unseal", "dev"], &[site.key(0), site.key(1)]);
    assert_eq!(open.code, Some(2), "{open:#?}");
    open.says(&["others can read", "chmod 600"]);
    fs::set_permissions(site.checkout.path(KEYS[0]), fs::Permissions::from_mode(0o600)).unwrap();
    // From stdin, as a program hands them over.
    let mut child =
        site.checkout.command(&["secrets", "unseal", "dev"]).stdin(Stdio::piped()).spawn().unwrap();
    let keys = format!("{}{}", site.checkout.read(KEYS[2]), site.checkout.read(KEYS[1]));
    child.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(says_unsealed(site));
    site.done(&["secrets", "render", "dev"], &[]);
}

/// What an administrator of the store can do to a service: its token expires early, its policy or its login is removed.
fn changed_behind_its_back(site: &Site) {
    let root = site.root();
    let again = || site.done(&["secrets", "init", "dev"], &[site.key(0), site.key(1)]);
    // Good for one request, which renders it useless for the second secret.
    let short = json!({ "token_policies": ["node-red"], "token_num_uses": 1 });
    site.as_root(&root, "POST", "auth/approle/role/node-red", &short);
    site.fails_closed(&["node-red may not read", "token has expired", "`cargo xtask secrets init dev`"]);
    again();
    site.done(&["secrets", "render", "dev"], &[]);
    let root = site.root();
    site.as_root(&root, "DELETE", "sys/policies/acl/migrate", &Value::Null);
    site.fails_closed(&["migrate may not read postgres-", "policy was changed or removed"]);
    site.as_root(&root, "DELETE", "auth/approle/role/llm", &Value::Null);
    site.fails_closed(&["llm cannot read llm-api-key", "refuses the login of llm"]);
    site.as_root(&root, "DELETE", "flowship/metadata/api-key", &Value::Null);
    site.fails_closed(&["cannot read api-key: it is not in the store"]);
    // Also to people: a policy is removed, and that of a role that there is no more is left.
    site.as_root(&root, "DELETE", "sys/policies/acl/people-operator", &Value::Null);
    site.as_root(&root, "POST", "sys/policies/acl/people-gone", &json!({ "policy": "path \"x\" {}" }));
    let before = site.checkout.read(&format!("{SECRETS}/api-key"));
    let done = again();
    assert!(done.out.contains("the policy people-operator is in the store\n"), "{done:#?}");
    let root = site.root();
    let policies = site.as_root(&root, "GET", "sys/policies/acl?list=true", &Value::Null);
    let people = policies["data"]["keys"].as_array().unwrap().iter().filter_map(Value::as_str);
    let people: Vec<&str> = people.filter(|name| name.starts_with("people-")).collect();
    assert_eq!(people, ["people-emergency", "people-operator"]);
    site.done(&["secrets", "render", "dev"], &[]);
    assert_eq!(site.checkout.read(&format!("{SECRETS}/api-key")), before, "what services use goes on");
}

/// Where the machine has a `tmpfs` that lasts. A restart of the machine empties it.
fn secrets_are_in_memory(site: &Site) {
    const TMPFS: u64 = 0x0102_1994;
    let is_tmpfs = |path: &str| rustix::fs::statfs(path).unwrap().f_type as u64 == TMPFS;
    let lasts =
        rustix::process::geteuid().as_raw() < 1000 && ["/run", "/dev/shm"].iter().any(|path| is_tmpfs(path));
    let folder = site.checkout.path(SECRETS);
    assert_eq!(is_tmpfs(folder.to_str().unwrap()), lasts);
    let rendered = site.done(&["secrets", "render", "dev"], &[]).out;
    assert!(rendered.contains(if lasts { "in memory" } else { "on disk" }), "{rendered}");
    if lasts {
        let before: Vec<_> = site.files().into_iter().map(|(name, text, _)| (name, text)).collect();
        fs::remove_dir_all(fs::read_link(&folder).unwrap().parent().unwrap()).unwrap();
        assert!(site.files().is_empty());
        site.done(&["secrets", "render", "dev"], &[]);
        let after: Vec<_> = site.files().into_iter().map(|(name, text, _)| (name, text)).collect();
        assert_eq!(after, before);
    }
}

/// Logins, also when that is interrupted anywhere, and unseal keys.
fn what_opens_it_is_replaced(site: &Site) {
    let logs_in = |text: &str| {
        site.api("", "POST", "auth/approle/login", &serde_json::from_str(text).unwrap()).0 == 200
    };
    let renew = ["secrets", "renew-logins", "dev"];
    let roles = fs::read_dir(site.checkout.path(".flowship/dev/roles")).unwrap();
    let roles: Vec<String> =
        roles.map(|file| format!(".flowship/dev/roles/{}", file.unwrap().file_name().display())).collect();
    let mut interrupted = 0;
    assert!(!roles.iter().any(|role| role.contains("/.")), "{roles:?}");
    let is_half = |role: &String| {
        let login = site.checkout.read(role);
        login.contains("\"previous\"") || login.contains("\"next\"")
    };
    for watched in roles.iter().take(4) {
        let before: Vec<String> = roles.iter().map(|role| site.checkout.read(role)).collect();
        let mut child = site.checkout.command(&renew).stdout(Stdio::null()).spawn().unwrap();
        while !is_half(watched) && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let half = roles.iter().filter(|role| is_half(role)).count();
        interrupted += half;
        let audit = site.with(&["secrets", "audit", "dev"], &[]).out;
        assert_eq!(audit.contains("its change was interrupted"), half > 0, "{audit}");
        site.done(&["secrets", "render", "dev"], &[]);
        site.done(&renew, &[]);
        for (role, before) in roles.iter().zip(&before) {
            let login: Value = serde_json::from_str(&site.checkout.read(role)).unwrap();
            assert_eq!(login.as_object().unwrap().len(), 2, "{role}: nothing is left over");
            assert!(logs_in(&login.to_string()) && !logs_in(before), "{role}");
        }
    }
    assert!(interrupted > 0, "no kill came in between");
    let audit = site.with(&["secrets", "audit", "dev"], &[]).out;
    assert!(audit.contains("login-node-red ") && audit.contains("unseal-keys "), "{audit}");

    // Somebody made new keys, and was interrupted before they were proven: the old ones hold.
    let root = site.root();
    let wanted = json!({ "secret_shares": 1, "secret_threshold": 1, "require_verification": true });
    let begun = site.as_root(&root, "POST", "sys/rotate/root/init", &wanted);
    for key in &KEYS[..2] {
        let given = json!({ "key": site.checkout.read(key).trim(), "nonce": begun["data"]["nonce"] });
        site.as_root(&root, "POST", "sys/rotate/root/update", &given);
    }
    let new = ["four.key", "five.key", "six.key"].map(|name| ["--new-key-file".to_owned(), site.path(name)]);
    let rekey = ["secrets", "rekey", "dev", "--shares", "3", "--threshold", "2"];
    let too_few = site.with(&rekey, &[&new[..], &[site.key(0)]].concat());
    assert_eq!(too_few.code, Some(1), "{too_few:#?}");
    let done = site.done(&rekey, &[&new[..], &[site.key(0), site.key(1)]].concat());
    for name in ["four.key", "five.key", "six.key"] {
        assert!(!format!("{done:?}").contains(site.checkout.read(name).trim()), "a key was printed");
    }
    site.done(&["secrets", "seal", "dev"], &[]);
    let old = site.with(&["secrets", "unseal", "dev"], &[site.key(0), site.key(1)]);
    assert_eq!(old.code, Some(2), "the old keys are refused: {old:#?}");
    for (old, new) in KEYS.iter().zip(["four.key", "five.key", "six.key"]) {
        fs::rename(site.checkout.path(new), site.checkout.path(old)).unwrap();
    }
    site.done(&["secrets", "unseal", "dev"], &[site.key(2), site.key(1)]);
}

fn a_snapshot_brings_everything_back(site: &Site) {
    let snapshot = site.path("secrets.snapshot");
    site.done(&["secrets", "snapshot", "dev", &snapshot], &[]);
    let mode = fs::metadata(&snapshot).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let twice = site.with(&["secrets", "snapshot", "dev", &snapshot], &[]);
    assert_eq!(twice.code, Some(2), "{twice:#?}");
    let bytes = fs::read(&snapshot).unwrap();
    for (name, value, _) in site.files() {
        let value = value.trim().as_bytes();
        assert!(!bytes.windows(value.len()).any(|part| part == value), "{name} is readable in it");
    }
    let lost = json!({ "data": { "value": "lost\n" } });
    site.as_root(&site.token("flowship-operator"), "POST", "flowship/data/ops-token", &lost);
    site.done(&["secrets", "render", "dev"], &[]);
    assert_eq!(site.checkout.read(&format!("{SECRETS}/ops-token")), "lost\n");
    site.done(&["secrets", "restore", "dev", &snapshot], &[site.key(0), site.key(1)]);
    site.done(&["secrets", "render", "dev"], &[]);
    assert_eq!(site.checkout.read(&format!("{SECRETS}/ops-token")), "rotated\n");
}

fn the_platform_runs_on_it(site: &Site) {
    // After a stop, as after a restart of the machine, it waits for its keys, and so does everything else.
    site.checkout.done(&["down"]);
    let refused = site.checkout.run(&["dev", "--detach"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    refused.says(&["is sealed: `cargo xtask secrets unseal dev`"]);
    assert!(!refused.errors.contains("start postgres"), "{refused:#?}");
    site.done(&["secrets", "unseal", "dev"], &[site.key(0), site.key(1)]);
    site.checkout.up();
    assert_eq!(site.checkout.failed_checks(), [""; 0]);
}

fn unreachable(site: &Site) {
    // What runs has its secrets, and goes on.
    site.done(&["secrets", "seal", "dev"], &[]);
    assert_eq!(site.checkout.failed_checks(), [""; 0]);
    site.checkout.done(&["down"]);
    site.fails_closed(&["cannot read postgres-superuser-password", "does not answer"]);
}
