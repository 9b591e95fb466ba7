//! Images of a release, built again with a real engine.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use super::fixture::{Remove, docker, engine};
use crate::repository::{Key, Repository, text};

/// Made from nothing but one file each, so that no test needs a network.
const DOCKERFILE: &str = "\
ARG NODE=node:24-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d
FROM ${NODE} AS node-red
COPY --chmod=644 flows/main.js /app/main.js
ARG VERSION
ARG REVISION
LABEL version=${VERSION} org.opencontainers.image.revision=${REVISION}
USER 1000:1000
CMD [\"/app/main.js\"]
FROM scratch AS migrate
COPY --chmod=644 flows/main.js /app/migrate.js
ARG REVISION
LABEL org.opencontainers.image.revision=${REVISION}
USER 1000:1000
CMD [\"/app/migrate.js\"]
";

struct Checkout {
    repository: Repository,
    key: Key,
    client: PathBuf,
    version: String,
}

impl Checkout {
    fn new() -> (Self, Remove) {
        let (client, repository) = (engine(), Repository::new());
        let version = format!("test-again-{}", std::process::id());
        repository.write("ops/docker/prod/Dockerfile", DOCKERFILE);
        repository.write("ops/docker/dev/Dockerfile", "FROM scratch AS llm-stand-in\n");
        repository.write("flows/main.js", "console.log('hello')\n");
        repository.commit("Build images");
        let base = format!("flowship.local/stand-in/test:{version}");
        let tar = repository.folder.path().join("base.tar");
        let mut builder = tar::Builder::new(fs::File::create(&tar).unwrap());
        builder.append_dir_all("etc", repository.path("ops/environments")).unwrap();
        builder.finish().unwrap();
        docker(&client, &["import", tar.to_str().unwrap(), &base]);
        let lock = serde_json::json!({ "warning": "STAND-INS", "stand_ins": [{
            "name": "node", "stands_for": "node:24-bookworm-slim", "tag": base, "image_id": "sha256:0", "made_of": [],
            "differs": [],
        }] });
        repository.write(".flowship/images/stand-ins.json", &lock.to_string());
        let images = ["node-red", "migrate"].map(|target| format!("flowship/{target}:{version}"));
        let commands = images.into_iter().chain([base]);
        let commands = commands.map(|image| ["image", "rm", "--force", &image].map(str::to_owned).to_vec());
        let remove = Remove { client: client.clone(), commands: commands.collect() };
        (Self { repository, key: Key::new(), client, version }, remove)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.repository.xtask(arguments).output().unwrap()
    }

    /// Builds the images and makes a release of them.
    fn package(&self) {
        let operator = self.repository.operator();
        let secret = self.key.secret.to_str().unwrap();
        let build = ["image", "build", "--stand-ins", "--tag", &self.version];
        let targets = ["--only", "node-red", "--only", "migrate"];
        let package = ["release", "package", "--images", "all", "--key", secret, "--operator-binary"];
        let package = [&package[..], &[operator.to_str().unwrap()]].concat();
        for arguments in [&[&build[..], &targets].concat(), &package] {
            let output = self.run(arguments);
            assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        }
    }

    /// Exit code and everything said.
    fn rebuild(&self) -> (Option<i32>, String) {
        let operator = self.repository.operator();
        let public = self.key.public.to_str().unwrap();
        let rebuild = ["release", "verify", "--rebuild", "--public-key", public, "--operator-binary"];
        let output = self.run(&[&rebuild[..], &[operator.to_str().unwrap()]].concat());
        let left = docker(&self.client, &["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
        assert!(!left.contains("flowship-again-"), "{left}");
        (output.status.code(), text(&output))
    }

    fn id(&self) -> String {
        let image = format!("flowship/node-red:{}", self.version);
        docker(&self.client, &["image", "inspect", "--format", "{{.Id}}", &image])
    }
}

#[test]
#[ignore = "needs a container engine: `cargo xtask ci engine` runs it"]
fn a_released_image_has_the_contents_that_its_commit_builds_or_the_other_file_is_named() {
    let (checkout, _remove) = Checkout::new();
    let image = |target: &str| format!("flowship-1.2.3-image-{target}.oci.tar");
    checkout.package();
    let (code, told) = checkout.rebuild();
    assert_eq!(code, Some(0), "{told}");
    for part in [
        "✓ rebuild: the same bytes, images aside",
        &format!("{}: the same contents, as archive the same bytes too, ON STAND-INS", image("node-red")),
        &format!("{}: the same contents, as archive the same bytes too", image("migrate")),
        "not compared: the times of files",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }

    // Git does not tell of this change, so the release says that it is of the commit; its image has another file.
    let id = checkout.id();
    checkout.repository.git(&["update-index", "--skip-worktree", "flows/main.js"]);
    checkout.repository.write("flows/main.js", "console.log('planted')\n");
    checkout.package();
    let planted = checkout.id();
    assert_ne!(planted, id);
    let (code, told) = checkout.rebuild();
    assert_eq!(code, Some(1), "{told}");
    for part in [
        format!("✗ rebuild: {}: the contents differ", image("node-red")),
        format!("✗ rebuild: {}: the contents differ", image("migrate")),
        "    app/main.js: contents differ\n".to_owned(),
        "    app/migrate.js: contents differ\n".to_owned(),
        "✓ rebuild: the same bytes, images aside".to_owned(),
    ] {
        assert!(told.contains(&part), "{part}: {told}");
    }
    assert_eq!(checkout.id(), planted, "what this checkout has built is still what it was");
}
