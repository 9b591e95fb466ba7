//! Building, listing, verifying, saving and scanning with a real engine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::fixture::{CONTENTS, DOCKERFILE, Remove, Tree, docker, engine};

/// A tree whose base is a tiny imported image, and what takes everything away again.
fn prepared(client: PathBuf, name: &str) -> (Tree, Remove, String) {
    let tree = Tree::new();
    let version = format!("test-{name}-{}", std::process::id());
    let base = format!("flowship.local/stand-in/test:{version}");
    tree.write("base/etc/base", "base\n");
    let tar = tree.path("base.tar");
    let mut builder = tar::Builder::new(fs::File::create(&tar).unwrap());
    builder.append_dir_all(".", tree.path("base")).unwrap();
    builder.finish().unwrap();
    docker(&client, &["import", &tar.display().to_string(), &base]);
    tree.lock_stand_in(&base);
    let images = ["node-red", "mcp-tools", "migrate"].map(|target| format!("flowship/{target}:{version}"));
    let commands = images
        .into_iter()
        .chain([base])
        .map(|image| ["image", "rm", "--force", &image].map(str::to_owned).to_vec());
    (tree, Remove { client, commands: commands.collect() }, version)
}

#[test]
#[ignore = "needs a container engine: `cargo xtask ci engine` runs it"]
fn what_is_built_is_listed_verified_and_saved_the_same_every_time() {
    let client = engine();
    let (tree, _remove, version) = prepared(client.clone(), "build");
    let node_red = format!("flowship/node-red:{version}");
    let first = tree
        .image(&["build", "--stand-ins", "--tag", &version, "--json"])
        .expect(0, &["STAND-INS", "not built", "barman"])
        .json();
    let images = first["images"].as_array().unwrap();
    assert_eq!(images.len(), 4, "{first:#}");
    let of = |built: &serde_json::Value| {
        built["images"]
            .as_array()
            .unwrap()
            .iter()
            .find(|image| image["target"] == "node-red")
            .unwrap()
            .clone()
    };
    assert_eq!(of(&first)["stand_ins"], serde_json::json!(["node:24-bookworm-slim"]));
    let env = fs::read_to_string(tree.path(".flowship/images/images.env")).unwrap();
    assert!(env.contains(&format!("FLOWSHIP_IMAGE_NODE_RED={node_red}\n")), "{env}");
    tree.image(&["verify"]).expect(0, &["good  flowship/node-red", "STAND-INS"]);
    tree.image(&["save", "--output", &tree.path("one").display().to_string()])
        .expect(0, &["node-red.oci.tar", "STAND-INS"]);

    // The files have other times now; nothing that a container sees is different.
    let script = tree.path("flows/main.js");
    fs::write(&script, fs::read(&script).unwrap()).unwrap();
    let second = tree
        .image(&["build", "--stand-ins", "--no-cache", "--tag", &version, "--json"])
        .expect(0, &[])
        .json();
    assert_eq!(of(&first)["content_digest"], of(&second)["content_digest"]);
    tree.image(&["save", "--output", &tree.path("two").display().to_string()]).expect(0, &[]);
    let bytes = |folder: &str| fs::read(tree.path(folder).join("node-red.oci.tar")).unwrap();
    assert!(bytes("one") == bytes("two"), "equal contents, equal bytes");
    let file = tree.path("two/node-red.oci.tar").display().to_string();
    let one = tree.path("one/node-red.oci.tar").display().to_string();
    tree.image(&["verify", &file, "--against", &one]).expect(0, &["equal in content"]);
    let other = tree.path("one/mcp-tools.oci.tar").display().to_string();
    tree.image(&["verify", &file, "--against", &other]).expect(1, &["app/main.js: only in the first"]);
    tree.image(&["verify", &file]).expect(0, &["good  flowship/node-red"]);
    docker(&client, &["image", "load", "--input", &file]);
    let three = tree.path("three").display().to_string();
    let save = ["save", "--only", "node-red", "--format", "docker", "--output", &three];
    tree.image(&save).expect(0, &["node-red.docker.tar"]);
    let left: Vec<_> = fs::read_dir(&three).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["node-red.docker.tar"]);
    docker(&client, &["image", "load", "--input", &format!("{three}/node-red.docker.tar")]);
    tree.image(&["verify", "--only", "node-red"]).expect(0, &["good  flowship/node-red"]);

    // Somebody puts something else under the same name.
    tree.write("evil/Dockerfile", &format!("FROM {node_red}\nCOPY Dockerfile /app/main.js\n"));
    docker(&client, &["build", "--tag", &node_red, &tree.path("evil").display().to_string()]);
    tree.image(&["verify"])
        .expect(1, &["WRONG flowship/node-red", "expected sha256:", "good  flowship/mcp-tools"]);
    docker(&client, &["image", "rm", "--force", &node_red]);
    tree.image(&["verify"]).expect(1, &["WRONG flowship/node-red", "no longer in the engine"]);
}

#[test]
#[ignore = "needs a container engine: `cargo xtask ci engine` runs it"]
fn a_scan_finds_what_was_planted_and_says_what_it_did_not_do() {
    let client = engine();
    let (tree, _remove, version) = prepared(client, "scan");
    tree.image(&["build", "--stand-ins", "--only", "mcp-tools", "--tag", &version])
        .expect(0, &["ON STAND-INS"]);
    // What is not there cannot be judged good: no database.
    let good = tree.image(&["scan", "--json"]);
    let verdict = |ran: &serde_json::Value, check: &str| {
        let rows = ran["checks"].as_array().unwrap();
        rows.iter().find(|row| row["check"].as_str().unwrap().starts_with(check)).unwrap()["verdict"].clone()
    };
    let found = good.json();
    for check in [
        "runs as a numeric user",
        "no setuid",
        "nothing that everybody",
        "no secrets",
        "within its size limit",
        "only the allowed tools",
        "gitleaks",
        "SBOM",
    ] {
        assert_eq!(verdict(&found, check), "passed", "{check}: {good:#?}");
    }
    assert_eq!(verdict(&found, "pending Debian security updates"), "not-run", "no base, and no packages");
    if verdict(&found, "known vulnerabilities") == "not-run" {
        tree.image(&["scan"])
            .expect(good.code, &["NOT RUN known vulnerabilities: no vulnerability database"]);
        tree.image(&["scan", "--require-all"]).expect(1, &[]);
    }

    // Made at run time, so that no scanner of this repository takes it for a real one.
    let key = format!(
        "-----BEGIN RSA {}-----\n{}\n-----END RSA {}-----\n",
        "PRIVATE KEY",
        "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgHcTz6sE2I2yPB".repeat(6),
        "PRIVATE KEY"
    );
    tree.write("key.pem", &key);
    tree.write("none.pem", "");
    tree.write("curl", "#!/bin/sh\n");
    fs::set_permissions(tree.path("curl"), fs::Permissions::from_mode(0o4755)).unwrap();
    let record =
        "Package: libpcre2-8-0\nStatus: install ok installed\nArchitecture: amd64\nVersion: 10.42-1\n";
    tree.write("record", record);
    let bases = docker(
        &engine(),
        &["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "flowship.local/stand-in/node"],
    );
    let base = bases.lines().next().expect("`cargo xtask image bases --from-packages` made one");
    let planted = CONTENTS.replace(
        "COPY flows/main.js /app/tools.js\nUSER 1000:1000\n",
        // A later layer hides the key; the layer below still has it.
        &format!(
            "COPY record /var/lib/dpkg/status.d/\nLABEL org.opencontainers.image.base.name={base}\n\
         COPY key.pem /app/key.pem\nCOPY none.pem /app/key.pem\nCOPY curl /bin/curl\n\
         COPY --chmod=666 flows/main.js /app/tools.js\nENV API_TOKEN=abcdef\nUSER root\n"
        ),
    );
    assert_ne!(planted, CONTENTS);
    tree.write(DOCKERFILE, &planted);
    tree.image(&["build", "--stand-ins", "--only", "mcp-tools", "--tag", &version]).expect(0, &[]);
    let ran = tree.image(&["scan", "--json"]).expect(1, &["STAND-INS"]);
    let found = ran.json();
    for check in [
        "runs as a numeric user",
        "no setuid",
        "nothing that everybody",
        "no secrets",
        "only the allowed tools",
        "gitleaks",
        "hadolint",
        "pending Debian security updates",
    ] {
        assert_eq!(verdict(&found, check), "failed", "{check}: {found:#}");
    }
    assert!(!ran.out.contains("abcdef") && !ran.out.contains("MIIEp"), "no secret is shown: {ran:#?}");
}
