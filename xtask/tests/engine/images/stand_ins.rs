//! The stand-ins keep the contract of the official images that the platform relies on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::fixture::{Remove, Tree, docker, engine};

const PASSWORD: &str = "only for this test";

/// Waits for something to hold.
#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn succeeds(client: &Path, arguments: &[&str]) -> bool {
    Command::new(client).args(arguments).output().is_ok_and(|output| output.status.success())
}

#[test]
#[ignore = "needs a container engine: `cargo xtask ci engine` runs it"]
fn the_contract_holds() {
    let client = engine();
    let tree = Tree::new();
    let made = tree.image(&["bases", "--from-packages", "--json"]).expect(0, &["STAND-INS"]).json();
    let tag = |name: &str| {
        let locked = made["lock"]["stand_ins"]
            .as_array()
            .unwrap()
            .iter()
            .find(|locked| locked["name"] == name)
            .unwrap();
        assert!(locked["image_id"].as_str().unwrap().starts_with("sha256:"), "{locked}");
        locked["tag"].as_str().unwrap().to_owned()
    };
    let again = tree.image(&["bases", "--from-packages", "--json"]).expect(0, &[]).json();
    let built = again["report"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .any(|step| step["id"].as_str().unwrap().starts_with("build"));
    assert!(!built, "what is there is not made again: {again:#}");

    node(&client, &tag("node"));
    haproxy(&client, &tree, &tag("haproxy"));
    postgres(&client, &tree, &tag("postgres"));
    openbao(&client, &tree, &tag("openbao"));
}

fn node(client: &Path, image: &str) {
    let run =
        |arguments: &[&str]| docker(client, &[&["run", "--rm", "--network=none", image], arguments].concat());
    assert!(run(&["--version"]).starts_with("v24."));
    assert_eq!(run(&["node", "-p", "6*7"]), "42");
    assert!(run(&["npm", "--version"]).starts_with(|letter: char| letter.is_ascii_digit()));
    assert_eq!(run(&["id", "-u", "node"]), "1000");
}

fn haproxy(client: &Path, tree: &Tree, image: &str) {
    let name = format!("flowship-test-haproxy-{}", std::process::id());
    let _remove = remove_container(client, &name);
    tree.write(
        "haproxy/haproxy.cfg",
        "defaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 1s\n\
         frontend health\n  bind :8404\n  monitor-uri /healthz\n",
    );
    let mount = format!("{}:/usr/local/etc/haproxy:ro", tree.path("haproxy").display());
    fs::set_permissions(tree.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    docker(
        client,
        &["run", "--detach", "--name", &name, "--read-only", "--cap-drop=ALL", "--volume", &mount, image],
    );
    until("haproxy runs", || {
        succeeds(client, &["exec", &name, "haproxy", "-c", "-q", "-f", "/usr/local/etc/haproxy/haproxy.cfg"])
    });
    until("its health can be asked as in the official image", || {
        succeeds(client, &["exec", &name, "wget", "-q", "-O", "-", "http://127.0.0.1:8404/healthz"])
    });
    assert_eq!(docker(client, &["exec", &name, "id", "-u"]), "99");
    let words = docker(client, &["exec", &name, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline"]);
    assert_eq!(words, "haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg");
    docker(client, &["stop", "--time", "20", &name]);
    assert_eq!(
        docker(client, &["inspect", "--format", "{{.State.ExitCode}} {{.Config.StopSignal}}", &name]),
        "0 SIGUSR1"
    );
}

fn openbao(client: &Path, tree: &Tree, image: &str) {
    let name = format!("flowship-test-openbao-{}", std::process::id());
    let _remove = remove_container(client, &name);
    let listens = r#"{"listener": [{"tcp": {"address": "127.0.0.1:8200", "tls_disable": true}}], "storage": {"inmem": {}}}"#;
    tree.write("openbao/local.json", listens);
    let mount = format!("{}:/openbao/config:ro", tree.path("openbao").display());
    let run = ["run", "--detach", "--name", &name, "--read-only", "--cap-drop=ALL", "--volume", &mount];
    docker(client, &[&run[..], &[image, "server"]].concat());
    let url = "http://127.0.0.1:8200/v1/sys/health?uninitcode=200";
    let asks = ["exec", &name, "wget", "-q", "--no-check-certificate", "-O", "/dev/null", url];
    until("its health can be asked as in the official image", || succeeds(client, &asks));
    assert_eq!(docker(client, &["exec", &name, "sh", "-c", "id -u; id -g"]), "100\n1000");
    docker(client, &["exec", &name, "test", "-w", "/openbao/file"]);
}

fn postgres(client: &Path, tree: &Tree, image: &str) {
    let name = format!("flowship-test-postgres-{}", std::process::id());
    let mut remove = remove_container(client, &name);
    remove.commands.push(vec!["volume".into(), "rm".into(), "--force".into(), name.clone()]);
    let refused = Command::new(client).args(["run", "--rm", image]).output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("POSTGRES_PASSWORD"), "{refused:?}");

    tree.write("secrets/password", &format!("{PASSWORD}\n"));
    // As root alone could read it.
    fs::set_permissions(tree.path("secrets/password"), fs::Permissions::from_mode(0o400)).unwrap();
    tree.write("init/10-table.sql", "CREATE TABLE made_at_first_start ();\n");
    let secrets = format!("{}:/run/secrets:ro", tree.path("secrets").display());
    let init = format!("{}:/docker-entrypoint-initdb.d:ro", tree.path("init").display());
    let data = format!("{name}:/var/lib/postgresql");
    docker(
        client,
        &[
            "run",
            "--detach",
            "--name",
            &name,
            "--volume",
            &data,
            "--volume",
            &secrets,
            "--volume",
            &init,
            "--env",
            "POSTGRES_PASSWORD_FILE=/run/secrets/password",
            "--env",
            "POSTGRES_DB=flowship",
            image,
            "postgres",
            "-c",
            "max_connections=17",
        ],
    );
    let address = docker(client, &["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &name]);
    until("postgres is ready", || {
        succeeds(client, &["exec", &name, "pg_isready", "--quiet", "--host", &address])
    });
    let ask = |password: &str, query: &str| {
        let password = format!("PGPASSWORD={password}");
        // Over its own address: the loopback is trusted, as in the official image.
        Command::new(client)
            .args([
                "exec",
                "--env",
                &password,
                &name,
                "psql",
                "--no-psqlrc",
                "-h",
                &address,
                "-U",
                "postgres",
                "-d",
                "flowship",
                "-Atc",
                query,
            ])
            .output()
            .unwrap()
    };
    let answer = |query: &str| String::from_utf8_lossy(&ask(PASSWORD, query).stdout).trim().to_owned();
    assert_eq!(answer("SHOW max_connections"), "17");
    assert_eq!(answer("SELECT to_regclass('made_at_first_start')::text"), "made_at_first_start");
    assert!(answer("SHOW server_version").starts_with("18."));
    assert!(!ask("wrong", "SELECT 1").status.success(), "a wrong password is refused");
    let status = docker(
        client,
        &[
            "exec",
            &name,
            "sh",
            "-c",
            "head -n 1 /proc/1/status; sed -n 's/^Uid:\\t\\([0-9]*\\).*/\\1/p' /proc/1/status",
        ],
    );
    assert_eq!(status, "Name:\tpostgres\n999");

    // The fast shutdown ends sessions and leaves a clean cluster, which the next start takes as it is.
    docker(client, &["stop", "--time", "30", &name]);
    assert_eq!(
        docker(client, &["inspect", "--format", "{{.State.ExitCode}} {{.Config.StopSignal}}", &name]),
        "0 SIGINT"
    );
    docker(client, &["start", &name]);
    let address = docker(client, &["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &name]);
    until("postgres is ready again", || {
        succeeds(client, &["exec", &name, "pg_isready", "--quiet", "--host", &address])
    });
}

fn remove_container(client: &Path, name: &str) -> Remove {
    let command = ["rm", "--force", "--volumes", name].map(str::to_owned).to_vec();
    Remove { client: client.to_owned(), commands: vec![command] }
}
