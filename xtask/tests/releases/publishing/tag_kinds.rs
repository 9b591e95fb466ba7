//! `release publish` where somebody has made the tag already, at the right commit.

use super::publish::is_public;
use super::workshop::Workshop;

const PUBLISH: [&str; 4] = ["release", "publish", "--execute", "--sign-tag"];

#[track_caller]
fn refused(workshop: &Workshop, arguments: &[&str], parts: &[&str]) {
    let ended = workshop.run(arguments);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(parts);
    ended.says(&["nothing was done"]);
    assert_eq!(workshop.state()["releases"], serde_json::json!([]));
}

#[test]
fn a_lightweight_tag_is_not_taken_for_ours() {
    let workshop = Workshop::packaged();
    workshop.git(&["tag", "v0.1.0"]);
    refused(
        &workshop,
        &PUBLISH[..3],
        &["v0.1.0 is a lightweight tag here; a release needs an annotated one", "git tag --delete v0.1.0"],
    );
    workshop.git(&["push", "--quiet", "origin", "v0.1.0"]);
    workshop.git(&["tag", "--delete", "v0.1.0"]);
    refused(
        &workshop,
        &PUBLISH[..3],
        &["v0.1.0 is a lightweight tag at the remote", "git push --delete origin v0.1.0"],
    );
    workshop.git(&["push", "--quiet", "--delete", "origin", "v0.1.0"]);
    workshop.done(&PUBLISH[..3]);
    is_public(&workshop);
}

#[test]
fn a_tag_without_a_signature_does_not_do_when_one_is_asked_for() {
    let workshop = Workshop::packaged();
    workshop.git(&["tag", "--annotate", "--message", "x", "v0.1.0"]);
    refused(&workshop, &PUBLISH, &["v0.1.0 is here without a signature", "git tag --delete v0.1.0"]);
    workshop.git(&["push", "--quiet", "origin", "v0.1.0"]);
    refused(&workshop, &PUBLISH, &["v0.1.0 is at the remote without a signature", "leave --sign-tag out"]);
    workshop.git(&["tag", "--delete", "v0.1.0"]);
    refused(&workshop, &PUBLISH, &["so its signature cannot be checked", "git fetch --force origin"]);
    workshop.done(&PUBLISH[..3]);
    is_public(&workshop);
}
