//! Operators' machines of several architectures: one bundle, and the program for the others beside it.

// Releases are packaged on x86_64.
#![cfg(target_arch = "x86_64")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::fixture::{Key, Repository, files, noise, text};
use super::made::{Made, sha256};

const OWN: &str = "x86_64-unknown-linux-gnu";
const OTHER: &str = "aarch64-unknown-linux-gnu";

fn archive_of(target: &str) -> String {
    format!("flowship-1.2.3-operator-{target}.tar.gz")
}

/// What looks like a program for the machine with this number of the ELF format.
fn program(machine: u16) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
    bytes.extend(machine.to_le_bytes());
    bytes.extend(noise(100_000));
    bytes
}

/// A folder with the programs that other machines have made.
fn programs(repository: &Repository, programs: &[(&str, u16)]) -> PathBuf {
    let folder = repository.folder.path().join("operators");
    fs::create_dir_all(&folder).unwrap();
    for (target, machine) in programs {
        let bytes = program(*machine);
        fs::write(folder.join(format!("flowship-{target}")), &bytes).unwrap();
        let told = serde_json::json!({
            "target": target, "commit": repository.git(&["rev-parse", "HEAD"]), "sha256": sha256(&bytes),
            "tools": { "rustc": "rustc 1.95.0" }
        });
        fs::write(folder.join(format!("flowship-{target}.json")), told.to_string()).unwrap();
    }
    folder
}

fn packaged(key: &Key) -> Repository {
    let repository = Repository::new();
    let folder = programs(&repository, &[(OTHER, 183)]);
    let arguments = ["--key", key.secret.to_str().unwrap(), "--operators", folder.to_str().unwrap()];
    let output = repository.package(&arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(!text(&output).contains("is missing: build it there"), "{}", text(&output));
    assert!(
        text(&output).contains("NO EVIDENCE: no gate has passed on this commit here"),
        "{}",
        text(&output)
    );
    repository
}

#[test]
fn a_program_for_another_machine_takes_the_place_of_the_bundles() {
    let key = Key::new();
    let repository = packaged(&key);
    let folder = repository.folder.path().join("unpacked");
    fs::create_dir(&folder).unwrap();
    for archive in ["flowship-1.2.3-bundle.tar.gz".to_owned(), archive_of(OTHER)] {
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(repository.made().join(archive)).arg("-C").arg(&folder);
        assert!(tar.status().unwrap().success());
    }
    assert_eq!(fs::read(folder.join("flowship-1.2.3/flowship")).unwrap(), program(183));

    let made = Made::of(&repository);
    let public = key.public.to_str().unwrap();
    let output = made.verify(&repository, &["--public-key", public]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("✓ programs for other machines"), "{}", text(&output));
    let one = made.path(&archive_of(OTHER));
    let one = ["release", "verify", one.to_str().unwrap(), "--public-key", public];
    let output = repository.xtask(&one).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));

    let mut rebuild = repository.xtask(&["release", "verify", "--rebuild", "--public-key", public]);
    let output = rebuild.arg("--operator-binary").arg(repository.operator()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let told = format!("NOT BUILT AGAIN: the program for {OTHER}");
    assert!(text(&output).contains("✓ rebuild") && text(&output).contains(&told), "{}", text(&output));

    // The same release without it is another one.
    let without = repository.cloned("r");
    let output = without.package(&["--unsigned"]).output().unwrap();
    assert!(text(&output).contains(&format!("the program for {OTHER} is missing")), "{}", text(&output));
    assert!(!files(&without.made()).iter().any(|(name, _)| *name == archive_of(OTHER)));
}

#[test]
fn what_is_no_program_for_such_a_machine_is_refused() {
    let repository = Repository::new();
    let refused = |contents: &[(&str, u16)], part: &str| {
        let folder = programs(&repository, contents);
        let arguments = ["--unsigned", "--operators", folder.to_str().unwrap()];
        let output = repository.package(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(part), "{part}: {}", text(&output));
        assert!(!repository.made().exists());
    };
    refused(&[], "contains no program for another kind of machine; expected flowship-x86_64");
    refused(&[(OTHER, 62)], &format!("flowship-{OTHER}: is for the ELF machine 62"));
    let folder = programs(&repository, &[(OTHER, 183)]);
    let arguments = ["--unsigned", "--operators", folder.to_str().unwrap()];
    let now = |part: &str| {
        let output = repository.package(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(part), "{part}: {}", text(&output));
    };
    fs::write(folder.join(format!("flowship-{OTHER}")), [program(183), vec![0]].concat()).unwrap();
    now("was built with SHA-256");
    programs(&repository, &[(OTHER, 183)]);
    repository.commit("Go on");
    now("was built with commit");
    fs::remove_file(folder.join(format!("flowship-{OTHER}.json"))).unwrap();
    now("expected the file that `cargo xtask release operator` writes beside the program");
}

#[test]
fn an_archive_with_anything_but_the_program_is_refused_even_when_signed() {
    let key = Key::new();
    let repository = packaged(&key);
    let bundle = Made::of(&repository).read("flowship-1.2.3-bundle.tar.gz");
    let made = Made::of(&repository);
    made.write(&archive_of(OTHER), bundle);
    made.seal(&key);
    made.refused(&repository, &key, "expected only the program flowship");

    let made = Made::of(&repository);
    let bytes = made.read(&archive_of(OTHER));
    made.write(&archive_of(OTHER), &bytes[..bytes.len() / 2]);
    made.seal(&key);
    made.refused(&repository, &key, "damaged or truncated");

    let made = Made::of(&repository);
    made.edit("manifest.json", |manifest| {
        manifest["release"]["operators"][0]["sha256"] = "0".repeat(64).into();
    });
    made.put_tar(&with_operator_sum(&made.tar(), &"0".repeat(64)));
    made.seal(&key);
    made.refused(&repository, &key, "another program than release.json lists");

    let made = Made::of(&repository);
    rename(&made, &archive_of(OTHER), &archive_of(OWN));
    made.seal(&key);
    made.refused(&repository, &key, "for another machine than the bundle's");
}

#[test]
fn on_the_other_machine_its_own_program_is_built_again() {
    let key = Key::new();
    let repository = packaged(&key);
    let made = Made::of(&repository);
    // As if this machine were the other one: the same release with the names exchanged.
    rename(&made, &archive_of(OTHER), &archive_of(OWN));
    made.edit("manifest.json", |manifest| {
        manifest["release"]["target"] = OTHER.into();
        manifest["release"]["operators"][0]["target"] = OWN.into();
    });
    made.put_tar(&with_target(&made.tar()));
    made.seal(&key);
    let rebuild = |program: &[u8]| {
        let file = repository.folder.path().join("built");
        fs::write(&file, program).unwrap();
        let public = key.public.to_str().unwrap();
        let mut command = repository.xtask(&["release", "verify", "--rebuild", "--public-key", public]);
        command.arg(made.folder.path()).arg("--operator-binary").arg(file).output().unwrap()
    };
    let output = rebuild(&program(183));
    assert!(output.status.success(), "{}", text(&output));
    let told = format!("NOT BUILT AGAIN: all but {}: for {OTHER}", archive_of(OWN));
    assert!(text(&output).contains(&told), "{}", text(&output));
    let output = rebuild(&program(62));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("the program differs from byte 18"), "{}", text(&output));
}

/// Gives a file of a release another name, everywhere.
fn rename(made: &Made, from: &str, to: &str) {
    fs::rename(made.path(from), made.path(to)).unwrap();
    for file in ["manifest.json", "provenance.json", "SHA256SUMS"] {
        let text = String::from_utf8(made.read(file)).unwrap();
        made.write(file, text.replace(from, to));
    }
}

/// The bundle with a `release.json` that says it is for the other machine.
fn with_target(tar: &[u8]) -> Vec<u8> {
    changed(tar, |text| text.replace(OTHER, "@").replace(OWN, OTHER).replace("@", OWN))
}

/// The bundle with a `release.json` that tells of another program for the other machine.
fn with_operator_sum(tar: &[u8], sum: &str) -> Vec<u8> {
    changed(tar, |text| text.replace(&sha256(&program(183)), sum))
}

fn changed(tar: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let mut archive = tar::Archive::new(tar);
    let mut changed = tar::Builder::new(Vec::new());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let mut contents = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut contents).unwrap();
        if entry.path().unwrap().ends_with("release.json") {
            contents = change(std::str::from_utf8(&contents).unwrap()).into_bytes();
            header.set_size(contents.len() as u64);
            header.set_cksum();
        }
        changed.append(&header, &contents[..]).unwrap();
    }
    changed.into_inner().unwrap()
}
