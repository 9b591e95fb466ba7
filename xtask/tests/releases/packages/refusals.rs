//! Releases and invocations that are refused, each with what is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use flate2::GzBuilder;
use tar::{EntryType, Header};

use super::fixture::{BUNDLE, Key, Repository, noise, text};
use super::made::{Made, gzip};

/// A release, and who signed it.
pub struct Signed {
    pub repository: Repository,
    pub key: Key,
}

pub fn signed() -> Signed {
    let key = Key::new();
    Signed { repository: Repository::new().packaged(&key), key }
}

#[test]
fn one_flipped_byte_of_any_file_is_seen() {
    let Signed { repository, key } = signed();
    let good = Made::of(&repository);
    for (name, bytes) in super::fixture::files(good.folder.path()) {
        let made = Made::of(&repository);
        let mut flipped = bytes.clone();
        let at = flipped.len() / 2;
        flipped[at] ^= 1;
        made.write(&name, &flipped);
        made.refused(&repository, &key, "✗");
        made.write(&name, &bytes[..bytes.len() - 1]);
        if name != "SHA256SUMS.minisig" {
            made.refused(&repository, &key, "✗");
        }
        fs::remove_file(made.path(&name)).unwrap();
        made.refused(&repository, &key, &name);
    }
    let output = good.verify(&repository, &["--public-key", key.public.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn only_the_trusted_key_counts() {
    let Signed { repository, key } = signed();
    let other = Key::new();
    let made = Made::of(&repository);
    made.refused(&repository, &other, "different from public key");
    made.sign(&other);
    made.refused(&repository, &key, "different from public key");
    // The comment of another release, with a signature of the same key.
    let made = Made::of(&repository);
    made.edit("manifest.json", |manifest| manifest["release"]["version"] = "9.9.9".into());
    made.sign(&key);
    let signature = made.read("SHA256SUMS.minisig");
    let made = Made::of(&repository);
    made.write("SHA256SUMS.minisig", signature);
    made.refused(&repository, &key, "flowship 9.9.9 of commit");
    fs::remove_file(made.path("SHA256SUMS.minisig")).unwrap();
    made.refused(&repository, &key, "the release is not signed");
    let output = made.verify(&repository, &["--unsigned"]);
    assert!(output.status.success() && text(&output).contains("NOT CHECKED"), "{}", text(&output));

    let output = made.verify(&repository, &[]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("no public key: this program has none built in"), "{}", text(&output));
}

#[test]
fn a_downgrade_is_refused() {
    let Signed { repository, key } = signed();
    let made = Made::of(&repository);
    let at = |installed: &str| {
        made.verify(&repository, &["--public-key", key.public.to_str().unwrap(), "--installed", installed])
    };
    assert!(
        at("1.2.2").status.success() && at("1.2.3").status.success() && at("1.2.3-rc.1").status.success()
    );
    let output = at("1.10.0");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("a downgrade: 1.2.3 is older than the installed 1.10.0"),
        "{}",
        text(&output)
    );
    let manifest: serde_json::Value = serde_json::from_slice(&made.read("manifest.json")).unwrap();
    let mut release = manifest["release"].clone();
    release["version"] = "2.0.0".into();
    let file = repository.folder.path().join("release.json");
    fs::write(&file, release.to_string()).unwrap();
    assert_eq!(at(file.to_str().unwrap()).status.code(), Some(1));
    assert_eq!(at("newest").status.code(), Some(2));
}

#[test]
fn statements_that_do_not_fit_are_refused_even_when_signed() {
    let Signed { repository, key } = signed();
    let refused = |change: &dyn Fn(&Made), part: &str| {
        let made = Made::of(&repository);
        change(&made);
        made.fit_sums();
        made.sign(&key);
        made.refused(&repository, &key, part);
    };
    refused(&|made| made.edit("manifest.json", |it| it["artifacts"][0]["bytes"] = 1.into()), "its size of");
    refused(&|made| made.edit("manifest.json", |it| it["schema"] = 2.into()), "its schema is 2");
    let less = |made: &Made| {
        made.edit("manifest.json", |it| {
            it["artifacts"].as_array_mut().unwrap().remove(0);
        });
    };
    refused(&less, "does not name");
    let version = |made: &Made| {
        made.edit("manifest.json", |it| it["release"]["flows_rev"] = "0".repeat(64).into());
        made.fit_provenance();
    };
    refused(&version, "differs from manifest.json");
    let subject = |made: &Made| {
        made.edit("provenance.json", |it| {
            it["subject"].as_array_mut().unwrap().remove(0);
        });
    };
    refused(&subject, "no subject is");
    let commit = |made: &Made| {
        made.edit("provenance.json", |it| {
            let definition = &mut it["predicate"]["buildDefinition"];
            definition["resolvedDependencies"][0]["digest"]["gitCommit"] = "0".repeat(40).into();
        });
    };
    refused(&commit, "the commit is");
    let lock = |made: &Made| {
        made.edit("provenance.json", |it| {
            let definition = &mut it["predicate"]["buildDefinition"];
            definition["resolvedDependencies"][1]["digest"]["sha256"] = "0".repeat(64).into();
        });
    };
    refused(&lock, "differs from the bundle's");

    let sealed = |change: &dyn Fn(&Made), part: &str| {
        let made = Made::of(&repository);
        change(&made);
        made.seal(&key);
        made.refused(&repository, &key, part);
    };
    let less = |made: &Made| {
        made.edit("flowship-1.2.3-rust.cdx.json", |it| {
            it["components"].as_array_mut().unwrap().remove(0);
        });
    };
    sealed(&less, "pkg:cargo/anyhow@1.0.0 is locked, but not listed");
    let more = |made: &Made| {
        made.edit("flowship-1.2.3-npm.cdx.json", |it| it["components"][0]["version"] = "6.6.6".into());
    };
    sealed(&more, "is listed differently than it is locked");
    sealed(
        &|made| made.edit("evidence.json", |it| it["commit"] = "0".repeat(40).into()),
        "it is of the commit 0000",
    );
    let made = Made::of(&repository);
    made.write("extra.txt", "hello");
    made.refused(&repository, &key, "extra.txt: not part of the release");
}

#[test]
fn archives_that_are_not_ours_are_refused_even_when_signed() {
    let Signed { repository, key } = signed();
    let tar = Made::of(&repository).tar();
    let end = tar.len() - 1024;
    let mtime = Header::from_byte_slice(&tar[..512]).mtime().unwrap();
    let entry = |kind: EntryType, path: &str, link: &str| {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Symlink { 0o777 } else { 0o644 });
        header.set_mtime(mtime);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        header.set_cksum();
        header
    };
    let top = "flowship-1.2.3";
    let with = |header: &Header| [&tar[..end], header.as_bytes(), &[0; 1024]].concat();
    let file = |path: &str| with(&entry(EntryType::Regular, path, ""));
    let flipped = |at: usize| {
        let mut bytes = tar.clone();
        bytes[at] ^= 1;
        bytes
    };
    let setuid = {
        let mut header = entry(EntryType::Regular, "flowship-1.2.3/zzz", "");
        header.set_mode(0o4755);
        header.set_cksum();
        with(&header)
    };
    for (bytes, part) in [
        (file(&format!("{top}/../../etc/cron.d/x")), "a path that leaves the archive's folder"),
        (file("/etc/passwd"), "an absolute path"),
        (file("elsewhere"), "not below flowship-1.2.3/"),
        (file(&format!("{top}/release.json")), "is there twice"),
        (
            file(&format!("{top}/\u{fb02}ows")),
            "some file systems cannot distinguish it from flowship-1.2.3/flows",
        ),
        (file(&format!("{top}/zu\u{308}")), "normal form C"),
        (file(&format!("{top}/z\u{202e}gpj")), r"z\u{202e}gpj: an invisible character"),
        (file(&format!("{top}/z\u{1b}[31m")), r"z\u{1b}[31m: an invisible character"),
        (file(&format!("{top}/z\n✓ bundle")), r"z\u{a}✓ bundle: an invisible character"),
        (file(&format!("{top}/z\\..\\x")), "a backslash"),
        (file(&format!("{top}/-rf")), "begins with a dash"),
        (file(&format!("{top}/z ")), "ends with a full stop or a blank"),
        (file(&format!("{top}/z.")), "ends with a full stop or a blank"),
        (file(&format!("{top}/zzz/x")), "which is not a folder of the archive"),
        (setuid, "its owner, permissions, time"),
        (
            with(&entry(EntryType::Symlink, &format!("{top}/zzz"), "/etc/passwd")),
            "leaves the archive's folder",
        ),
        (with(&entry(EntryType::Symlink, &format!("{top}/zzz"), "../../etc")), "leaves the archive's folder"),
        (with(&entry(EntryType::Link, &format!("{top}/zzz"), "/etc/shadow")), "a special entry"),
        (with(&entry(EntryType::Char, &format!("{top}/zzz"), "")), "a special entry"),
        (with(&entry(EntryType::Fifo, &format!("{top}/zzz"), "")), "a special entry"),
        (with(&entry(EntryType::XGlobalHeader, &format!("{top}/zzz"), "")), "a special entry"),
        (tar[..end].to_vec(), "damaged or truncated"),
        (tar[..tar.len() / 2].to_vec(), "damaged or truncated"),
        ([&tar[..], b"more"].concat(), "there are data after the end"),
        (flipped(0), "checksum of an entry's header is wrong"),
    ] {
        let made = Made::of(&repository);
        made.put_tar(&bytes);
        made.seal(&key);
        made.refused(&repository, &key, part);
    }
    // The gzip itself: cut short, with another sum of its contents, with something behind it, and in forms that gzip allows.
    let whole = Made::of(&repository).read(BUNDLE);
    let mut changed = whole.clone();
    // The sum and the length are its last eight bytes.
    let at = changed.len() - 8;
    changed[at] ^= 1;
    let (first, second) = tar.split_at(1024);
    for bytes in [
        whole[..whole.len() - 9].to_vec(),
        changed,
        [&whole[..], b"more"].concat(),
        [gzip(GzBuilder::new(), first), gzip(GzBuilder::new(), second)].concat(),
        gzip(GzBuilder::new().filename("bundle.tar"), &tar),
        gzip(GzBuilder::new().mtime(1), &tar),
        gzip(GzBuilder::new().comment("x"), &tar),
    ] {
        let made = Made::of(&repository);
        made.write(BUNDLE, bytes);
        made.seal(&key);
        made.refused(&repository, &key, "damaged or truncated");
    }
}

#[test]
fn problems_are_reported_before_anything_is_packaged() {
    let repository = Repository::new();
    let key = Key::new();
    let refused = |arguments: &[&str], part: &str| {
        let output = repository.package(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(part), "{part}: {}", text(&output));
        assert!(!repository.made().exists());
    };
    refused(&[], "--key <FILE>");
    let output = repository.xtask(&["release", "package", "--unsigned"]).output().unwrap();
    assert!(
        output.status.code() == Some(2) && text(&output).contains("--images <IMAGES>"),
        "{}",
        text(&output)
    );
    let path = key.secret.to_str().unwrap();
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&key.secret, fs::Permissions::from_mode(mode)).unwrap();
        refused(&["--key", path], "others can read or write it");
    }
    refused(&["--key", repository.path("README.md").to_str().unwrap()], "README.md");
    refused(&["--key", "/nonexistent/key"], "/nonexistent/key");
    repository.write("docs/guide.md", "# Changed\n");
    repository.write("stray", "");
    refused(&["--unsigned"], "docs/guide.md");
    refused(&["--unsigned"], "?? stray");
    for (manifest, part) in [
        ("[workspace]\n", "Cargo.toml: expected `version = \"1.2.0\"`"),
        ("[workspace.package]\nversion = \"1.2\"\n", "Cargo.toml: version `1.2` is no"),
        ("[workspace.package]\nversion = \"../../1.2.0\"\n", "Cargo.toml: version `../../1.2.0` is no"),
    ] {
        repository.write("Cargo.toml", manifest);
        repository.commit("Declare another version");
        refused(&["--unsigned"], part);
    }
}

#[test]
fn images_without_an_engine_are_a_failure() {
    let repository = Repository::new();
    let programs = tempfile::tempdir().unwrap();
    let git = which::which("git").unwrap();
    std::os::unix::fs::symlink(git, programs.path().join("git")).unwrap();
    let mut command =
        repository.xtask(&["release", "package", "--images", "all", "--unsigned", "--operator-binary"]);
    let output = command.arg(repository.operator()).env("PATH", programs.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("--images all:"), "{}", text(&output));
    assert!(!repository.made().exists());
}

#[test]
fn a_key_with_a_password_signs() {
    let pair = minisign::KeyPair::generate_encrypted_keypair(Some("open sesame".to_owned())).unwrap();
    // The box holds the key as the password has made it.
    let folder = tempfile::tempdir().unwrap();
    let own = |name: &str, contents: &str| {
        let path = folder.path().join(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let key = own("key", &pair.sk.to_box(None).unwrap().to_string());
    let public = pair.pk.to_base64();
    let repository = Repository::with_operator(&noise(10));
    let package = |password: &std::path::Path| {
        let mut command = repository.package(&["--key", key.to_str().unwrap(), "--password-file"]);
        command.arg(password).output().unwrap()
    };
    let wrong = package(&own("wrong", "sesame\n"));
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
    assert!(text(&wrong).contains("is the password right?"), "{}", text(&wrong));
    let good = package(&own("right", "open sesame\n"));
    assert!(good.status.success(), "{}", text(&good));
    assert!(!text(&good).contains("open sesame"));
    let output = Made::of(&repository).verify(&repository, &["--public-key", &public]);
    assert!(output.status.success(), "{}", text(&output));
}
