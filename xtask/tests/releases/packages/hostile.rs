//! Files of other kinds, huge ones and names that deceive, in the place of everything that a release command reads.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::fixture::{Key, Repository, text};
use super::made::Made;
use super::refusals::{Signed, signed};

/// What is said of it, and what puts it there.
type Other<'a> = (&'static str, Box<dyn Fn() + 'a>);

/// What may lie in the place of a file that is read.
fn in_the_place_of(path: &Path) -> [Other<'_>; 5] {
    let gone =
        move || if path.is_dir() { fs::remove_dir(path).unwrap() } else { fs::remove_file(path).unwrap() };
    [
        (
            "is a symbolic link",
            Box::new(move || {
                gone();
                symlink("/dev/zero", path).unwrap();
            }),
        ),
        (
            "is a symbolic link",
            Box::new(move || {
                let aside = path.with_extension("aside");
                fs::write(&aside, "x").unwrap();
                gone();
                symlink(aside, path).unwrap();
            }),
        ),
        (
            "is a FIFO",
            Box::new(move || {
                gone();
                mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
            }),
        ),
        (
            "is a folder",
            Box::new(move || {
                gone();
                fs::create_dir(path).unwrap();
            }),
        ),
        (
            "is too large",
            Box::new(move || {
                gone();
                fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
            }),
        ),
    ]
}

/// Within half a GiB of memory, and ended if it hangs.
fn bounded(command: &Command) -> Output {
    let mut limited = Command::new("timeout");
    limited.args(["--signal=KILL", "60", "prlimit", "--as=536870912"]).arg(command.get_program());
    limited.args(command.get_args()).current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        assert!(value.is_none(), "nothing is set for it");
        limited.env_remove(name);
    }
    limited.output().unwrap()
}

#[test]
fn only_regular_files_of_a_bounded_size_are_read() {
    let Signed { repository, key } = signed();
    let public = key.public.to_str().unwrap();
    let made = Made::of(&repository);
    let sealed = super::fixture::files(made.folder.path());
    for (name, _) in &sealed {
        let path = made.path(name);
        for (part, put) in in_the_place_of(&path) {
            put();
            let mut verify = repository.xtask(&["release", "verify", "--public-key", public]);
            let output = bounded(verify.arg(made.folder.path()));
            assert_eq!(output.status.code(), Some(1), "{name} {part}: {}", text(&output));
            assert!(
                text(&output).contains(name) && text(&output).contains(part),
                "{part}: {}",
                text(&output)
            );
        }
        fs::remove_file(&path).unwrap();
        for entry in fs::read_dir(made.folder.path()).unwrap() {
            let entry = entry.unwrap().path();
            if entry.extension().is_some_and(|ending| ending == "aside") {
                fs::remove_file(entry).unwrap();
            }
        }
        for (name, bytes) in &sealed {
            made.write(name, bytes);
        }
    }
}

#[test]
fn keys_and_other_files_that_are_given_are_named_when_they_are_none() {
    let Signed { repository, key } = signed();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("given");
    let (given, secret) = (file.to_str().unwrap(), key.secret.to_str().unwrap());
    let release = repository.made();
    let release = release.to_str().unwrap();
    let programs = format!(
        "flowship-{}-unknown-linux-gnu",
        if cfg!(target_arch = "x86_64") { "aarch64" } else { "x86_64" }
    );
    let operators = folder.path().join("operators");
    fs::create_dir(&operators).unwrap();
    let operator = operators.join(programs);
    let package = ["release", "package", "--images", "none", "--operator-binary", secret, "--unsigned"];
    let package = |more: &[&str]| [&package[..], more].concat().into_iter().map(str::to_owned).collect();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let cases: Vec<(&Path, Vec<String>)> = vec![
        (&file, words(&["release", "verify", release, "--public-key", given])),
        (&file, words(&["release", "verify", release, "--unsigned", "--installed", given])),
        (&file, words(&["release", "sign", release, "--key", given])),
        (&file, words(&["release", "sign", release, "--key", secret, "--password-file", given])),
        (
            &file,
            words(&["release", "key", folder.path().join("new").to_str().unwrap(), "--password-file", given]),
        ),
        (&file, words(&["release", "publish", release, "--public-key", given])),
        (&file, package(&["--evidence", given])),
        (&operator, package(&["--operators", operators.to_str().unwrap()])),
    ];
    for (path, arguments) in &cases {
        let refused = |part: &str| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = bounded(&repository.xtask(&arguments));
            let told = text(&output);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
            let named = told.contains(path.to_str().unwrap()) && told.contains(part);
            assert!(named, "{arguments:?}: {part}: {told}");
        };
        fs::write(path, "").unwrap();
        for (part, put) in in_the_place_of(path) {
            put();
            if part != "is too large" || !arguments.contains(&"--operators".to_owned()) {
                refused(part);
            }
        }
        fs::write(path, [0xff, 0, 1]).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        if !arguments.contains(&"--evidence".to_owned()) {
            refused("");
        }
        fs::remove_file(path).unwrap();
        if !arguments.contains(&"--operators".to_owned()) {
            refused("there is no such file");
        }
    }
}

#[test]
fn names_that_would_deceive_are_neither_packed_nor_shown() {
    let repository = Repository::new();
    let refused = |name: &str, part: &str| {
        let at = format!("docs/{name}");
        repository.write(&at, "x");
        repository.commit("Add a file");
        let output = repository.package(&["--unsigned"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(
            text(&output).contains(part) && !text(&output).contains('\u{1b}'),
            "{part}: {}",
            text(&output)
        );
        assert!(!repository.made().exists());
        fs::remove_file(repository.path(&at)).unwrap();
        repository.commit("Remove it");
    };
    refused("-rf", "docs/-rf: a name that begins with a dash");
    refused("Guide.md", "docs/guide.md: some file systems cannot distinguish it from docs/Guide.md");
    refused("a\u{1b}[31m", r"docs/a\u{1b}[31m: an invisible character");

    let made = Made::of(&Repository::new().packaged(&Key::new()));
    made.write("x\u{1b}[31m\n✓ all", "");
    let output = made.verify(&repository, &["--unsigned"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let told = r"✗ sums: x\u{1b}[31m\u{a}✓ all: not part of the release";
    assert!(text(&output).contains(told), "{}", text(&output));
    let absent = "absent\u{1b}[31m";
    let output = repository.xtask(&["release", "verify", absent, "--unsigned"]).output().unwrap();
    assert!(text(&output).contains(r"absent\u{1b}[31m: no such"), "{}", text(&output));
}

#[test]
fn where_no_temporary_file_can_be_made_the_cause_is_named_and_nothing_is_done() {
    let Signed { repository, key: _ } = signed();
    repository.write("CHANGELOG.md", "## Unreleased\n\n- New.\n");
    repository.commit("Say what is new");
    let file = repository.path("README.md");
    let (made, prepare) = (repository.made(), ["release", "prepare", "--version", "1.2.4"]);
    let rebuild = ["release", "verify", made.to_str().unwrap(), "--unsigned", "--rebuild"];
    let absent = repository.folder.path().join("absent");
    for place in [absent.to_str().unwrap(), "/proc", file.to_str().unwrap()] {
        for arguments in [&prepare[..], &rebuild[..]] {
            let output = repository.xtask(arguments).env("TMPDIR", place).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{}", text(&output));
            let told = format!("error: TMPDIR is {place}, but no file can be created there: ");
            assert!(text(&output).contains(&told) && text(&output).contains("unset it"), "{}", text(&output));
        }
        assert_eq!(repository.git(&["status", "--porcelain"]), "", "nothing was written");
    }
}
