//! One platform, from its first release on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use super::site::Site;
use crate::until;

struct Releases {
    first: PathBuf,
    second: PathBuf,
    crashing: PathBuf,
    /// Another artifact with the version of the second.
    again: PathBuf,
}

impl Releases {
    fn of(site: &Site) -> Self {
        let main = site.read("flows/runtime/main.js");
        let first = site.package("first", "1.0.0");
        site.write(
            "flows/migrations/20270101000001_later.sql",
            "-- migrate:up\nCREATE TABLE flowship.later (id integer);\n\n-- migrate:down\nDROP TABLE flowship.later;\n",
        );
        let second = site.package("second", "1.1.0");
        site.write("flows/runtime/main.js", "throw new Error('broken on purpose');\n");
        let crashing = site.package("crashing", "1.2.0");
        site.write("flows/runtime/main.js", &format!("{main}// As before.\n"));
        let again = site.package("again", "1.1.0");
        Self { first, second, crashing, again }
    }
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn whatever_happens_one_version_serves_at_the_end() {
    let site = Site::new();
    let releases = Releases::of(&site);
    let first = first_deploy(&site, &releases.first);
    a_dry_run_changes_nothing(&site, &releases.second);
    a_broken_release_is_rolled_back(&site, &releases, &first);
    let second = a_killed_deployer_goes_on(&site, &releases.second, &first);
    older_is_refused(&site, &releases.first);
    a_killed_command_is_followed(&site, &releases, &first);
    stopped_it_is_undone(&site, &first);
    let shown = site.done(&["rollback", "qa", "--dry-run"]);
    assert!(
        shown.out.contains("watch it for 3 s: "),
        "what served before is watched for less long: {shown:#?}"
    );
    site.done(&["rollback", "qa", "--watch", "1"]);
    one_serves(&site, &second);
    damaged_is_no_target(&site, &releases, &first, &second);
    promotion_takes_what_runs(&site, &releases.again, &second);
    after_a_stop_the_edge_begins_anew(&site, &second);
}

/// Its name.
fn first_deploy(site: &Site, files: &Path) -> String {
    let ended = site.done(&site.deploy("qa", files));
    let release = site.release("qa");
    assert!(release.starts_with("1.0.0-"), "{release}");
    assert!(ended.out.starts_with(&format!("qa runs {release} (took ")), "{ended:#?}");
    one_serves(site, &release);
    assert_eq!(site.through_edge("qa", false), Some(401));
    assert!(site.done(&["smoke", "qa"]).out.contains("6 of 6 checks passed"));
    // Who does not know the certificate does not trust the edge.
    let certificate = site.of("qa").join("secrets/edge-tls-pem");
    fs::rename(&certificate, site.path("edge-tls-pem")).unwrap();
    fs::write(&certificate, "").unwrap();
    let untrusted = site.ends(1, &["smoke", "qa"]);
    fs::rename(site.path("edge-tls-pem"), &certificate).unwrap();
    assert!(
        untrusted.out.contains("certificate") && untrusted.out.contains("5 of 6 checks"),
        "{untrusted:#?}"
    );
    site.done(&["keys", "create", "qa", "caller"]);
    site.done(&["keys", "revoke", "qa", "caller"]);

    let before = site.processes("qa");
    site.done(&site.deploy("qa", files));
    assert_eq!(site.processes("qa"), before, "the same release again touches nothing");
    assert_eq!(site.history("qa").len(), 2);
    release
}

#[track_caller]
fn one_serves(site: &Site, release: &str) {
    assert_eq!(site.release("qa"), release);
    let serving: BTreeMap<String, Value> = site.replicas("qa");
    assert_eq!(serving.len(), 2, "{serving:#?}");
    assert!(serving.values().all(|one| one == release), "{serving:#?}");
    assert_eq!(site.through_edge("qa", true), Some(200));
    site.done(&["status", "qa"]);
}

fn a_dry_run_changes_nothing(site: &Site, files: &Path) {
    let plan = site.done(&[&site.deploy("qa", files)[..], &["--dry-run", "--json"]].concat()).json();
    let path = path_of_the_migrations(&plan);
    let seen = || (site.files(), site.processes("qa"), site.history("qa"), site.schema("qa", &path));
    let before = seen();
    assert!(before.3.contains("flowship.tasks") && !before.3.contains("flowship.later"), "{}", before.3);
    let shown = site.done(&[&site.deploy("qa", files)[..], &["--dry-run"]].concat());
    assert!(shown.out.contains("node-red-c"), "{shown:#?}");
    let after = seen();
    assert_eq!(after.0, before.0);
    assert_eq!((after.1, after.2), (before.1, before.2));
    assert!(after.3 == before.3, "{}", after.3);
}

pub fn path_of_the_migrations(plan: &Value) -> String {
    let steps = plan["steps"].as_array().unwrap();
    let migrate = steps.iter().find(|step| step["id"] == "migrate.run").unwrap();
    let path = &migrate["action"]["exec"]["env"]["PATH"];
    path.as_str().or_else(|| path["text"].as_str()).unwrap_or_else(|| panic!("{migrate:#}")).to_owned()
}

fn a_broken_release_is_rolled_back(site: &Site, releases: &Releases, first: &str) {
    let before = site.processes("qa");
    let ended = site.ends(1, &site.deploy("qa", &releases.crashing));
    assert!(ended.out.contains("was rolled back after "), "{ended:#?}");
    assert!(ended.out.contains(&format!("; qa still runs {first}. Reason: ")), "{ended:#?}");
    assert!(ended.out.contains("exited or restarted"), "{ended:#?}");
    assert_eq!(site.processes("qa"), before, "nothing that ran before was touched");
    one_serves(site, first);
    let history = site.history("qa");
    let last = history.last().unwrap();
    assert_eq!(last["result"], "rolled-back", "{last:#}");
    assert_eq!((&last["from"], last["change"].as_str()), (&Value::from(first), Some("deploy")));
    assert!(last["why"].as_str().unwrap().contains("exited or restarted"), "{last:#}");
    let shown = site.done(&["status", "qa"]).out;
    assert!(shown.contains("rolled back, because: "), "{shown}");
}

/// While the files that it came from vanish, after one new replica serves.
fn a_killed_deployer_goes_on(site: &Site, files: &Path, first: &str) -> String {
    let begun = site.begin(&site.deploy("qa", files));
    begun.await_line("✓ node-red-c takes requests and tasks");
    let hidden = site.path("hidden");
    fs::rename(files, &hidden).unwrap();
    site.deployer("qa").unwrap().kill();
    assert_eq!(site.through_edge("qa", true), Some(200));
    let printed = begun.ends(0);
    fs::rename(&hidden, files).unwrap();
    let second = site.release("qa");
    assert!(second.starts_with("1.1.0-"), "{second} {printed}");
    one_serves(site, &second);
    let last = site.history("qa").last().unwrap().clone();
    assert_eq!((&last["from"], &last["result"]), (&Value::from(first), &Value::from("done")));
    second
}

fn older_is_refused(site: &Site, first: &Path) {
    let before = (site.files(), site.processes("qa"));
    let refused = site.ends(1, &site.deploy("qa", first));
    refused.says(&[
        "nothing was changed in qa",
        "1.0.0 is older than 1.1.0",
        "rollback qa",
        "--allow-downgrade",
    ]);
    assert_eq!((site.files(), site.processes("qa")), before);
}

/// And another one at the same time is refused.
fn a_killed_command_is_followed(site: &Site, releases: &Releases, first: &str) {
    let rollback = ["rollback", "qa", "--watch", "1"];
    let begun = site.begin(&rollback);
    begun.await_line("✓ start node-red");
    begun.kill();
    let other = site.ends(2, &site.deploy("qa", &releases.crashing));
    other.says(&["is already deploying to qa", "rollback qa", "status qa"]);
    let followed = site.done(&rollback);
    followed.says(&["already running"]);
    assert!(followed.out.starts_with(&format!("qa runs {first} (took ")), "{followed:#?}");
    one_serves(site, first);
    let last = site.history("qa").last().unwrap().clone();
    assert_eq!((&last["change"], &last["result"]), (&Value::from("rollback"), &Value::from("done")));
}

fn stopped_it_is_undone(site: &Site, first: &str) {
    let before: BTreeSet<_> = site.replicas("qa").into_keys().collect();
    let begun = site.begin(&["rollback", "qa", "--watch", "1"]);
    // One of those that ran before has ended by now.
    until("an old replica ends", || begun.printed().contains("finishes its work and stops ").then_some(()));
    begun.pid().signal(Signal::INT);
    let printed = begun.ends(130);
    assert!(printed.contains("stopping: undoing the steps so far"), "{printed}");
    one_serves(site, first);
    assert_eq!(site.replicas("qa").into_keys().collect::<BTreeSet<_>>(), before);
    assert_eq!(site.history("qa").last().unwrap()["result"], "rolled-back");
}

fn damaged_is_no_target(site: &Site, of: &Releases, first: &str, second: &str) {
    let before = (site.processes("qa"), site.history("qa"));
    let hidden = site.path("hidden.sql");
    let file = |release: &str| {
        site.of("qa")
            .join("releases")
            .join(release)
            .join("tree/flows/migrations/20261126000001_parked_tasks.sql")
    };
    fs::rename(file(first), &hidden).unwrap();
    let refused = site.ends(2, &["rollback", "qa"]);
    refused.says(&[
        "qa was not touched",
        first,
        "20261126000001_parked_tasks.sql is missing",
        "deploy it again",
    ]);
    fs::rename(&hidden, file(first)).unwrap();

    // What runs is what a failed deploy would go back to.
    let damaged = || {
        let shown = site.done(&["releases", "list", "qa"]).out;
        shown.lines().filter(|line| line.contains("damaged")).map(str::to_owned).collect::<Vec<_>>()
    };
    fs::remove_file(file(second)).unwrap();
    assert!(matches!(&damaged()[..], [one] if one.starts_with(second)), "{:?}", damaged());
    let refused = site.ends(1, &site.deploy("qa", &of.crashing));
    refused.says(&[
        "nothing was changed in qa",
        second,
        "is missing",
        "deploy it again from its files first",
    ]);
    assert_eq!((site.processes("qa"), site.history("qa")), before);
    site.done(&site.deploy("qa", &of.second));
    assert_eq!((damaged(), site.processes("qa")), (vec![], before.0));
}

/// Not what has been made since under the same version.
fn promotion_takes_what_runs(site: &Site, again: &Path, second: &str) {
    site.environment("qb", "staging");
    let newest = site.path("repository/target/release-artifacts");
    fs::rename(again, &newest).unwrap();
    site.done(&["promote", "qa", "qb", "--unsigned", "--watch", "0"]);
    assert_eq!(site.release("qb"), second);
    let (from, to) = (site.history("qa"), site.history("qb"));
    let (from, to) = (from.last().unwrap(), to.last().unwrap());
    assert_eq!((&to["digest"], &to["change"]), (&from["digest"], &Value::from("promote")));
    assert_eq!(site.through_edge("qb", true), Some(200));
}

/// What it knew of its servers was about a platform that runs no more.
fn after_a_stop_the_edge_begins_anew(site: &Site, second: &str) {
    site.stop("qa");
    let again = ["deploy", "qa", "--unsigned", "--watch", "0", "--version", second];
    let ended = site.done(&again);
    assert!(ended.errors.contains("write servers.state of edge"), "{ended:#?}");
    one_serves(site, second);
    let ended = site.done(&again);
    assert!(!ended.errors.contains("write servers.state of edge"), "{ended:#?}");
}
