//! The gate `go-advisories` with the real govulncheck, on databases that a module proxy of ours hands out.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::security::{Run, Tree, advisory_policy};

/// What every whole database has.
const CONTROL: (&str, &str) = ("GO-2020-0015", "golang.org/x/text");
/// About a module that is part of dbmate.
const PLANTED: (&str, &str) = ("GO-2099-0001", "github.com/lib/pq");

/// Go takes no archive with entries of folders.
const ZIP: &str = "import pathlib, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as archive:\n  for path in \
                   pathlib.Path('golang.org').rglob('*'):\n    if path.is_file(): archive.write(path)\n";

/// A proxy with one database, which was changed last on this day.
fn proxy(tree: &Tree, advisories: &[(&str, &str)], day: &str) -> PathBuf {
    const VERSION: &str = "v0.0.0-20260101000000-000000000000";
    let proxy = tree.path("proxy");
    let place = "proxy/golang.org/x/vulndb";
    let info = json!({ "Version": VERSION, "Time": format!("{day}T00:00:00Z") }).to_string();
    let go_mod = "module golang.org/x/vulndb\n";
    tree.write(&format!("{place}/@latest"), &info);
    tree.write(&format!("{place}/@v/list"), "");
    tree.write(&format!("{place}/@v/{VERSION}.info"), &info);
    tree.write(&format!("{place}/@v/{VERSION}.mod"), go_mod);
    let root = format!("zipped/golang.org/x/vulndb@{VERSION}");
    tree.write(&format!("{root}/go.mod"), go_mod);
    for (id, module) in advisories {
        let mut events = vec![json!({ "introduced": "0" })];
        events.extend((*id == CONTROL.0).then(|| json!({ "fixed": "0.3.3" })));
        let advisory = json!({
            "schema_version": "1.3.1",
            "id": id,
            "modified": "0001-01-01T00:00:00Z",
            "published": "0001-01-01T00:00:00Z",
            "summary": "Planted fault",
            "affected": [{
                "package": { "name": module, "ecosystem": "Go" },
                "ranges": [{ "type": "SEMVER", "events": events }],
                "ecosystem_specific": { "imports": [{ "path": module }] },
            }],
        });
        tree.write(&format!("{root}/data/osv/{id}.json"), &advisory.to_string());
    }
    let archive = tree.path(format!("{place}/@v/{VERSION}.zip"));
    let zipped =
        Command::new("python3").args(["-c", ZIP]).arg(&archive).current_dir(tree.path("zipped")).status();
    assert!(zipped.unwrap().success());
    proxy
}

/// A tree with the pinned programs, and with the repository's policy without what it tolerates.
fn tree() -> Tree {
    let tree = Tree::new();
    let policy = advisory_policy(&tree);
    tree.write("ops/ci/advisories.toml", policy.split("\n[[tolerate]]").next().unwrap());
    crate::tree::copy(&["ops/ci/tools"], tree.path("").as_path());
    // Built from where the user gets modules.
    tree.run(&["doctor", "--install", "govulncheck"]).expect(0, &[]);
    tree
}

fn asking(tree: &Tree, arguments: &[&str], proxy: &str) -> Run {
    let mut command = tree.xtask(arguments);
    // No checksum database knows what this proxy has.
    command.env("GOPROXY", proxy).env("GONOSUMDB", "golang.org/x/vulndb");
    Run::of(command.output().unwrap())
}

#[test]
fn go_advisories_fails_on_a_vulnerable_program_and_passes_without() {
    let tree = tree();
    let today = crate::security::days_ago(0);
    let with = |advisories: &[(&str, &str)], day: &str, arguments: &[&str]| {
        let proxy = proxy(&tree, advisories, day);
        asking(&tree, arguments, &format!("file://{}", proxy.display()))
    };
    let run = with(&[CONTROL, PLANTED], &today, &["ci", "go-advisories", "--require-all"]);
    run.expect(
        1,
        &["[GO-2099-0001] github.com/lib/pq v", "Planted fault; no version fixes it; dbmate has the"],
    );
    let sarif = std::fs::read_to_string(tree.path("target/xtask/sarif/go-advisories.sarif")).unwrap();
    assert!(sarif.contains("\"GO-2099-0001\"") && sarif.contains("ops/ci/requirements.txt"), "{sarif}");

    std::fs::remove_dir_all(tree.path("zipped")).unwrap();
    let check = ["check", "go-advisories"];
    with(&[CONTROL], &today, &check).expect(
        0,
        &[
            "no advisories for any program of the services",
            "checked dbmate ",
            " modules) against 1 advisories",
        ],
    );
    let old = crate::security::days_ago(181);
    with(&[CONTROL], &old, &check).expect(1, &["the database is older than 180 days"]);

    std::fs::remove_dir_all(tree.path("zipped")).unwrap();
    with(&[PLANTED], &today, &check)
        .expect(1, &["lacks GO-2020-0015, which every complete database contains"]);
}

#[test]
fn a_proxy_without_the_database_is_not_taken_for_a_pass() {
    let tree = tree();
    let nowhere = format!("file://{}", tree.path("empty").display());
    asking(&tree, &["check", "go-advisories"], &nowhere).expect(1, &["golang.org/x/vulndb", "set GOPROXY"]);
    let run = asking(&tree, &["ci", "go-advisories", "--json"], &nowhere);
    let value: Value = serde_json::from_str(&run.out).unwrap();
    let row = &value["gates"][0];
    assert_eq!((run.code, &row["result"]), (Some(0), &Value::from("not-run")), "{run:?}");
    assert_eq!(row["reason"], "no Go vulnerability database");
}
