//! Another number of replicas.

use super::site::Site;
use crate::load::{Ended, Load};
use crate::web;

const QUEUES: &str = "/api/v1/queues";

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn more_and_fewer_replicas_are_a_reload_of_the_edge_and_fail_no_request() {
    let site = Site::new();
    let release = site.package("first", "1.0.0");
    site.done(&site.deploy("qa", &release));
    let file = "ops/environments/qa.toml";
    let settings = site.read(file);
    let edge = site.edge("qa");
    let process = || site.processes("qa")["edge"].clone();
    let before = process();
    let load = Load::default();
    std::thread::scope(|scope| {
        for keeps in [true, false] {
            let (load, edge) = (&load, &edge);
            scope.spawn(move || {
                let kept = web::trusting(&edge.certificate);
                load.send(|| {
                    let client = if keeps { kept.clone() } else { web::trusting(&edge.certificate) };
                    let url = format!("{}{QUEUES}", edge.url);
                    match web::ask_with(&client, "GET", &url, Some(&edge.key), None) {
                        Some(answer) if answer.status == 200 => Ok(()),
                        other => Err(format!("{other:?}")),
                    }
                });
            });
        }
        let _ended = Ended(&load.ended);
        for replicas in [3, 2] {
            load.goes_on(100);
            site.write(file, &format!("{settings}\n[sizes]\nnode-red.replicas = {replicas}\n"));
            let deployed = site.done(&site.deploy("qa", &release));
            deployed.says(&["reads its new configuration"]);
            assert_eq!(site.replicas("qa").len(), replicas);
            assert_eq!(process(), before, "the edge was restarted");
        }
        load.goes_on(100);
    });
    let failed = load.failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), load.sent.into_inner());
}
