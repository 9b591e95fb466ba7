//! Contract migrations: run when somebody asks for it, and only once no release is left that needs what they remove.

use std::path::PathBuf;

use super::site::Site;
use super::story::path_of_the_migrations;

const LATER: &str = "flows/migrations/contract/20270201000001_later.sql";
const BREAKS: &str = "flows/migrations/contract/20270301000001_breaks.sql";

struct Releases {
    /// Makes a table.
    first: PathBuf,
    /// May drop it.
    second: PathBuf,
    /// May take away what every release needs.
    third: PathBuf,
    /// Makes another table.
    fourth: PathBuf,
}

impl Releases {
    fn of(site: &Site) -> Self {
        site.write(
            "flows/migrations/20270101000001_later.sql",
            "-- migrate:up\nCREATE TABLE flowship.later (id integer);\n\n-- migrate:down\nDROP TABLE flowship.later;\n",
        );
        let first = site.package("first", "1.0.0");
        site.write(LATER, "-- migrate:up\nDROP TABLE flowship.later;\n\n-- migrate:down\n");
        let second = site.package("second", "1.1.0");
        site.write(BREAKS, "-- migrate:up\nALTER TABLE flowship.tasks RENAME TO gone;\n\n-- migrate:down\n");
        let third = site.package("third", "1.2.0");
        site.write(
            "flows/migrations/20270401000001_more.sql",
            "-- migrate:up\nCREATE TABLE flowship.more (id integer);\n\n-- migrate:down\nDROP TABLE flowship.more;\n",
        );
        let fourth = site.package("fourth", "1.3.0");
        Self { first, second, third, fourth }
    }
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn what_an_older_release_needs_goes_only_after_it() {
    let site = Site::new();
    let releases = Releases::of(&site);
    let plan = site.done(&[&site.deploy("qa", &releases.first)[..], &["--dry-run", "--json"]].concat());
    let path = path_of_the_migrations(&plan.json());
    let has = |table: &str| site.schema("qa", &path).contains(&format!("CREATE TABLE flowship.{table} "));

    site.ends(2, &["contract", "qa"]).says(&["nothing was deployed to qa"]);
    site.done(&site.deploy("qa", &releases.first));
    let first = site.release("qa");
    let none = site.done(&["contract", "qa"]);
    assert!(none.out.contains(&format!("qa: {first} has no contract migrations left to run")), "{none:#?}");
    site.done(&site.deploy("qa", &releases.second));
    assert!(has("later"), "no deploy runs them");

    let seen = || (site.files(), site.history("qa"), site.processes("qa"));
    let before = seen();
    for arguments in [&["contract", "qa", "--dry-run"][..], &["contract", "qa"]] {
        let refused = site.ends(2, arguments);
        refused.says(&["qa was not touched", &first, LATER, "releases prune qa --keep 1"]);
        assert!(!refused.errors.contains("release 1.1.0"), "{refused:#?}");
    }
    assert_eq!((seen().1, seen().2), (before.1, before.2));

    let pruned = site.done(&["releases", "prune", "qa", "--keep", "1"]);
    assert!(pruned.out.contains(&format!("removed {first}, but keeps its tree")), "{pruned:#?}");
    assert!(site.done(&["releases", "list", "qa"]).out.contains("pruned"));
    site.ends(2, &["rollback", "qa", "--to", "1.0.0"]).says(&["qa was not touched", "it was pruned"]);

    let before = seen();
    let shown = site.done(&["contract", "qa", "--dry-run"]);
    assert!(shown.out.contains("run the contract migrations on flowship_next"), "{shown:#?}");
    assert_eq!(seen(), before, "a dry run changes nothing");
    assert!(has("later"));

    killed_it_is_run_again(&site);
    let ran = site.done(&["contract", "qa"]);
    assert!(ran.out.starts_with(&format!("ran {LATER} in qa (took ")), "{ran:#?}");
    assert!(!has("later") && has("tasks"));
    assert_eq!(site.processes("qa"), before.2, "nothing was started again");
    let last = site.history("qa").last().unwrap().clone();
    assert_eq!((&last["change"], &last["migrations"][0]), (&"contract".into(), &LATER.into()), "{last:#}");
    assert!(site.done(&["contract", "qa"]).out.contains("has no contract migrations left"));
    assert_eq!(site.history("qa").len(), 3);

    // Also with all its files.
    let older = site.ends(2, &[&site.deploy("qa", &releases.first)[..], &["--allow-downgrade"]].concat());
    older.says(&["qa was not touched", &first, LATER]);
    assert_eq!((site.processes("qa"), site.history("qa").len()), (before.2, 3));

    the_running_release_must_bear_it(&site, &releases, &has);
}

/// Wherever it is killed, in the proof or when the real database changes: the same command again is enough.
fn killed_it_is_run_again(site: &Site) {
    for last in ["starts on the new schema", "record that releases without these migrations do not run"] {
        let begun = site.begin(&["contract", "qa"]);
        begun.await_line(last);
        begun.kill();
        let status = site.ends(1, &["status", "qa"]);
        let line = status.out.lines().find(|line| line.starts_with("INTERRUPTED")).unwrap();
        assert!(line.contains("was killed") && line.ends_with("contract qa` again"), "{line}");
        assert_eq!(site.through_edge("qa", true), Some(200));
    }
}

fn the_running_release_must_bear_it(site: &Site, releases: &Releases, has: &dyn Fn(&str) -> bool) {
    site.done(&site.deploy("qa", &releases.third));
    site.done(&["releases", "prune", "qa", "--keep", "1"]);
    let before = (site.processes("qa"), site.release("qa"));
    let failed = site.ends(1, &["contract", "qa"]);
    assert!(failed.out.starts_with("the database of qa was not changed. Reason: "), "{failed:#?}");
    assert!(has("tasks") && !has("gone"));
    assert_eq!((site.processes("qa"), site.release("qa")), before);
    assert_eq!(site.through_edge("qa", true), Some(200));
    let last = site.history("qa").last().unwrap().clone();
    assert_eq!((&last["change"], &last["result"]), (&"contract".into(), &"rolled-back".into()), "{last:#}");
    // It was not run: a deploy proves the running release without it.
    site.done(&site.deploy("qa", &releases.fourth));
    assert!(has("more"));
    // And what lacks it may still run.
    site.done(&[&site.deploy("qa", &releases.second)[..], &["--allow-downgrade"]].concat());
}
