//! Container images as part of a release, with a client that plays an engine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::fixture::{Key, Repository, text};
use super::made::{Made, sha256};

const ARCHIVE: &str = "flowship-1.2.3-image-node-red.oci.tar";

/// A repository with one built image of production and one of development.
struct Engine {
    repository: Repository,
    key: Key,
    id: String,
}

/// What `docker save` writes of an image with one file, and the image's id.
fn saved(contents: &str) -> (Vec<u8>, String) {
    let tarred = |files: &[(&str, &[u8])]| {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.into_inner().unwrap()
    };
    let layer = tarred(&[("app", contents.as_bytes())]);
    let config = json!({ "os": "linux", "architecture": "amd64", "config": { "Cmd": ["/app"] } }).to_string();
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["flowship/node-red:local"], "Layers": ["layer.tar"] }]);
    let saved = tarred(&[
        ("manifest.json", manifest.to_string().as_bytes()),
        ("config.json", config.as_bytes()),
        ("layer.tar", &layer),
    ]);
    (saved, format!("sha256:{}", sha256(config.as_bytes())))
}

impl Engine {
    fn new() -> Self {
        let (repository, key) = (Repository::new(), Key::new());
        repository.write(
            "ops/docker/prod/Dockerfile",
            &format!("ARG NODE=node:24@sha256:{}\nFROM ${{NODE}} AS node-red\n", "a".repeat(64)),
        );
        repository.write("ops/docker/dev/Dockerfile", "FROM scratch AS llm-stand-in\n");
        repository.commit("Build images");
        let (saved, id) = saved("hi");
        let engine = Self { repository, key, id };
        let place = engine.repository.folder.path();
        // What is built again has a name of its own.
        for name in ["saved.tar", "again.tar"] {
            fs::write(place.join(name), &saved).unwrap();
        }
        let script = format!(
            "#!/bin/sh\necho \"$@\" >>{0}/calls\ncase \"$1 $2\" in\n'--version ') echo 'Docker version 20.10.24, build \
             x';;\n'info --format') printf '20.10\\toverlay2\\n';;\n'image inspect') cat {0}/inspect.json;;\n'image save') \
             case $5 in flowship-again-*) cp {0}/again.tar \"$4\";; *) cp {0}/saved.tar \"$4\";; esac;;\n'build \
             --progress=plain') [ ! -e {0}/slow ] || sleep 60; [ ! -e {0}/broken ];;\n'image rm') ;;\n*) exit 1;;\nesac\n",
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
        let stand_ins = json!({ "warning": "STAND-INS", "stand_ins": [{
            "name": "node", "stands_for": "node:24", "tag": "flowship.local/stand-in/node:1", "image_id": "sha256:0",
            "made_of": [], "differs": [],
        }] });
        engine.repository.write(".flowship/images/stand-ins.json", &stand_ins.to_string());
        engine
    }

    /// What the engine says of the image.
    fn says(&self, id: &str, revision: &str) {
        let told =
            json!([{ "Id": id, "Config": { "Labels": { "org.opencontainers.image.revision": revision } } }]);
        fs::write(self.repository.folder.path().join("inspect.json"), told.to_string()).unwrap();
    }

    fn package(&self) -> Output {
        self.run(&["release", "package", "--images", "all", "--key", self.key.secret.to_str().unwrap()])
    }

    fn rebuild(&self) -> Output {
        self.run(&self.rebuilding())
    }

    fn rebuilding(&self) -> [&str; 5] {
        ["release", "verify", "--rebuild", "--public-key", self.key.public.to_str().unwrap()]
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let repository = &self.repository;
        let mut command = repository.xtask(arguments);
        command.arg("--operator-binary").arg(repository.operator());
        let before = std::env::var("PATH").unwrap();
        let path = format!("{}:{before}", repository.folder.path().join("bin").display());
        command.env("PATH", path);
        command
    }

    /// A release of the image.
    fn packaged() -> Self {
        let engine = Self::new();
        engine.says(&engine.id, &engine.repository.git(&["rev-parse", "HEAD"]));
        let output = engine.package();
        assert!(output.status.success(), "{}", text(&output));
        engine
    }

    /// The calls of the client from now on that have this word.
    fn calls(&self, word: &str) -> Vec<String> {
        let text = fs::read_to_string(self.repository.folder.path().join("calls")).unwrap();
        text.lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
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

#[test]
fn all_images_are_all_that_the_tree_has_a_stage_for() {
    let engine = Engine::new();
    let dockerfile = engine.repository.path("ops/docker/prod/Dockerfile");
    let stages = fs::read_to_string(dockerfile).unwrap() + "FROM scratch AS migrate\n";
    engine.repository.write("ops/docker/prod/Dockerfile", &stages);
    engine.repository.commit("Add an image");
    engine.says(&engine.id, &engine.repository.git(&["rev-parse", "HEAD"]));
    let output = engine.package();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(
        text(&output).contains("migrate of ops/docker/prod/Dockerfile was not built"),
        "{}",
        text(&output)
    );
}

#[test]
fn images_are_built_again_under_other_names_that_are_taken_away() {
    let engine = Engine::packaged();
    // What this checkout has built is no part of it.
    fs::remove_file(engine.repository.path(".flowship/images/built.json")).unwrap();
    let output = engine.rebuild();
    assert!(output.status.success(), "{}", text(&output));
    for part in [
        "✓ rebuild: the same bytes, images aside\n",
        &format!(
            "✓ rebuild: {ARCHIVE}: the same contents, as archive the same bytes too, ON STAND-INS for node:24\n"
        ),
        "images were compared by their contents, not by the bytes that the engine stores; not compared: the times of \
         files,",
    ] {
        assert!(text(&output).contains(part), "{part}: {}", text(&output));
    }
    let [build] = &engine.calls("build --progress")[..] else { panic!("{:?}", engine.calls("")) };
    for part in ["--no-cache", "/another/place/of/the/tree/ops/docker/prod/Dockerfile", "--target node-red"] {
        assert!(build.contains(part), "{part}: {build}");
    }
    let name = build.split_whitespace().skip_while(|word| *word != "--tag").nth(1).unwrap();
    assert!(name.starts_with("flowship-again-") && name.ends_with("/node-red:local"), "{name}");
    assert_eq!(engine.calls("image rm"), [format!("image rm --force {name}")]);
}

#[test]
fn an_image_with_other_contents_is_named_and_everything_else_is_still_compared() {
    let engine = Engine::packaged();
    fs::write(engine.repository.folder.path().join("again.tar"), saved("ho").0).unwrap();
    let output = engine.rebuild();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let told = format!("✗ rebuild: {ARCHIVE}: the contents differ, ON STAND-INS for node:24");
    for part in [&*told, "\n    app: contents differ\n", "✓ rebuild: the same bytes, images aside\n"] {
        assert!(text(&output).contains(part), "{part}: {}", text(&output));
    }
    assert_eq!(engine.calls("image rm").len(), 1);
}

#[test]
fn a_rebuild_that_fails_leaves_no_name_and_one_that_cannot_begin_says_why() {
    let engine = Engine::packaged();
    fs::write(engine.repository.folder.path().join("broken"), "").unwrap();
    let output = engine.rebuild();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("cannot be built again"), "{}", text(&output));
    assert_eq!(engine.calls("image rm").len(), 1);

    let docker = engine.repository.folder.path().join("bin/docker");
    let script = fs::read(&docker).unwrap();
    let silent = "#!/bin/sh\n[ $1 = --version ] && echo 'Docker version 20.10.24, build x'\n";
    fs::write(&docker, silent).unwrap();
    let output = engine.rebuild();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains("images, and only an engine can build them again: no"),
        "{}",
        text(&output)
    );
    fs::write(&docker, script).unwrap();

    fs::remove_file(engine.repository.path(".flowship/images/stand-ins.json")).unwrap();
    let output = engine.rebuild();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("there is no stand-in for it"), "{}", text(&output));
}

#[test]
fn a_rebuild_that_is_stopped_takes_its_names_and_its_tree_away() {
    let engine = Engine::packaged();
    let place = engine.repository.folder.path();
    fs::write(place.join("slow"), "").unwrap();
    let scratch = place.join("scratch");
    fs::create_dir(&scratch).unwrap();
    let mut command = engine.command(&engine.rebuilding());
    let run = command.env("TMPDIR", &scratch).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let give_up = Instant::now() + Duration::from_secs(60);
    while engine.calls("build --progress").is_empty() {
        assert!(Instant::now() < give_up, "it builds");
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", text(&output));
    assert_eq!(engine.calls("image rm --force flowship-again-").len(), 1, "{}", text(&output));
    let left: Vec<_> = fs::read_dir(&scratch).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
