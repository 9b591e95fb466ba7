//! What is refused before anything is touched.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use super::site::Site;
use crate::ended::Ended;
use crate::namespaces::{self, Apart};

#[test]
fn what_is_wrong_is_refused_before_anything_is_touched() {
    let site = Site::new();
    let files = site.package("files", "1.0.0");
    let bundle = files.to_str().unwrap();
    for (arguments, code, parts) in [
        (&["deploy", "--help"][..], 0, &[][..]),
        (&["deploy"], 2, &["<ENV>"]),
        (&["deploy", "qa", "--version", "9.9.9"], 2, &["9.9.9", "not installed"]),
        (&["deploy", "qa", "--bundle", "nowhere"], 2, &["nowhere", "release package"]),
        (&["deploy", "qa", "--bundle", "flows", "--version", "1.0.0"], 2, &["cannot be used with"]),
        (&["deploy", "qu", "--unsigned", "--bundle", bundle], 2, &["qu", "qa"]),
        (&["deploy", "../qa", "--unsigned", "--bundle", bundle], 2, &["lower-case letters"]),
        (&["deploy", "dev", "--unsigned", "--bundle", bundle], 2, &["development", "cargo xtask dev dev"]),
        (
            &["deploy", "production", "--unsigned", "--bundle", bundle],
            2,
            &["kubernetes", "expected \"process\""],
        ),
        (&["deploy", "qa", "--unsigned", "--bundle", "flows"], 2, &["flows", "SHA256SUMS"]),
        (&["rollback", "qa"], 2, &["nothing was deployed to qa"]),
        (&["promote", "qa", "staging", "--unsigned"], 2, &["nothing was deployed to qa"]),
        (&["promote", "qa", "qa", "--unsigned"], 2, &["two different environments"]),
        (&["history", "qa"], 2, &["nothing was deployed to qa"]),
        (&["releases", "list", "qa"], 2, &["nothing was deployed to qa"]),
        (&["lock", "qa", "show"], 0, &[]),
    ] {
        site.ends(code, arguments).says(parts);
        assert!(!site.state().exists(), "{arguments:?}");
    }

    site.ends(2, &["deploy", "qa", "--bundle", bundle]).says(&["--unsigned"]);
    let dry = site.done(&[&site.deploy("qa", &files)[..], &["--dry-run"]].concat());
    assert!(dry.out.contains("node-red-a"), "{dry:#?}");
    assert!(!site.state().exists(), "{:#?}", site.files());

    let keys = ["one", "another"].map(|name| site.key(name));
    let trusting =
        |public: &str| site.run(&["deploy", "qa", "--dry-run", "--bundle", bundle, "--public-key", public]);
    let unsigned = trusting(&keys[0][1]);
    assert_eq!(unsigned.code, Some(1), "{unsigned:#?}");
    unsigned.says(&["the release is not signed"]);
    site.done(&["release", "sign", bundle, "--key", &keys[0][0]]);
    assert_eq!(trusting(&keys[0][1]).code, Some(0));
    let resigned = trusting(&keys[1][1]);
    assert_eq!(resigned.code, Some(1), "{resigned:#?}");
    resigned.says(&["nothing was changed in qa", "signature"]);

    // A disk of a megabyte; where the machine allows none, the rest still holds.
    fs::create_dir(site.state()).unwrap();
    let small = format!("mount -t tmpfs -o size=1m none '{}' && exec \"$@\"", site.state().display());
    if let Some(output) = namespaces::shell(Apart::Mounts, &small, &site.command(&site.deploy("qa", &files)))
    {
        let full = Ended::of(&output);
        assert_eq!(full.code, Some(1), "{full:#?}");
        full.says(&["nothing was changed in qa", "are free, the release needs", "releases prune"]);
    }
    fs::remove_dir(site.state()).unwrap();

    // Everything that stands in the way of containers.
    let taken = TcpListener::bind(("127.0.0.2", 443));
    let here = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let more = format!("[[hosts]]\nname = \"here\"\naddress = \"{}\"\n\n[llm]", here.trim());
    let file = "ops/environments/qa.toml";
    let before = site.read(file);
    site.write(file, &before.replace("\"process\"", "\"compose\"").replace("[llm]", &more));
    fs::set_permissions(site.path("provider-key"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = site.command(&site.deploy("qa", &files));
    let ended = Ended::of(&command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&[
        "nothing was changed in qa",
        "no container engine",
        "no image of node-red",
        "cannot read it (mode 0600",
    ]);
    // Where a user may not have that port, nobody else is found there either.
    if !taken.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
        ended.says(&["port 443, which"]);
    }
    site.write(file, &before);

    // Two problems at once.
    let manifest = files.join("manifest.json");
    let archive = files.join("flowship-1.0.0-bundle.tar.gz");
    for file in [&manifest, &archive] {
        let mut bytes = fs::read(file).unwrap();
        bytes.push(b'\n');
        fs::write(file, bytes).unwrap();
    }
    let changed = site.ends(1, &site.deploy("qa", &files));
    changed.says(&["nothing was changed in qa", "manifest.json", "flowship-1.0.0-bundle.tar.gz"]);
    assert!(!site.state().exists(), "{:#?}", site.files());
}
