//! What runs from the cache is what was installed, and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::fixture::{Fixture, ended};
use crate::namespaces::{Apart, shell};

/// The folder of an installed tool.
fn entry(fixture: &Fixture, tool: &str) -> PathBuf {
    let name = fixture.tools().into_iter().find(|name| name.starts_with(tool)).unwrap();
    fixture.cache().join("tools").join(name)
}

fn replace(file: &Path, text: &[u8]) {
    // A new file, as whoever puts a program in the place of another makes one.
    fs::remove_file(file).unwrap();
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_replaced_program_is_neither_shown_as_found_nor_run_and_the_next_need_installs_it_again() {
    let fixture = Fixture::new();
    assert!(fixture.install(&["zizmor"]).output().unwrap().status.success());
    let program = entry(&fixture, "zizmor-").join("bin/zizmor");
    let good = fs::read(&program).unwrap();
    let traitor = fixture.folder.path().join("it-ran");
    let runs = |end: &str| format!("#!/bin/sh\ntouch '{}'\n{end}\n", traitor.display()).into_bytes();
    let mut same_size = good.clone();
    *same_size.last_mut().unwrap() = b' ';
    for (kind, text) in [
        ("one that agrees with everything", runs("exit 0")),
        ("one that agrees with nothing", runs("exit 1")),
        ("an older version", runs("echo zizmor 0.9.0")),
        ("garbage", b"\x7fELF\x02\x01\x01garbage".to_vec()),
        ("nothing", Vec::new()),
        ("a half", good[..good.len() / 2].to_vec()),
        ("another of the same size", same_size),
    ] {
        replace(&program, &text);
        let (code, json, _) = ended(&fixture.xtask(&["doctor", "--json"]).output().unwrap());
        assert_eq!(code, Some(1), "{kind}");
        let findings: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        let finding = findings.iter().find(|finding| finding["program"] == "zizmor").unwrap();
        assert_eq!(finding["state"], "broken", "{kind}");
        let get = finding["get"].as_str().unwrap();
        for part in [
            "bin/zizmor was changed after the installation: expected ",
            ", found ",
            "it is not used. `cargo xtask doctor --install zizmor`, or any command",
        ] {
            assert!(get.contains(part), "{kind}: {get}");
        }

        let (code, table, errors) = ended(&fixture.install(&["zizmor"]).output().unwrap());
        assert_eq!(code, Some(0), "{kind}: {errors}");
        let first = errors.lines().next().unwrap();
        assert!(first.starts_with("zizmor 1.0.1: bin/zizmor was changed after the installation"), "{first}");
        let aside = fixture.cache().join("changed").join(entry(&fixture, "zizmor-").file_name().unwrap());
        assert!(first.ends_with(&format!("it was moved to {} and will be installed again", aside.display())));
        assert_eq!(fs::read(aside.join("bin/zizmor")).unwrap(), text, "{kind}");
        assert_eq!(fs::read(&program).unwrap(), good, "{kind}");
        assert!(table.contains("1.0.1") && !traitor.exists(), "{kind}: {table}");
    }
}

#[test]
fn without_network_a_replaced_program_is_refused_and_gone() {
    let fixture = Fixture::new();
    assert!(fixture.install(&["zizmor"]).output().unwrap().status.success());
    replace(&entry(&fixture, "zizmor-").join("bin/zizmor"), b"#!/bin/sh\nexit 0\n");
    let mut command = fixture.install(&["zizmor"]);
    let (code, _, errors) =
        ended(&command.env("PIP_INDEX_URL", "http://127.0.0.1:1/simple").output().unwrap());
    assert_eq!(code, Some(1), "{errors}");
    for part in ["bin/zizmor was changed after the installation", "cannot be reached", "PIP_FIND_LINKS"] {
        assert!(errors.contains(part), "no `{part}` in: {errors}");
    }
    assert!(!fixture.tools().iter().any(|name| name.starts_with("zizmor-")), "{:?}", fixture.tools());
}

/// Not only the file that is started: what it loads, and what was put beside it.
#[test]
fn every_file_of_a_tool_and_of_the_modules_counts() {
    let fixture = Fixture::new();
    let flows = fixture.root().join("flows");
    fs::create_dir(&flows).unwrap();
    fs::write(flows.join("package.json"), "{}").unwrap();
    fs::write(flows.join("package-lock.json"), r#"{"lockfileVersion":3,"packages":{"":{}}}"#).unwrap();
    assert!(fixture.install(&["pip", "modules"]).output().unwrap().status.success());
    let modules = fs::read_dir(fixture.cache().join("npm")).unwrap().next().unwrap().unwrap().path();
    let pip = entry(&fixture, "pip-");
    type Change = fn(&Path);
    let changes: [(&str, &Path, &str, Change); 4] = [
        ("modules", &modules, "node_modules/made/package-lock.json was changed", |folder| {
            fs::write(folder.join("node_modules/made/package-lock.json"), "{}").unwrap();
        }),
        ("modules", &modules, "node_modules/planted.js was added", |folder| {
            fs::write(folder.join("node_modules/planted.js"), "").unwrap();
        }),
        ("pip", &pip, "pip/_internal/cli/main.py was changed", |folder| {
            fs::write(folder.join("pip/_internal/cli/main.py"), "print('done')").unwrap();
        }),
        ("pip", &pip, "pip/_vendor/planted.py was added", |folder| {
            fs::write(folder.join("pip/_vendor/planted.py"), "").unwrap();
        }),
    ];
    for (name, folder, how, change) in changes {
        change(folder);
        let (code, table, _) = ended(&fixture.xtask(&["doctor"]).output().unwrap());
        let row = table.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert!(code == Some(1) && row.contains("BROKEN") && row.contains(how), "{row}");
        let (code, table, errors) = ended(&fixture.install(&[name]).output().unwrap());
        assert_eq!(code, Some(0), "{errors}");
        assert!(errors.contains(how) && !table.contains("BROKEN"), "{errors}{table}");
    }
}

#[test]
fn what_is_installed_stays_what_it_was_by_being_used() {
    let fixture = Fixture::new();
    for tools in [&["zizmor"][..], &["dbmate"], &[]] {
        let (code, _, errors) = ended(&fixture.install(tools).output().unwrap());
        assert!(tools.is_empty() || code == Some(0), "{errors}");
        assert!(!errors.contains("installation"), "{errors}");
    }
    assert!(!fixture.cache().join("changed").exists());
}

#[test]
fn a_program_of_the_user_that_is_none_is_broken_with_the_cure() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path().join("bin");
    fs::create_dir(&folder).unwrap();
    for (kind, text, told) in [
        ("says nothing", &b"#!/bin/sh\nexit 0\n"[..], "it prints no version; install chromium"),
        ("fails", b"#!/bin/sh\nexit 7\n", "exit status: 7: it says nothing; install chromium"),
        ("is of no format", b"\x7fELF\x02\x01\x01garbage", "chromium cannot be run: Exec format error"),
        ("is empty", b"", "; install chromium"),
        ("has no interpreter", b"#!/nowhere/sh\n", "chromium cannot be run: "),
    ] {
        let program = folder.join("chromium");
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let (_, table, _) = ended(&fixture.xtask(&["doctor"]).env("PATH", path).output().unwrap());
        let row = table.lines().find(|line| line.starts_with("chromium ")).unwrap();
        assert!(row.contains("BROKEN") && row.contains(told), "{kind}: {row}");
    }
}

/// A program that says only its version, first on PATH.
fn with_program(fixture: &Fixture, name: &str, version: &str) -> String {
    let folder = fixture.folder.path().join("own");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), format!("#!/bin/sh\necho {name} {version}\n")).unwrap();
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[test]
fn a_package_of_the_system_is_unpacked_where_the_user_has_no_new_enough_program() {
    let fixture = Fixture::new();
    let row = |path: &str, arguments: &[&str]| {
        let (_, table, errors) = ended(&fixture.xtask(arguments).env("PATH", path).output().unwrap());
        let row = table.lines().find(|line| line.starts_with("haproxy ")).map(str::to_owned);
        row.unwrap_or_else(|| panic!("{errors}"))
    };
    let old = with_program(&fixture, "haproxy", "2.5.9");
    let before = row(&old, &["doctor"]);
    assert!(before.contains("not yet") && before.contains("doctor --install haproxy"), "{before}");
    let unpacked = row(&old, &["doctor", "--install", "haproxy"]);
    assert!(unpacked.contains(" found ") && unpacked.contains("usr/sbin/haproxy"), "{unpacked}");
    let entry = fixture
        .cache()
        .join("tools")
        .join(fixture.tools().into_iter().find(|name| name.starts_with("haproxy-")).unwrap());
    let packages = fs::read_to_string(entry.join("packages")).unwrap();
    let first: Vec<_> = packages.lines().next().unwrap().split(' ').collect();
    assert!(
        matches!(first[..], ["haproxy", version, sha256] if version.starts_with(|c: char| c.is_ascii_digit()) && sha256.len() == 64),
        "{packages}"
    );

    fs::write(entry.join("etc/haproxy/haproxy.cfg"), "planted").unwrap();
    let changed = row(&old, &["doctor"]);
    assert!(changed.contains("BROKEN") && changed.contains("haproxy.cfg was changed"), "{changed}");
    assert!(row(&old, &["doctor", "--install", "haproxy"]).contains(" found "));

    let new = row(&with_program(&fixture, "haproxy", "2.6"), &["doctor"]);
    assert!(new.contains(" found ") && new.contains("own/haproxy"), "{new}");
}

#[test]
fn where_no_package_can_be_unpacked_the_error_names_the_ways_out() {
    let fixture = Fixture::new();
    let path = with_program(&fixture, "haproxy", "2.5.9");
    let own = path.split(':').next().unwrap();
    let way = "install haproxy 2.6 or newer with the system's package manager, or put it on PATH";
    let (code, _, errors) = ended(&fixture.install(&["haproxy"]).env("PATH", own).output().unwrap());
    assert!(code == Some(1) && errors.contains(way), "{errors}");
    for (text, told) in [("exit 100", way), ("exit 0", "brings no HAProxy 2.6 or newer")] {
        for name in ["apt-get", "dpkg-deb"] {
            let program = std::path::Path::new(own).join(name);
            let text = if text == "exit 0" && name == "apt-get" {
                "#!/bin/sh\ncase $* in *' download '* | 'download '*) : >haproxy.deb ;; esac\n".to_owned()
            } else {
                format!("#!/bin/sh\n{text}\n")
            };
            fs::write(&program, text).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let (code, _, errors) = ended(&fixture.install(&["haproxy"]).env("PATH", &path).output().unwrap());
        assert!(code == Some(1) && errors.contains(told) && errors.contains(way), "{errors}");
        assert!(!fixture.tools().iter().any(|name| name.contains("haproxy")), "{:?}", fixture.tools());
    }
}

/// The cache is there, and nothing can be written into it.
const ON_A_READ_ONLY_CACHE: &str = r#"
    mount --bind "$FLOWSHIP_CACHE" "$FLOWSHIP_CACHE" && mount -o remount,bind,ro "$FLOWSHIP_CACHE" || exit 9
    if touch "$FLOWSHIP_CACHE/x" 2>/dev/null; then exit 9; fi
    "$@"
"#;

#[test]
fn a_read_only_cache_serves_what_is_in_it_verified_and_is_named_when_something_is_missing() {
    let fixture = Fixture::new();
    assert!(fixture.install(&["zizmor"]).output().unwrap().status.success());
    for remembered in [true, false] {
        if !remembered {
            fs::remove_dir_all(fixture.cache().join("verified")).unwrap();
        }
        let Some(output) = shell(Apart::Mounts, ON_A_READ_ONLY_CACHE, &fixture.install(&["zizmor"])) else {
            return eprintln!("this machine allows no mount of one's own");
        };
        let (code, table, errors) = ended(&output);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{table}");
    }
    let output = shell(Apart::Mounts, ON_A_READ_ONLY_CACHE, &fixture.install(&["dbmate"])).unwrap();
    let (code, _, errors) = ended(&output);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("Read-only file system") && errors.contains("FLOWSHIP_CACHE"), "{errors}");

    replace(&entry(&fixture, "zizmor-").join("bin/zizmor"), b"#!/bin/sh\nexit 0\n");
    let output = shell(Apart::Mounts, ON_A_READ_ONLY_CACHE, &fixture.install(&["zizmor"])).unwrap();
    let (code, _, errors) = ended(&output);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("Read-only file system") && errors.contains("FLOWSHIP_CACHE"), "{errors}");
}

/// The cache is a disk of its own with room for `$ROOM` KiB more; then it has room again.
const ON_A_FULL_DISK: &str = r#"
    mount -t tmpfs -o size=24m none "$FLOWSHIP_CACHE" || exit 9
    "$@" pip >&2 || exit 9
    dd if=/dev/zero of="$FLOWSHIP_CACHE/others" bs=1k 2>/dev/null
    truncate -s "-${ROOM}k" "$FLOWSHIP_CACHE/others"
    "$@" zizmor; code=$?
    ls -A "$FLOWSHIP_CACHE/tools" | grep zizmor && exit 7
    rm "$FLOWSHIP_CACHE/others"
    "$@" zizmor >&2 || exit 8
    exit "$code"
"#;

#[test]
fn a_full_disk_leaves_nothing_that_could_be_run_and_with_more_room_it_is_installed() {
    for room in [4, 24] {
        let fixture = Fixture::new();
        fs::create_dir_all(fixture.cache()).unwrap();
        let mut command = fixture.install(&[]);
        command.env("ROOM", room.to_string());
        let Some(output) = shell(Apart::Mounts, ON_A_FULL_DISK, &command) else {
            return eprintln!("this machine allows no mount of one's own");
        };
        let (code, _, errors) = ended(&output);
        assert_eq!(code, Some(1), "{room} KiB: {errors}");
        assert!(errors.contains("No space left on device"), "{room} KiB: {errors}");
    }
}
