//! Secrets of containers are replaced while they serve, also when the command is killed; old values are refused. For the gate
//! `engine`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::compose::until;
use crate::deploys::{Client, Load, Site};

pub const LOGIN: &str = "postgres-app-password";
const SUPERUSER: &str = "postgres-superuser-password";
const CERTIFICATE: &str = "edge-tls-pem";
/// How long an old value may be accepted after its rotation.
const DEAD_WITHIN: Duration = Duration::from_secs(5);

pub struct Running {
    pub site: Site,
    /// Of a caller of its own.
    pub key: String,
}

impl Running {
    fn new() -> Self {
        let site = Site::new();
        let release = site.package("1.0.8", "all");
        site.done(&site.deploy(&release));
        Self::of(site)
    }

    /// What was deployed there.
    pub fn of(site: Site) -> Self {
        let key = site.run(&["keys", "create", "qa", "caller"]).stdout;
        Self { key: String::from_utf8(key).unwrap().trim().to_owned(), site }
    }

    pub fn value(&self, secret: &str) -> String {
        self.site.secret(secret).lines().next().unwrap().to_owned()
    }

    /// Panics where nobody can say.
    fn logs_in(&self, role: &str, login: &str) -> bool {
        let (user, password) = login.split_once(':').unwrap_or((role, login));
        let database = &self.site.containers()["postgres"][0];
        // Through the loopback, the image lets in everybody who is inside.
        let script = "psql --host=$(hostname -i | cut -d' ' -f1) --username=$0 --no-psqlrc -Atc 'SELECT current_user' flowship";
        let output = Command::new(&self.site.client)
            .args(["exec", "--env", &format!("PGPASSWORD={password}"), database, "sh", "-c", script, user])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), role);
            return true;
        }
        let refused = ["password authentication failed", "not permitted to log in"];
        assert!(refused.iter().any(|refused| said.contains(refused)), "{said}");
        false
    }

    /// Whether whoever asks for a secret accepts this value.
    pub fn is_accepted(&self, secret: &str, value: &str) -> bool {
        let status = match secret {
            LOGIN => return self.logs_in("flowship_app", value),
            "postgres-owner-password" => return self.logs_in("flowship_owner", value),
            SUPERUSER => return self.logs_in("postgres", value),
            CERTIFICATE => return self.serves(value),
            "ops-token" => {
                let status = self.site.json(&["status", "qa"]);
                let services = status["services"].as_array().unwrap();
                let port = services.iter().find_map(|one| one["ports"]["ops"].as_u64()).unwrap();
                let url = format!("http://127.0.0.1:{port}");
                Client { url, ..Client::unchecked(&self.site, value) }.get("/keys").unwrap().0
            }
            "api-key" => Client::unchecked(&self.site, value).get("/api/v1/queues").unwrap().0,
            other => panic!("{other}"),
        };
        assert!([200, 401].contains(&status), "{secret}: {status}");
        status == 200
    }

    /// Whether the edge shows this certificate in a handshake.
    fn serves(&self, pem: &str) -> bool {
        let at = Client::unchecked(&self.site, "").url.replace("https://", "");
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &at, "-servername", "flows.example.com"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let certificate = |text: &str| {
            let from = text.find("-----BEGIN CERTIFICATE-----").unwrap_or_else(|| panic!("{text}"));
            text[from..].split("-----END").next().unwrap().to_owned()
        };
        certificate(&String::from_utf8(output.stdout).unwrap()) == certificate(pem)
    }

    #[track_caller]
    pub fn dies(&self, secret: &str, old: &str) {
        let begun = Instant::now();
        while self.is_accepted(secret, old) {
            assert!(begun.elapsed() < DEAD_WITHIN, "the old {secret} is still accepted");
        }
        let new = if secret == CERTIFICATE { self.site.secret(secret) } else { self.value(secret) };
        assert!(self.is_accepted(secret, &new), "the new {secret} is refused");
    }

    fn steps(&self, secret: &str) -> Vec<String> {
        let plan = self.site.json(&["secrets", "rotate", "qa", secret, "--dry-run"]);
        let steps = plan["steps"].as_array().unwrap().iter();
        steps.map(|step| step["title"].as_str().unwrap().to_owned()).collect()
    }

    pub fn comes_back_after_everything_was_revoked(&self) {
        let site = &self.site;
        let secrets = [LOGIN, "postgres-owner-password", SUPERUSER, "ops-token", "api-key"];
        let old = secrets.map(|secret| (secret, self.value(secret)));
        let begun = Instant::now();
        site.done(&["secrets", "revoke", "qa", "--all"]);
        eprintln!("revoked in {:.1} s", begun.elapsed().as_secs_f64());
        for (secret, value) in &old {
            // Without the database, nobody can say whether a key is one.
            if *secret != "api-key" {
                assert!(!self.is_accepted(secret, value), "{secret}");
            }
        }
        let client = Client::unchecked(site, &self.key);
        assert_ne!(client.get("/api/v1/queues").unwrap().0, 200, "nothing works without them");
        let begun = Instant::now();
        site.done(&["secrets", "rotate", "qa", "--all"]);
        until("the API answers", || (client.get("/api/v1/queues").ok()?.0 == 200).then_some(()));
        eprintln!("back {:.1} s after everything was revoked", begun.elapsed().as_secs_f64());
        old.iter().for_each(|(secret, value)| self.dies(secret, value));
    }

    /// Rotates a secret with a kill after each step: the next command goes on.
    pub fn survives_every_kill(&self, secret: &str) {
        let steps = self.steps(secret);
        let (old, begun) = (self.site.secret(secret), Instant::now());
        for step in &steps[..steps.len() - 1] {
            let mut command = self.site.checkout.command(&["secrets", "rotate", "qa", secret]);
            command.env("FLOWSHIP_STATE", self.site.path("state")).stdout(Stdio::null());
            let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
            let said: Vec<_> = lines.take_while(|line| !line.starts_with(&format!("✓ {step}"))).collect();
            assert!(child.try_wait().unwrap().is_none(), "it ended before {step}: {said:#?}");
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let again = Instant::now();
        self.site.done(&["secrets", "rotate", "qa", secret]);
        eprintln!(
            "{secret}: killed {} times, {:.1} s; {:.1} s to go on",
            steps.len() - 1,
            begun.elapsed().as_secs_f64(),
            again.elapsed().as_secs_f64()
        );
        assert_ne!(self.site.secret(secret), old);
        self.dies(secret, if secret == CERTIFICATE { &old } else { old.lines().next().unwrap() });
    }
}

#[test]
#[ignore = "slow, and needs a container engine: `cargo xtask ci slow-engine` runs it"]
fn secrets_of_containers_are_replaced_under_load_and_what_was_revoked_is_dead() {
    let running = Running::new();
    let site = &running.site;
    let before = site.containers();
    let load = Load::begin(Client::unchecked(site, &running.key));
    for secret in ["ops-token", SUPERUSER, LOGIN, CERTIFICATE] {
        running.survives_every_kill(secret);
    }
    let old = running.value("api-key");
    site.done(&["secrets", "rotate", "qa", "api-key"]);
    running.dies("api-key", &old);
    load.lost_nothing();
    site.done(&["secrets", "check", "qa"]);
    a_key_that_no_container_sees_is_no_proof(site);

    running.comes_back_after_everything_was_revoked();
    assert_eq!(site.containers(), before, "no container was replaced");
    site.done(&["secrets", "audit", "qa"]);
}

/// A container keeps the file that it was started with.
fn a_key_that_no_container_sees_is_no_proof(site: &Site) {
    let (file, aside) = (site.path("key/model"), site.path("key/aside"));
    fs::rename(&file, &aside).unwrap();
    fs::copy(&aside, &file).unwrap();
    let refused = site.ends(1, &["secrets", "check", "qa", "llm-api-key"]);
    assert!(refused.contains("was replaced by another file") && refused.contains("node-red-a"), "{refused}");
    fs::rename(&aside, &file).unwrap();
    site.done(&["secrets", "check", "qa", "llm-api-key"]);
}
