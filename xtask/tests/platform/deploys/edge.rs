//! A deploy that changes the configuration of the edge and then fails.

use std::fs;

use super::site::Site;
use crate::web;

/// The replicas that the edge has read of.
fn servers(site: &Site) -> Vec<String> {
    let status = site.status("qa");
    let edge = status["services"].as_array().unwrap().iter().find(|one| one["name"] == "edge").unwrap();
    let metrics = web::get(&format!("http://127.0.0.1:{}/metrics", edge["ports"]["stats"])).unwrap().body;
    let lines = metrics.lines().filter(|line| line.starts_with("haproxy_server_status{"));
    let up = lines.filter(|line| line.contains("state=\"UP\""));
    up.map(|line| line.split("server=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn the_edge_goes_on_with_its_earlier_configuration_when_the_deploy_fails() {
    let site = Site::new();
    let first = site.package("first", "1.0.0");
    site.done(&site.deploy("qa", &first));
    let file = "ops/environments/qa.toml";
    let settings = site.read(file);
    let folder = site.of("qa").join("data/edge/run");
    let configuration = || fs::read_to_string(folder.join("haproxy.cfg")).unwrap();
    let (before, processes) = (configuration(), site.processes("qa"));
    assert!(before.contains("server node-red-c ") && !before.contains("server node-red-d "), "{before}");

    site.write("flows/runtime/main.js", "throw new Error('broken on purpose');\n");
    let broken = site.package("broken", "1.1.0");
    site.write(file, &format!("{settings}\n[sizes]\nnode-red.replicas = 3\n"));
    let failed = site.ends(1, &site.deploy("qa", &broken));
    assert!(failed.out.contains("was rolled back after"), "{failed:#?}");
    failed.says(&["✓ edge reads its new configuration", "write haproxy.cfg of edge: undone"]);
    assert_eq!(configuration(), before);
    assert!(!folder.join("reload.pending").exists(), "it has read that");
    assert_eq!(site.processes("qa"), processes, "nothing that ran before was touched");
    assert_eq!(servers(&site), ["node-red-a", "node-red-b", "node-red-c"]);
    assert_eq!(site.through_edge("qa", true), Some(200));

    // What runs on one engine cannot be ended by another.
    let other = settings.replace("\"process\"", "\"compose\"");
    site.write(file, &format!("{other}\n[[hosts]]\nname = \"here\"\naddress = \"localhost\"\n"));
    site.ends(2, &site.deploy("qa", &first)).says(&["qa was deployed to process", "expected that engine"]);
    assert_eq!(site.processes("qa"), processes);
}
