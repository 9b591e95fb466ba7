//! The unit for systemd, judged by systemd where it is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const UNIT: &str = "ops/systemd/flowship@.service";

/// What systemd has against a unit; none where it is not installed.
fn judged(text: &str) -> Option<String> {
    let analyze = which::which("systemd-analyze").ok()?;
    let folder = tempfile::tempdir().unwrap();
    // It looks for the program, too.
    fs::create_dir(folder.path().join("qa")).unwrap();
    symlink(which::which("true").unwrap(), folder.path().join("qa/flowship")).unwrap();
    let file = folder.path().join("flowship@qa.service");
    fs::write(&file, text.replace("/var/lib/flowship", folder.path().to_str().unwrap())).unwrap();
    let output = Command::new(analyze).arg("verify").arg(&file).output().unwrap();
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn systemd_accepts_the_unit_and_not_a_planted_fault() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join(UNIT)).unwrap();
    let Some(said) = judged(&text) else {
        eprintln!("systemd-analyze is not installed: the unit was not judged");
        return;
    };
    assert_eq!(said, "");
    for (good, bad) in [("TimeoutStopSec", "TimeoutStoppSec"), ("/qa/flowship", "/qb/flowship")] {
        let planted = text.replace("%i/flowship", "qa/flowship").replace(good, bad);
        let said = judged(&planted).unwrap();
        assert!(said.contains(bad), "{said:?}");
    }
}
