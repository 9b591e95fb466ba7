//! Container images as part of a release, with a client that plays an engine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use serde_json::{Value, json};

use crate::fixture::{Key, Repository, text};
use crate::made::{Made, sha256};

const ARCHIVE: &str = "flowship-1.2.3-image-node-red.oci.tar";

/// A repository with one built image of production and one of development.
struct Engine {
    repository: Repository,
    key: Key,
    id: String,
}

impl Engine {
    fn new() -> Self {
        let (repository, key) = (Repository::new(), Key::new());
        let mut layer = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(2);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        layer.append_data(&mut header, "app", &b"hi"[..]).unwrap();
        let layer = layer.into_inner().unwrap();
        let config =
            json!({ "os": "linux", "architecture": "amd64", "config": { "Cmd": ["/app"] } }).to_string();
        let id = format!("sha256:{}", sha256(config.as_bytes()));
        let manifest = json!([{ "Config": "config.json", "RepoTags": ["flowship/node-red:local"], "Layers": ["layer.tar"] }]);
        let mut saved = tar::Builder::new(Vec::new());
        let manifest = manifest.to_string();
        for (name, bytes) in [
            ("manifest.json", manifest.as_bytes()),
            ("config.json", config.as_bytes()),
            ("layer.tar", &layer),
        ] {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            saved.append_data(&mut header, name, bytes).unwrap();
        }
        let engine = Self { repository, key, id };
        let place = engine.repository.folder.path();
        fs::write(place.join("saved.tar"), saved.into_inner().unwrap()).unwrap();
        let script = format!(
            "#!/bin/sh\ncase \"$1 $2\" in\n'--version '*) echo 'Docker version 20.10.24, build x';;\n'info --format') printf \
             '20.10\\toverlay2\\n';;\n'image inspect') cat {0}/inspect.json;;\n'image save') cp {0}/saved.tar \"$4\";;\n*) exit \
             1;;\nesac\n",
            place.display()
        );
        fs::create_dir(place.join("bin")).unwrap();
        fs::write(place.join("bin/docker"), script).unwrap();
        fs::set_permissions(place.join("bin/docker"), fs::Permissions::from_mode(0o755)).unwrap();
        let built = |target: &str, dockerfile: &str| {
            json!({ "target": target, "dockerfile": dockerfile, "tag": format!("flowship/{target}:local"),
                    "image_id": engine.id, "content_digest": "sha256:0", "bytes": 2, "layers": 1, "stand_ins": ["node:24"] })
        };
        let built = json!({ "images": [
            built("llm-stand-in", "ops/docker/dev/Dockerfile"),
            built("node-red", "ops/docker/prod/Dockerfile"),
        ] });
        engine.repository.write(".flowship/images/built.json", &built.to_string());
        engine
    }

    /// What the engine says of the image.
    fn says(&self, id: &str, revision: &str) {
        let told =
            json!([{ "Id": id, "Config": { "Labels": { "org.opencontainers.image.revision": revision } } }]);
        fs::write(self.repository.folder.path().join("inspect.json"), told.to_string()).unwrap();
    }

    fn package(&self) -> Output {
        let repository = &self.repository;
        let mut command = repository.xtask(&["release", "package", "--images", "all", "--key"]);
        command.arg(&self.key.secret).arg("--operator-binary").arg(repository.operator());
        let before = std::env::var("PATH").unwrap();
        let path = format!("{}:{before}", repository.folder.path().join("bin").display());
        command.env("PATH", path).output().unwrap()
    }
}

#[test]
fn images_of_this_commit_become_part_of_it_and_a_changed_one_is_refused() {
    let engine = Engine::new();
    engine.says(&engine.id, &engine.repository.git(&["rev-parse", "HEAD"]));
    let output = engine.package();
    assert!(output.status.success(), "{}", text(&output));
    let made = Made::of(&engine.repository);
    let manifest: Value = serde_json::from_slice(&made.read("manifest.json")).unwrap();
    let images: Vec<_> = manifest["release"]["images"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|image| image["archive"].is_string())
        .map(|image| (image["reference"].as_str().unwrap(), image["archive"].as_str().unwrap()))
        .collect();
    assert_eq!(images, [("flowship/node-red:local", ARCHIVE)], "what only developers run is no part of it");
    let output = made.verify(&engine.repository, &["--public-key", engine.key.public.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output));

    // Another image in the same archive, sealed by whoever has the key.
    let bytes = made.read(ARCHIVE);
    let index = tar::Archive::new(&bytes[..]);
    let mut other = tar::Builder::new(Vec::new());
    let mut index = index;
    for entry in index.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        let mut contents = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut contents).unwrap();
        if path.to_str() == Some("index.json") {
            let mut value: Value = serde_json::from_slice(&contents).unwrap();
            value["manifests"][0]["digest"] = format!("sha256:{}", "0".repeat(64)).into();
            contents = value.to_string().into_bytes();
        }
        let mut header = tar::Header::new_ustar();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        other.append_data(&mut header, path, &contents[..]).unwrap();
    }
    made.write(ARCHIVE, other.into_inner().unwrap());
    made.seal(&engine.key);
    made.refused(&engine.repository, &engine.key, "lacks the manifest sha256:0000");
}

#[test]
fn images_of_another_commit_or_that_were_built_over_are_refused() {
    let engine = Engine::new();
    let commit = engine.repository.git(&["rev-parse", "HEAD"]);
    let other = format!("sha256:{}", "1".repeat(64));
    for (id, revision, part) in [
        (&engine.id, format!("{commit}-dirty"), "it was built from"),
        (&engine.id, "a".repeat(40), "it was built from aaaa"),
        (&engine.id, String::new(), "it was built from"),
        (&other, commit, "is not the one that was built here"),
    ] {
        engine.says(id, &revision);
        let output = engine.package();
        assert_eq!(output.status.code(), Some(2), "{part}: {}", text(&output));
        assert!(text(&output).contains(part), "{part}: {}", text(&output));
        assert!(!text(&output).contains("llm-stand-in"), "{}", text(&output));
        assert!(!engine.repository.made().exists());
    }
}
