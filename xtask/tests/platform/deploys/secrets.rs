//! Secrets are replaced while an environment serves, also when the command is killed; old values are refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::site::Site;
use super::story::path_of_the_migrations;
use crate::load::{Ended, Load};
use crate::until;
use crate::web;

const LOGIN: &str = "postgres-app-password";
const SUPERUSER: &str = "postgres-superuser-password";
const FILE: &str = "ops/environments/qa.toml";
/// How long an old value may be accepted after its rotation.
const DEAD_WITHIN: Duration = Duration::from_secs(5);
/// Those who do not are cut off later.
const READERS_LEAVE_WITHIN: Duration = Duration::from_secs(60);

enum Store {
    Files,
    Vault,
}

struct Running {
    site: Site,
    /// Where `psql` is.
    path: String,
    caller: String,
}

impl Running {
    fn new(store: Store) -> Self {
        let site = Site::new();
        fs::set_permissions(site.path("provider-key"), fs::Permissions::from_mode(0o600)).unwrap();
        let path = |name: &str| site.path(name).display().to_string();
        let release = match store {
            Store::Files => {
                make_certificate(&site);
                let tls = format!(
                    "[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n",
                    path("tls.pem"),
                    path("tls.key")
                );
                site.write(FILE, &format!("{}{tls}", site.read(FILE)));
                site.package("first", "1.0.0")
            }
            Store::Vault => {
                site.write(FILE, &format!("secret_store = \"vault\"\n{}", site.read(FILE)));
                let release = site.package("first", "1.0.0");
                site.ends(1, &site.deploy("qa", &release)).says(&["has no keys"]);
                let init = ["secrets", "init", "qa", "--shares", "1", "--threshold", "1", "--new-key-file"];
                site.done(&[&init[..], &[&path("one.key")]].concat());
                release
            }
        };
        let plan = site.done(&[&site.deploy("qa", &release)[..], &["--dry-run", "--json"]].concat()).json();
        site.done(&site.deploy("qa", &release));
        let caller = site.done(&["keys", "create", "qa", "caller"]).out.trim().to_owned();
        Self { path: path_of_the_migrations(&plan), site, caller }
    }

    /// In PEM, the one that the edge shows in a handshake.
    fn served(&self) -> String {
        let at = self.site.edge("qa").url.replace("https://", "");
        let words = ["s_client", "-connect", &at, "-servername", "flows.example.com"];
        let output = Command::new("openssl").args(words).stdin(Stdio::null()).output().unwrap();
        first_certificate(&String::from_utf8(output.stdout).unwrap())
    }

    fn certificate(&self) -> String {
        first_certificate(&fs::read_to_string(self.site.path("tls.pem")).unwrap())
    }

    fn text(&self, secret: &str) -> String {
        fs::read_to_string(self.site.of("qa").join("secrets").join(secret)).unwrap()
    }

    fn value(&self, secret: &str) -> String {
        self.text(secret).lines().next().unwrap().to_owned()
    }

    /// What the database says, or why it does not let this login in.
    fn psql(&self, role: &str, login: &str, statement: &str) -> Result<String, String> {
        let (user, password) = login.split_once(':').unwrap_or((role, login));
        let port = self.site.service("qa", "postgres")["ports"]["sql"].to_string();
        let output = Command::new("psql")
            .env("PATH", &self.path)
            .env("PGPASSWORD", password)
            .args(["-h", "127.0.0.1", "-p", &port, "-U", user, "-d", "flowship", "-Atc", statement])
            .output()
            .unwrap();
        let text = |said: Vec<u8>| String::from_utf8_lossy(&said).trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Panics where nobody can say.
    fn logs_in(&self, role: &str, login: &str) -> bool {
        match self.psql(role, login, "SELECT current_user") {
            Ok(acts_as) => {
                assert_eq!(acts_as, role);
                true
            }
            Err(said) => {
                let refused = ["password authentication failed", "not permitted to log in"];
                assert!(refused.iter().any(|refused| said.contains(refused)), "{said}");
                false
            }
        }
    }

    /// Whether whoever asks for a secret accepts this value.
    fn is_accepted(&self, secret: &str, value: &str) -> bool {
        let status = match secret {
            LOGIN => return self.logs_in("flowship_app", value),
            "postgres-owner-password" => return self.logs_in("flowship_owner", value),
            SUPERUSER => return self.logs_in("postgres", value),
            "ops-token" => {
                let port = &self.site.service("qa", "node-red-a")["ports"]["ops"];
                web::ask("GET", &format!("http://127.0.0.1:{port}/keys"), Some(value), None).unwrap().status
            }
            "api-key" => {
                let edge = self.site.edge("qa");
                let client = web::unchecked();
                web::ask_with(&client, "GET", &format!("{}/api/v1/queues", edge.url), Some(value), None)
                    .unwrap()
                    .status
            }
            other => panic!("{other}"),
        };
        assert!([200, 401].contains(&status), "{secret}: {status}");
        status == 200
    }

    fn steps(&self, secret: &str) -> Vec<String> {
        let plan = self.site.done(&["secrets", "rotate", "qa", secret, "--dry-run", "--json"]).json();
        let steps = plan["steps"].as_array().unwrap().iter();
        steps.map(|step| step["title"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn dies(&self, secret: &str, old: &str) {
        let begun = Instant::now();
        while self.is_accepted(secret, old) {
            assert!(begun.elapsed() < DEAD_WITHIN, "the old {secret} is still accepted");
        }
        assert!(self.is_accepted(secret, &self.value(secret)), "the new {secret} is refused");
        assert_eq!(self.text(secret).lines().count(), 1, "{secret} has one value");
        let files = fs::read_dir(self.site.of("qa").join("secrets")).unwrap();
        let mut names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(names.all(|name| !name.starts_with('.')), "a value was left in {:?}", self.site.of("qa"));
    }
}

/// A pair of the site, in the place of the one before; the key of that stays beside it.
fn make_certificate(site: &Site) {
    let _ = fs::rename(site.path("tls.key"), site.path("other.key"));
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj /CN=flows.example.com \
                 -addext subjectAltName=DNS:flows.example.com,IP:127.0.0.1 -keyout tls.key -out tls.pem";
    let folder = site.path("");
    let made = Command::new("openssl").args(words.split_whitespace()).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{made:#?}");
}

fn first_certificate(text: &str) -> String {
    const END: &str = "-----END CERTIFICATE-----";
    let from = text.find("-----BEGIN CERTIFICATE-----").unwrap_or_else(|| panic!("{text}"));
    text[from..].split_inclusive(END).next().unwrap().to_owned()
}

/// Requests through the edge that ask the database, and tasks, all the time; none fails.
fn under_load(running: &Running, work: impl FnOnce()) {
    let load = Load::default();
    let edge = running.site.edge("qa");
    let send = |method: &'static str, path: &'static str, body: Option<&'static str>, good: u16| {
        // Its certificate changes, which is looked at apart.
        let client = web::unchecked();
        let url = format!("{}{path}", edge.url);
        load.send(|| {
            let answer = web::ask_with(&client, method, &url, Some(&running.caller), body);
            let served = answer.as_ref().is_some_and(|answer| answer.status == good);
            if served { Ok(()) } else { Err(format!("{method} {path}: {answer:?}")) }
        });
    };
    std::thread::scope(|scope| {
        let send = &send;
        scope.spawn(move || send("GET", "/api/v1/queues", None, 200));
        let task = r#"{"input":{"text":"a"}}"#;
        scope.spawn(move || send("POST", "/api/v1/workflows/describe-text/tasks", Some(task), 202));
        let ended = Ended(&load.ended);
        work();
        drop(ended);
    });
    let (sent, failed) = (load.sent.into_inner(), load.failed.into_inner().unwrap());
    eprintln!("{sent} requests, {} failed", failed.len());
    assert!(sent > 100, "the load has run: {sent}");
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Killed after each of its steps, the command is run again.
fn survives_every_kill(running: &Running, secret: &str) {
    let steps = running.steps(secret);
    assert!(steps.len() >= 4, "{steps:?}");
    for killed_after in 0..steps.len() {
        let old = running.value(secret);
        let begun = running.site.begin(&["secrets", "rotate", "qa", secret]);
        if let Some(before) = killed_after.checked_sub(1) {
            begun.await_line(&format!("✓ {}", steps[before]));
        }
        begun.kill();
        let again = Instant::now();
        running.site.done(&["secrets", "rotate", "qa", secret]);
        let took = again.elapsed();
        eprintln!("{secret}, killed after {killed_after} steps: {:.1} s to go on", took.as_secs_f64());
        assert!(took < READERS_LEAVE_WITHIN, "readers do not leave the old login by themselves");
        assert_ne!(running.value(secret), old);
        running.dies(secret, &old);
    }
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn secrets_are_replaced_under_load_whenever_the_command_is_killed() {
    let running = Running::new(Store::Files);
    let site = &running.site;
    under_load(&running, || {
        for secret in ["ops-token", LOGIN] {
            survives_every_kill(&running, secret);
        }
        a_certificate_of_the_site_is_renewed(&running);
    });
    a_set_up_that_runs_again_keeps_what_was_rotated(&running);
    an_older_release_is_shut_out_again(&running);
    an_interrupted_rotation_is_shown_and_no_deploy_begins(&running);
    site.done(&["secrets", "check", "qa"]);
    assert!(site.done(&["smoke", "qa"]).out.contains("6 of 6 checks passed"));
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn the_other_secrets_are_replaced_under_load_whenever_the_command_is_killed() {
    let running = Running::new(Store::Files);
    under_load(&running, || {
        for secret in ["api-key", SUPERUSER] {
            survives_every_kill(&running, secret);
        }
    });
    running.site.done(&["secrets", "check", "qa"]);
    what_was_revoked_before_a_restart_is_brought_back(&running);
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn the_database_engine_of_the_store_lets_logins_take_turns_whenever_the_command_is_killed() {
    let running = Running::new(Store::Vault);
    under_load(&running, || {
        survives_every_kill(&running, LOGIN);
        an_administrator_who_is_shut_out_begins_again(&running);
    });
    the_store_alone_makes_its_passwords(&running);
    let before = running.text(LOGIN);
    running.site.done(&["secrets", "render", "qa"]);
    assert_eq!(running.text(LOGIN), before, "the readers find in the store what is in the file");
    an_environment_leaves_the_store(&running);
}

/// Its secrets were in memory alone.
fn an_environment_leaves_the_store(running: &Running) {
    let (site, folder) = (&running.site, running.site.of("qa").join("secrets"));
    let values =
        || ["ops-token", "api-key", SUPERUSER, LOGIN, "edge-tls-pem"].map(|secret| running.text(secret));
    let before = values();
    let in_memory = fs::read_link(&folder).ok();
    site.write(FILE, &site.read(FILE).replace("secret_store = \"vault\"\n", ""));
    let release = site.package("second", "1.0.1");
    site.done(&site.deploy("qa", &release));
    assert_eq!(values(), before);
    assert!(folder.is_dir() && !folder.is_symlink());
    assert!(in_memory.is_none_or(|folder| !folder.exists()), "they are still in memory");
    assert!(site.done(&["smoke", "qa"]).out.contains("6 of 6 checks passed"));
}

/// As after the database came back from a backup.
fn an_administrator_who_is_shut_out_begins_again(running: &Running) {
    let before = running.value(LOGIN);
    let other = "ALTER ROLE flowship_app_admin PASSWORD 'other'";
    running.psql("postgres", &running.value(SUPERUSER), other).unwrap();
    running.site.done(&["secrets", "rotate", "qa", LOGIN]);
    running.dies(LOGIN, &before);
    let may = "SELECT pg_has_role('flowship_app_admin', 'flowship_app', 'USAGE') \
               OR pg_has_role('flowship_app_admin', 'flowship_app_a', 'SET')";
    assert_eq!(running.psql("postgres", &running.value(SUPERUSER), may).unwrap(), "f", "it acts as nobody");
}

fn the_store_alone_makes_its_passwords(running: &Running) {
    let (site, login) = (&running.site, running.value(LOGIN));
    let (user, password) = login.split_once(':').unwrap();
    let base = format!("https://127.0.0.1:{}/v1", site.service("qa", "openbao")["ports"]["api"]);
    let client = web::unchecked();
    let role = fs::read_to_string(site.of("qa").join("roles/flowship-operator.json")).unwrap();
    let ask = |request: ureq::http::Request<String>| -> serde_json::Value {
        let mut answer = client.run(request).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    };
    let log_in = ureq::http::Request::post(format!("{base}/auth/approle/login")).body(role).unwrap();
    let token = ask(log_in)["auth"]["client_token"].as_str().unwrap().to_owned();
    let read = |path: &str| {
        let request = ureq::http::Request::get(format!("{base}/{path}")).header("x-vault-token", &token);
        ask(request.body(String::new()).unwrap())["data"].take()
    };
    let kept = read(&format!("flowship/data/{LOGIN}"))["data"]["value"].take();
    assert_eq!(kept, format!("{user}:\n"), "it keeps whose turn it is");
    assert_eq!(read(&format!("flowship-database/static-creds/{user}"))["password"], *password);
    let log = fs::read_to_string(site.of("qa").join("services/postgres.log")).unwrap();
    assert!(!log.contains(password), "the database has logged a password");
}

/// On disk it is nothing; only a handshake counts.
fn a_certificate_of_the_site_is_renewed(running: &Running) {
    let site = &running.site;
    let old = running.served();
    make_certificate(site);
    let new = running.certificate();
    let rotate = ["secrets", "rotate", "qa", "edge-tls-pem"];
    site.ends(1, &["secrets", "check", "qa", "edge-tls-pem"])
        .says(&["serves another certificate than its file"]);
    let key = fs::read(site.path("tls.key")).unwrap();
    fs::copy(site.path("other.key"), site.path("tls.key")).unwrap();
    site.ends(1, &rotate).says(&["tls.key is not the key of the certificate in"]);
    assert_eq!(running.served(), old);
    fs::write(site.path("tls.key"), key).unwrap();
    let begun = site.begin(&rotate);
    begun.await_line("✓ edge-tls-pem: give the edge");
    begun.kill();
    site.done(&rotate);
    assert_eq!(running.served(), new);
    site.done(&["secrets", "check", "qa", "edge-tls-pem"]);
}

fn a_set_up_that_runs_again_keeps_what_was_rotated(running: &Running) {
    let site = &running.site;
    let values = || ["ops-token", "api-key", SUPERUSER, LOGIN].map(|secret| running.text(secret));
    let before = values();
    let release = site.package("second", "1.0.1");
    under_load(running, || {
        site.done(&site.deploy("qa", &release));
    });
    assert_eq!(values(), before);
    assert!(running.value(LOGIN).starts_with("flowship_app_"));
    assert!(running.is_accepted(LOGIN, &running.value(LOGIN)));
}

/// One from before logins took turns takes the whole line for the password of the role, and lets it in.
fn an_older_release_is_shut_out_again(running: &Running) {
    let old = running.value(LOGIN);
    let of_role = format!("flowship_app:{old}");
    running
        .psql(
            "postgres",
            &running.value(SUPERUSER),
            &format!("ALTER ROLE flowship_app LOGIN PASSWORD '{old}'"),
        )
        .unwrap();
    assert!(running.is_accepted(LOGIN, &of_role));
    running.site.done(&["secrets", "rotate", "qa", LOGIN]);
    running.dies(LOGIN, &of_role);
    running.dies(LOGIN, &old);
}

fn an_interrupted_rotation_is_shown_and_no_deploy_begins(running: &Running) {
    let site = &running.site;
    let file = site.of("qa").join("secrets/ops-token");
    let token = running.value("ops-token");
    site.done(&["secrets", "audit", "qa"]);
    fs::write(&file, format!("{token}\nnext {}\n", "0".repeat(48))).unwrap();
    assert!(running.is_accepted("ops-token", &token) && running.is_accepted("ops-token", &"0".repeat(48)));
    let shown = site.ends(1, &["secrets", "audit", "qa"]).out;
    assert!(shown.contains("its rotation was interrupted"), "{shown}");
    let refused = site.ends(2, &["deploy", "qa", "--version", &site.release("qa"), "--unsigned"]).errors;
    assert!(refused.contains("ops-token: its rotation was interrupted"), "{refused}");
    site.done(&["secrets", "rotate", "qa", "ops-token"]);
    assert_eq!(running.value("ops-token"), "0".repeat(48), "it went on");
    let changed =
        fs::metadata(&file).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let metrics = fs::read_to_string(site.of("qa").join("metrics/secrets.prom")).unwrap();
    let sample = "flowship_secret_changed_timestamp_seconds{environment=\"qa\",secret=\"ops-token\"}";
    assert!(metrics.contains(&format!("{sample} {changed}\n")), "{changed}: {metrics}");
    running.dies("ops-token", &token);
    site.done(&["secrets", "audit", "qa"]);
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn what_was_revoked_is_dead_until_it_is_rotated() {
    let running = Running::new(Store::Vault);
    let site = &running.site;
    the_store_is_asked_before_anything_changes(&running);
    let secrets = [LOGIN, "postgres-owner-password", SUPERUSER, "ops-token", "api-key"];
    let old = secrets.map(|secret| (secret, running.value(secret)));

    let revoked = site.done(&["secrets", "revoke", "qa", "--all"]).out;
    assert!(revoked.contains("llm-api-key: revoke it where it was issued"), "{revoked}");
    for (secret, value) in &old {
        // Without the database, nobody can say whether a key is one.
        if *secret != "api-key" {
            assert!(!running.is_accepted(secret, value), "{secret}");
        }
    }
    assert_ne!(site.through_edge("qa", true), Some(200), "nothing works without them");
    let refused = site.ends(2, &["deploy", "qa", "--version", &site.release("qa"), "--unsigned"]).errors;
    assert!(refused.contains("revoked, and not replaced"), "{refused}");
    no_start_lets_it_in_again(&running);

    let begun = Instant::now();
    site.done(&["secrets", "rotate", "qa", "--all"]);
    until("the API answers", || (site.through_edge("qa", true) == Some(200)).then_some(()));
    eprintln!("back {:.1} s after everything was revoked", begun.elapsed().as_secs_f64());
    old.iter().for_each(|(secret, value)| running.dies(secret, value));
    assert!(site.done(&["smoke", "qa"]).out.contains("6 of 6 checks passed"));
    let values = || secrets.map(|secret| running.text(secret));
    let before = values();
    site.done(&["secrets", "render", "qa"]);
    assert_eq!(values(), before, "the store has what the files have");
}

/// Each start runs the migrations, which give the roles the passwords of their files.
fn no_start_lets_it_in_again(running: &Running) {
    let folder = running.site.of("qa");
    let release = folder.join("releases").join(running.site.release("qa"));
    let secret = |name: &str| folder.join(format!("secrets/postgres-{name}-password"));
    let output = Command::new("sh")
        .arg(release.join("tree/ops/scripts/migrate.sh"))
        .envs([
            ("POSTGRES_OWNER_PASSWORD_FILE", secret("owner")),
            ("POSTGRES_APP_PASSWORD_FILE", secret("app")),
            ("POSTGRES_EXPORTER_PASSWORD_FILE", secret("exporter")),
            ("POSTGRES_BARMAN_PASSWORD_FILE", secret("barman")),
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the value was revoked; rotate it first"), "{said}");
}

fn the_store_is_asked_before_anything_changes(running: &Running) {
    let site = &running.site;
    let (file, rotate) = (site.of("qa").join("secrets/ops-token"), ["secrets", "rotate", "qa", "ops-token"]);
    let old = running.text("ops-token");
    site.done(&["secrets", "seal", "qa"]);
    site.ends(1, &rotate).says(&["is sealed", "secrets unseal qa"]);
    assert_eq!(running.text("ops-token"), old);
    site.done(&["secrets", "unseal", "qa", "--key-file", site.path("one.key").to_str().unwrap()]);
    let begun = site.begin(&rotate);
    begun.await_line("✓ ops-token: write the new value down");
    begun.kill();
    let next = running.text("ops-token").trim().rsplit(' ').next().unwrap().to_owned();
    // As if it had been killed before the file was written.
    fs::write(file, &old).unwrap();
    site.done(&rotate);
    assert_eq!(running.value("ops-token"), next, "it went on with what the store has");
    running.dies("ops-token", old.trim());
}

/// The database is started, but nothing that would let the revoked logins in again.
fn what_was_revoked_before_a_restart_is_brought_back(running: &Running) {
    let site = &running.site;
    let logins = ["owner", "app", "exporter", "barman"].map(|name| format!("postgres-{name}-password"));
    let old = logins.each_ref().map(|secret| running.value(secret));
    site.done(&["secrets", "revoke", "qa", "--all"]);
    site.done(&["down", "qa"]);
    let refused = site.ends(1, &["start", "qa"]);
    assert!(refused.errors.contains("was revoked; rotate it first"), "{refused:#?}");
    let rotate =
        [&["secrets", "rotate", "qa"][..], &logins.each_ref().map(|secret| secret.as_str())].concat();
    site.done(&rotate);
    site.done(&["start", "qa"]);
    assert!(site.done(&["smoke", "qa"]).out.contains("6 of 6 checks passed"));
    for (secret, old) in logins[..2].iter().zip(&old) {
        running.dies(secret, old);
    }
    site.done(&["secrets", "check", "qa"]);
}
