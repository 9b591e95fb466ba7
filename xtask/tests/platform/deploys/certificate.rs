//! A certificate from an ACME authority: a real one, which the edge asks by itself.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vocabulary::model::EdgePolicy;
use walkdir::WalkDir;

use super::site::{Edge, Site};
use crate::authority::{Authority, runtime};
use crate::free_ports::free;
use crate::load::{Ended, Load};
use crate::{until, web};

const FILE: &str = "ops/environments/qa.toml";

/// The key of the edge's account.
fn account(state: &Path) -> String {
    let mut files = WalkDir::new(state).into_iter().flatten();
    let key = files.find(|file| file.file_name() == EdgePolicy::ACME_ACCOUNT).unwrap();
    let shown =
        Command::new("openssl").args(["pkey", "-noout", "-text", "-in"]).arg(key.path()).output().unwrap();
    String::from_utf8(shown.stdout).unwrap()
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn the_edge_fetches_its_certificate_and_keeps_one_that_it_has_renewed() {
    let site = Site::new();
    let [http, https] = free();
    let installed = site.done(&["doctor", "--install", "pebble", "--json"]).json();
    let authority = Authority::start(&site.path(""), &installed, "127.0.0.1", http);
    let release = site.package("first", "1.0.0");
    let own = site.read(FILE);
    let listen = format!("\n[listen]\naddress = \"127.0.0.1\"\nhttp = {http}\nhttps = {https}\n");
    let acme = format!(
        "\n[tls]\nacme_contact = \"a@example.com\"\nacme_directory = \"{}\"\nacme_ca_file = \"{}\"\n",
        authority.directory,
        authority.trusted()
    );

    // The authority must be able to ask this machine.
    site.write(FILE, &format!("{own}{acme}"));
    site.ends(2, &site.deploy("qa", &release))
        .says(&["acme_contact under [tls]", "expected a table [listen]"]);
    site.write(FILE, &format!("{own}{listen}"));
    site.done(&site.deploy("qa", &release));

    site.write(FILE, &format!("{own}{listen}{acme}"));
    authority.leads_to("127.0.0.9");
    let before = site.processes("qa");
    let ended = site.ends(1, &site.deploy("qa", &release));
    assert!(ended.out.contains("was rolled back") && ended.out.contains("challenge error"), "{ended:#?}");
    let workers = |all: std::collections::BTreeMap<String, (Value, Value, Value)>| {
        all.into_iter().filter(|(name, _)| name.starts_with("node-red")).collect::<Vec<_>>()
    };
    assert_eq!(workers(site.processes("qa")), workers(before));

    authority.leads_to("127.0.0.1");
    site.done(&site.deploy("qa", &release));
    let fetched = authority.serial(https);
    assert!(
        account(&site.of("qa")).contains("modulus"),
        "one account in 128 with another key is refused for ever"
    );
    let smoke = site.done(&["smoke", "qa"]);
    assert!(smoke.out.contains("6 of 6 checks passed"), "{smoke:#?}");

    // Read again, it is the same; the edge serves while it fetches the next one.
    let edge = Edge { certificate: String::new(), ..site.edge("qa") };
    let load = Load::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            load.send(|| {
                let url = format!("{}/api/v1/queues", edge.url);
                let answer = web::ask_with(&web::unchecked(), "GET", &url, Some(&edge.key), None);
                answer.filter(|answer| answer.status == 200).map(|_| ()).ok_or_else(|| "no answer".to_owned())
            });
        });
        let _ended = Ended(&load.ended);
        site.write(FILE, &format!("{own}{listen}{acme}\n[sizes]\nnode-red.replicas = 3\n"));
        site.done(&site.deploy("qa", &release)).says(&["reads its new configuration"]);
        assert_eq!(authority.serial(https), fetched);
        runtime(
            &site.of("qa"),
            &format!("acme renew {}", site.of("qa").join("secrets/edge-tls-pem").display()),
        );
        until("it is renewed", || (authority.serial(https) != fetched).then_some(()));
        load.goes_on(20);
    });
    let failed = load.failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), load.sent.into_inner());
    let renewed = authority.serial(https);
    site.done(&["down", "qa"]);
    site.done(&["start", "qa"]);
    assert_eq!(authority.serial(https), renewed);
    let audit = site.run(&["secrets", "audit", "qa", "--json"]).json();
    let row = audit.as_array().unwrap().iter().find(|one| one["name"] == "edge-tls-pem").unwrap();
    assert_eq!(row["problem"], Value::Null, "{row:#}");
}
