//! A certificate from an ACME authority: a real one, which the edge asks out of its container. For the gate `engine`.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::authority::{Authority, runtime};
use crate::compose::{docker, until};
use crate::deploys::{Client, Load, Site};
use crate::free_ports;

const FILE: &str = "ops/environments/qa.toml";
/// The stand-in of the edge's image is older than the version that can do this. Debian's package refuses a user whose number
/// is not one of its own.
const NEWER: &str = "RUN groupmod --gid 899 haproxy && usermod --uid 899 --gid 899 haproxy \\
    && echo 'deb http://deb.debian.org/debian forky main' > /etc/apt/sources.list.d/forky.list \\
    && apt-get -o Acquire::Check-Valid-Until=false update \\
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends --target-release forky \\
        -o Dpkg::Options::=--force-overwrite haproxy \\
    && groupmod --gid 99 haproxy && usermod --uid 99 --gid 99 haproxy\n";

/// Where the edge's image is a stand-in, puts one with a newer program in its place.
fn with_newer_edge(site: &Site) {
    let path = site.path("state/images/stand-ins.json");
    let Ok(text) = fs::read_to_string(&path) else { return };
    let mut lock: Value = serde_json::from_str(&text).unwrap();
    let images = lock["stand_ins"].as_array_mut().unwrap();
    let edge = images.iter_mut().find(|one| one["name"] == "haproxy").unwrap();
    let tag = "flowship-test-haproxy-next";
    let before = edge["tag"].as_str().unwrap();
    let file = format!("FROM {before}\nUSER root\n{NEWER}USER haproxy\n");
    let mut build = Command::new(&site.client);
    build.args(["build", "--quiet", "--tag", tag, "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut build = build.spawn().unwrap();
    build.stdin.take().unwrap().write_all(file.as_bytes()).unwrap();
    assert!(build.wait().unwrap().success());
    let id = docker(&site.client, &["image", "inspect", "--format", "{{.Id}}", tag]);
    edge["image_id"] = id.trim().into();
    fs::write(path, lock.to_string()).unwrap();
}

#[test]
#[ignore = "slow, and needs a container engine: `cargo xtask ci slow-engine` runs it"]
fn the_edge_fetches_its_certificate_in_its_container_and_keeps_one_that_it_has_renewed() {
    let site = Site::new();
    with_newer_edge(&site);
    let [http, https] = free_ports::free();
    site.done(&["doctor", "--install", "pebble"]);
    let installed = site.json(&["doctor"]);
    let authority = Authority::start(&site.path(""), &installed, &site.host, http);
    let release = site.package("1.0.9", "all");
    let own = site.checkout.read(FILE);
    let settings = |more: &str| {
        let listen = format!("\n[listen]\naddress = \"127.0.0.1\"\nhttp = {http}\nhttps = {https}\n");
        site.checkout.write(FILE, format!("{own}{listen}{more}").as_bytes());
    };
    settings("");
    site.done(&site.deploy(&release));

    let acme = format!(
        "\n[tls]\nacme_contact = \"a@example.com\"\nacme_directory = \"{}\"\nacme_ca_file = \"{}\"\n",
        authority.directory,
        authority.trusted()
    );
    settings(&acme);
    authority.leads_to("127.0.0.9");
    let before = site.containers();
    let said = site.ends(1, &site.deploy(&release));
    assert!(said.contains("was rolled back") && said.contains("challenge error"), "{said}");
    assert_eq!(site.containers(), before);

    authority.leads_to("127.0.0.1");
    let key = String::from_utf8(site.run(&["keys", "create", "qa", "caller"]).stdout).unwrap();
    let load = Load::begin(Client::unchecked(&site, key.trim()));
    site.done(&site.deploy(&release));
    assert_eq!(site.containers(), before, "the edge was only reloaded");
    let fetched = authority.serial(https);
    runtime(&site.path("state/qa"), "acme renew /run/secrets/edge-tls-pem");
    until("it is renewed", || (authority.serial(https) != fetched).then_some(()));
    load.lost_nothing();
    let renewed = authority.serial(https);
    site.done(&["secrets", "check", "qa", "edge-tls-pem"]);
    site.done(&["down", "qa"]);
    site.done(&["start", "qa"]);
    assert_eq!(authority.serial(https), renewed);
    assert!(site.done(&["smoke", "qa"]).contains("6 of 6 checks passed"));
}
