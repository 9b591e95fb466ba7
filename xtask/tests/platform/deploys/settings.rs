//! A rollback to a release whose program does not know a setting that was added since.

use std::fs;

use super::site::Site;

const SETTING: &str = "pagerduty_service";

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn a_release_that_does_not_know_a_newer_setting_runs_with_its_own() {
    let site = Site::new();
    // An older program: it calls the setting something else.
    let operator = site.path("operator");
    let program = fs::read(&operator).unwrap();
    fs::write(&operator, replaced(&program, SETTING, "pagerduty_unknown")).unwrap();
    let first = site.package("first", "1.0.0");
    fs::write(&operator, &program).unwrap();
    let second = site.package("second", "1.1.0");

    site.done(&site.deploy("qa", &first));
    let old = site.release("qa");
    let file = "ops/environments/qa.toml";
    let contacts = format!(
        "\n[contacts]\non_call = \"a\"\nemail = \"a@example.com\"\nslack_channel = \"#a\"\n{SETTING} = \"a\"\n"
    );
    site.write(file, &(site.read(file) + &contacts));
    site.done(&site.deploy("qa", &second));
    let new = site.release("qa");
    let kept = || fs::read_to_string(site.of("qa").join("environment.toml")).unwrap();
    assert!(kept().contains(SETTING));

    let back = site.done(&["rollback", "qa", "--watch", "1"]);
    assert!(back.out.starts_with(&format!("qa runs {old} (took ")), "{back:#?}");
    let warning = format!("warning: {old} does not understand the current settings (");
    for text in [&back.out, &back.errors] {
        assert!(text.contains(&warning) && text.contains("which differ in contacts"), "{back:#?}");
    }
    assert!(back.out.contains(SETTING), "{back:#?}");
    assert_eq!((site.release("qa"), site.through_edge("qa", true)), (old, Some(200)));
    assert!(!kept().contains(SETTING));
    let last = site.history("qa").last().unwrap().clone();
    assert!(last["settings"].as_str().unwrap().contains("which differ in contacts"), "{last:#}");
    assert!(site.done(&["status", "qa"]).out.contains("does not understand the current settings"));

    site.done(&["rollback", "qa", "--watch", "1"]);
    assert_eq!(site.release("qa"), new);
    assert!(kept().contains(SETTING), "nothing of the newer settings is lost");
    assert_eq!(site.history("qa").last().unwrap().get("settings"), None);
}

fn replaced(program: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut program = program.to_vec();
    let places: Vec<usize> = program
        .windows(from.len())
        .enumerate()
        .filter(|(_, seen)| *seen == from.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| program[at..at + to.len()].copy_from_slice(to.as_bytes()));
    program
}
