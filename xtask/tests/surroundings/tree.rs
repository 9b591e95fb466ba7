//! The tree that is tested, or parts of it, copied to where a test may change it.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Copies what git lists below these paths: what is committed, and what is about to be.
pub fn copy(parts: &[&str], to: &Path) {
    let tree = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let listed = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
        ])
        .args(parts)
        .current_dir(tree)
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).unwrap();
    // What was removed and not yet committed is listed, too.
    for name in names.split_terminator('\0').filter(|name| tree.join(name).is_file()) {
        let place = to.join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(tree.join(name), place).unwrap();
    }
}
