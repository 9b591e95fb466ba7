//! As many replicas as an environment asks for, in an environment that the repository does not have.

use crate::checkout::Checkout;
use crate::web;

#[test]
fn three_replicas_run_where_the_environment_wants_three() {
    let checkout = Checkout::new();
    let dev = checkout.read("ops/environments/dev.toml");
    checkout.write("ops/environments/qa.toml", &format!("{dev}\n[sizes]\nnode-red.replicas = 3\n"));
    checkout.done(&["environment", "check"]);
    checkout.done(&["dev", "qa", "--detach", "--no-watch"]);
    let status = checkout.done(&["status", "qa", "--json"]).json();
    let replicas: Vec<_> = status
        .as_array()
        .unwrap()
        .iter()
        .filter(|service| service["name"].as_str().unwrap().starts_with("node-red-"))
        .collect();
    let names: Vec<_> = replicas.iter().map(|service| service["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["node-red-a", "node-red-b", "node-red-c"], "{status:#}");
    checkout.done(&["smoke", "qa"]);
    let token = checkout.read(".flowship/qa/secrets/ops-token");
    for (service, name) in replicas.iter().zip(["a", "b", "c"]) {
        let url = format!("http://127.0.0.1:{}/metrics", service["ports"]["ops"]);
        let metrics = web::ask("GET", &url, Some(token.trim()), None).unwrap().body;
        assert!(metrics.contains(&format!(r#"environment="qa",replica="{name}""#)), "{metrics}");
    }
    // One of them goes: what the environment does not want any more is stopped.
    checkout.write("ops/environments/qa.toml", &format!("{dev}\n[sizes]\nnode-red.replicas = 2\n"));
    let fewer = checkout.done(&["dev", "qa", "--detach", "--no-watch"]);
    fewer.says(&["node-red-c is no longer used"]);
    checkout.done(&["smoke", "qa"]);
    checkout.done(&["reset", "qa", "--yes"]);
    checkout.nothing_runs();
}
