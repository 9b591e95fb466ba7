//! `release publish` of a release with images: to a registry, and not at all when they are built on stand-ins.

use std::fs;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::publish::{acts, is_public};
use super::workshop::Workshop;
use crate::registry_server::{Kept, digest, serve, write_archive};

const ARCHIVE: &str = "flowship-0.1.0-image-node-red.oci.tar";
/// The images of production.
const TARGETS: [&str; 3] = ["mcp-tools", "migrate", "node-red"];

/// A release with images, and the digest that the one of Node-RED is released by.
fn packaged(stand_ins: &[&str]) -> (Workshop, String) {
    let workshop = Workshop::prepared();
    let built = TARGETS.map(|target| {
        json!({
            "target": target, "dockerfile": "ops/docker/prod/Dockerfile", "tag": format!("flowship/{target}:local"),
            "image_id": "sha256:0", "content_digest": "sha256:0", "bytes": 2, "layers": 2, "stand_ins": stand_ins,
        })
    });
    workshop.write(".flowship/images/built.json", &json!({ "images": built }).to_string());
    let archives = workshop.path(".flowship/archives");
    fs::create_dir(&archives).unwrap();
    for target in TARGETS {
        write_archive(&archives.join(format!("flowship-0.1.0-image-{target}.oci.tar")));
    }
    workshop.package_with(&["--images", "all", "--image-archives", archives.to_str().unwrap()]);
    let manifest: Value =
        serde_json::from_str(&workshop.read("target/release-artifacts/manifest.json")).unwrap();
    let images = manifest["release"]["images"].as_array().unwrap();
    let image = images.iter().find(|image| image["archive"] == ARCHIVE).unwrap();
    (workshop, image["digest"].as_str().unwrap().to_owned())
}

fn publish(registry: &str) -> [&str; 5] {
    ["release", "publish", "--execute", "--registry", registry]
}

/// What it was asked, from then on.
fn asked(kept: &Mutex<Kept>, from: usize) -> Vec<String> {
    kept.lock().unwrap().requests[from..].to_vec()
}

#[test]
fn an_image_is_pushed_by_the_digest_that_was_verified_and_a_second_run_changes_nothing() {
    let (workshop, released) = packaged(&[]);
    workshop.stand_in("git");
    let (host, kept) = serve();
    let registry = format!("{host}/Owner/flowship");
    let shown = workshop.done(&["release", "publish", "--registry", &registry]);
    shown.says(&[&format!("push {host}/owner/flowship/node-red:0.1.0"), "nothing was done"]);
    assert_eq!(asked(&kept, 0), [""; 0]);

    let ended = workshop.done(&publish(&registry));
    assert!(!format!("{ended:?}").contains("ghp_"), "the token is shown nowhere: {ended:#?}");
    is_public(&workshop);
    let things = kept.lock().unwrap().things.clone();
    let manifest = &things[&format!("owner/flowship/node-red/manifests/{released}")];
    assert_eq!(digest(manifest), released);
    assert_eq!(&things["owner/flowship/node-red/manifests/0.1.0"], manifest);
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    let parts = manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]);
    for part in parts {
        let part = part["digest"].as_str().unwrap();
        assert_eq!(digest(&things[&format!("owner/flowship/node-red/blobs/{part}")]), part);
    }
    for target in TARGETS {
        let of_image = things.keys().filter(|name| name.starts_with(&format!("owner/flowship/{target}/")));
        assert_eq!(
            of_image.count(),
            5,
            "two layers, the configuration, the manifest by digest and by version"
        );
    }

    let (before, done) = (asked(&kept, 0).len(), acts(&workshop));
    workshop.done(&publish(&registry)).says(&["public: "]);
    assert_eq!(acts(&workshop), done);
    let again = asked(&kept, before);
    assert!(!again.is_empty() && again.iter().all(|request| request.starts_with("HEAD ")), "{again:?}");
    assert_eq!(kept.lock().unwrap().things, things);
}

#[test]
fn a_push_that_breaks_leaves_a_draft_and_the_next_run_goes_on() {
    let (workshop, released) = packaged(&[]);
    let (host, kept) = serve();
    kept.lock().unwrap().fails = Some("PUT /v2/o/node-red/manifests");
    let registry = format!("{host}/o");
    let ended = workshop.run(&publish(&registry));
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["the registry answered 500 broken", "not public at origin", "run the same command again"]);
    assert_eq!(named(&kept), None);
    workshop.done(&publish(&registry));
    assert_eq!(named(&kept).as_deref(), Some(&*released));
    is_public(&workshop);
}

/// Kills the run while it waits for the answer to such a request, then runs undisturbed.
fn killed(request: &'static str, after: bool) {
    let (workshop, released) = packaged(&[]);
    let (host, kept) = serve();
    let registry = format!("{host}/o");
    {
        let mut kept = kept.lock().unwrap();
        if after { kept.hangs_after = Some(request) } else { kept.hangs = Some(request) }
    }
    let mut running = workshop.command(&publish(&registry)).stderr(Stdio::null()).spawn().unwrap();
    workshop.until(request, || {
        let kept = kept.lock().unwrap();
        kept.hangs.is_none() && kept.hangs_after.is_none()
    });
    running.kill().unwrap();
    running.wait().unwrap();
    let release = &workshop.state()["releases"][0];
    assert_eq!(release["draft"], true, "{request} {after}");
    let uploaded = release["assets"].as_array().unwrap().len();
    assert_eq!(uploaded, workshop.artifacts().len(), "{request}: an image comes after all files");
    workshop.done(&publish(&registry));
    assert_eq!(named(&kept).as_deref(), Some(&*released), "{request} {after}");
    is_public(&workshop);
}

#[test]
fn after_a_kill_at_any_request_to_the_registry_a_rerun_ends_well() {
    killed("HEAD /v2/o/node-red/", false);
    for request in [
        "POST /v2/o/node-red/blobs/uploads",
        "PUT /v2/o/node-red/blobs/uploads",
        "PUT /v2/o/node-red/manifests/sha256:",
        "PUT /v2/o/node-red/manifests/0.1.0",
    ] {
        killed(request, false);
        killed(request, true);
    }
}

#[test]
fn an_image_that_others_may_run_is_never_replaced() {
    let (workshop, _) = packaged(&[]);
    let (host, kept) = serve();
    kept.lock().unwrap().things.insert("o/node-red/manifests/0.1.0".to_owned(), b"another".to_vec());
    let ended = workshop.run(&publish(&format!("{host}/o")));
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&[&format!("{host}/o/node-red:0.1.0 is {}", digest(b"another")), "is never replaced"]);
    assert_eq!(named(&kept), Some(digest(b"another")));
    assert!(workshop.state()["releases"].as_array().unwrap().iter().all(|release| release["draft"] == true));
}

#[test]
fn what_is_built_on_stand_ins_is_not_published_anywhere() {
    let (workshop, _) = packaged(&["node:24-bookworm-slim"]);
    workshop.stand_in("git");
    let (host, kept) = serve();
    let told = format!("{ARCHIVE} was built on stand-ins for node:24-bookworm-slim");
    for command in [&publish(&format!("{host}/o"))[..], &["release", "publish", "--execute"]] {
        let ended = workshop.run(command);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        ended.says(&[&told, "build the images on the official bases and package again", "nothing was done"]);
    }
    assert_eq!(asked(&kept, 0), [""; 0]);
    assert_eq!(acts(&workshop), [""; 0]);
    assert_eq!(workshop.git(&["tag"]), "");
}

/// What the registry has under the version.
fn named(kept: &Arc<Mutex<Kept>>) -> Option<String> {
    kept.lock().unwrap().things.get("o/node-red/manifests/0.1.0").map(|bytes| digest(bytes))
}
