//! The container engine of this machine: which client to use, and what it can do. Observes, changes nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Result, anyhow, bail};
use serde::Serialize;

use runner::plan::action::Exec;
use runner::plan::argument::Arg;

/// How to start an engine where there is none; printed by every error that says there is none.
const REMEDY: &str =
    "start one (as root on Debian: ops/scripts/start-engine.sh), or point DOCKER_HOST at one";

/// An engine that answers, seen through the best client on PATH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// Absolute path of the client.
    pub client: PathBuf,
    pub client_version: String,
    pub server_version: String,
    pub storage_driver: String,
    /// None when no client on PATH can build with BuildKit; the text says why.
    pub builder: Option<Builder>,
}

/// The way to BuildKit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Builder {
    /// Part of the client (before version 23).
    Integrated,
    /// The buildx plugin; builds in the engine itself, so that images of the engine can be bases.
    Buildx { builder: String },
}

/// What a client on PATH turned out to be.
#[derive(Debug, Clone)]
struct Client {
    path: PathBuf,
    version: String,
    builder: Option<Builder>,
}

impl Engine {
    /// The engine, through the first client on PATH that can build with BuildKit, else through the first at all.
    ///
    /// # Errors
    /// No client is on PATH, or no engine answers; with what to do.
    pub fn find() -> Result<Self> {
        let candidates: Vec<PathBuf> = which::which_all("docker").into_iter().flatten().collect();
        if candidates.is_empty() {
            bail!(
                "no container engine: there is no docker on PATH; install Docker Engine (Debian: docker.io), then {REMEDY}"
            );
        }
        let clients: Vec<Client> = candidates.iter().filter_map(|path| look(path)).collect();
        let Some(client) = clients.iter().find(|client| client.builder.is_some()).or_else(|| clients.first())
        else {
            bail!("no container engine: {} cannot be run; fix it, then {REMEDY}", candidates[0].display());
        };
        let asked = ask(&client.path, &["info", "--format", "{{.ServerVersion}}\t{{.Driver}}"])?;
        let said = asked.stdout.trim();
        let (server, driver) = said.split_once('\t').unwrap_or((said, ""));
        if !asked.success || server.is_empty() {
            // Before version 23 `info` complains of its own template instead.
            let said = ask(&client.path, &["version", "--format", "{{.Server.Version}}"])?.stderr;
            let why = said.lines().next().unwrap_or("it says nothing");
            bail!("no container engine: {}: {why}; {REMEDY}", client.path.display());
        }
        Ok(Self {
            client: client.path.clone(),
            client_version: client.version.clone(),
            server_version: server.to_owned(),
            storage_driver: driver.to_owned(),
            builder: client.builder.clone(),
        })
    }

    /// Whether images are known by their manifests and not by their configurations (Docker 29, and earlier if it was asked
    /// for).
    pub fn has_containerd_store(&self) -> bool {
        // The snapshotter's name; the engine's own driver is called overlay2.
        self.storage_driver == "overlayfs"
    }

    /// The command line of a build up to its own options.
    ///
    /// # Errors
    /// When no client can build with BuildKit; with what to do.
    pub fn build(&self) -> Result<Exec> {
        let (words, env): (Vec<Arg>, _) =
            match self.builder.as_ref().ok_or_else(|| self.without_buildkit())? {
                Builder::Integrated => {
                    (vec!["build".into()], vec![("DOCKER_BUILDKIT".to_owned(), Arg::from("1"))])
                }
                Builder::Buildx { builder } => (
                    ["buildx", "build", "--load", "--provenance=false", "--builder", builder]
                        .map(Arg::from)
                        .into(),
                    // BuildKit then gives the image, and the files that it makes, this time.
                    vec![("SOURCE_DATE_EPOCH".to_owned(), Arg::from("0"))],
                ),
            };
        Ok(Exec {
            program: self.client.display().to_string(),
            args: words.into_iter().chain(["--progress=plain".into()]).collect(),
            env: env.into_iter().collect(),
            ..Exec::default()
        })
    }

    fn without_buildkit(&self) -> anyhow::Error {
        anyhow!(
            "{} {} cannot build with BuildKit: it has no buildx plugin; install the plugin (Docker's own packages: \
             docker-buildx-plugin), or put a client before version 23 on PATH (Debian 12: docker.io)",
            self.client.display(),
            self.client_version
        )
    }

    /// Runs the client for a short answer.
    ///
    /// # Errors
    /// The client cannot be run.
    pub fn ask(&self, arguments: &[&str]) -> Result<CommandOutput> {
        ask(&self.client, arguments)
    }

    /// What the client prints for this.
    ///
    /// # Errors
    /// The client cannot be run, or the engine refuses or does not answer.
    pub fn answer(&self, arguments: &[&str]) -> Result<String> {
        let answer = self.ask(arguments)?;
        if !answer.success {
            bail!("{} {}: {}", self.client.display(), arguments.join(" "), answer.stderr.trim());
        }
        Ok(answer.stdout)
    }

    /// An image as `docker image inspect` tells it; none when the engine does not have it.
    ///
    /// # Errors
    /// The engine does not answer, or not in JSON.
    pub fn inspect(&self, image: &str) -> Result<Option<serde_json::Value>> {
        let answer = self.ask(&["image", "inspect", image])?;
        if !answer.success {
            let absent = answer.stderr.contains("No such image");
            return if absent { Ok(None) } else { Err(anyhow!("{}", answer.stderr.trim().to_owned())) };
        }
        let mut images: Vec<serde_json::Value> = serde_json::from_str(&answer.stdout)?;
        Ok(images.pop())
    }

    /// A step's action that runs the client.
    pub fn exec(&self, arguments: impl IntoIterator<Item = impl Into<Arg>>) -> Exec {
        Exec {
            program: self.client.display().to_string(),
            args: arguments.into_iter().map(Into::into).collect(),
            ..Exec::default()
        }
    }
}

/// How `docker compose` is started: the plugin, else the program `docker-compose`.
///
/// # Errors
/// Neither is there; with what to do.
pub fn compose(client: &Path) -> Result<Vec<String>> {
    if ask(client, &["compose", "version"]).is_ok_and(|answer| answer.success) {
        return Ok(vec![client.display().to_string(), "compose".to_owned()]);
    }
    if let Ok(alone) = which::which("docker-compose") {
        let said = ask(&alone, &["version", "--short"])?.stdout;
        if major(&said).is_some_and(|major| major >= 2) {
            return Ok(vec![alone.display().to_string()]);
        }
        bail!(
            "{} is version {}: Docker Compose 2 or later is needed; install the plugin docker-compose-plugin",
            alone.display(),
            said.trim()
        );
    }
    bail!(
        "Docker Compose is missing: {} has no compose plugin, and there is no docker-compose on PATH; install \
         docker-compose-plugin (Docker's own packages)",
        client.display()
    )
}

/// What a short run of the client said.
#[derive(Debug)]
pub struct CommandOutput {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl CommandOutput {
    /// What was printed of objects that were listed before: some may have gone since.
    ///
    /// # Errors
    /// Something else was wrong.
    pub fn of_those_there(self) -> Result<String> {
        let gone = |line: &str| line.contains("No such") || line.contains("not found");
        let mut said = self.stderr.lines().filter(|line| !line.trim().is_empty()).peekable();
        if self.success || (said.peek().is_some() && said.all(gone)) {
            return Ok(self.stdout);
        }
        bail!("the engine does not answer: {}", self.stderr.trim())
    }
}

fn ask(client: &Path, arguments: &[&str]) -> Result<CommandOutput> {
    let output = std::process::Command::new(client)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| anyhow!("{} cannot be run: {error}", client.display()))?;
    Ok(CommandOutput {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn look(path: &Path) -> Option<Client> {
    // `docker version` asks the engine too and fails without one; this does not.
    let said = ask(path, &["--version"]).ok().filter(|answer| answer.success)?.stdout;
    let version = said.split_whitespace().find_map(|word| {
        word.starts_with(|letter: char| letter.is_ascii_digit())
            .then(|| word.trim_end_matches(',').to_owned())
    })?;
    let builder = if ask(path, &["buildx", "version"]).is_ok_and(|answer| answer.success) {
        // The builder that is named as the context is the engine itself.
        let context = ask(path, &["context", "show"]).ok().filter(|answer| answer.success);
        let builder =
            context.map(|answer| answer.stdout.trim().to_owned()).unwrap_or_else(|| "default".to_owned());
        Some(Builder::Buildx { builder })
    } else if integrated(&version) {
        Some(Builder::Integrated)
    } else {
        None
    };
    Some(Client { path: path.to_owned(), version, builder })
}

/// Docker's client had BuildKit built in from 18.09 on, and needs the plugin since 23. Pure.
fn integrated(version: &str) -> bool {
    major(version).is_some_and(|major| (19..23).contains(&major))
}

fn major(version: &str) -> Option<u32> {
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clients_of_some_years_have_buildkit_in_them() {
        for (version, expected) in
            [("20.10.24+dfsg1", true), ("19.03.1", true), ("23.0.0", false), ("28.2.2", false)]
        {
            assert_eq!(integrated(version), expected, "{version}");
        }
    }

    #[test]
    fn objects_that_have_gone_are_no_error_and_an_engine_that_does_not_answer_is_one() {
        for (success, stderr, fits) in [
            (true, "", true),
            (false, "Error: No such object: 1\nError: No such object: 2", true),
            (false, "Error response from daemon: network 1 not found\n", true),
            (false, "Cannot connect to the Docker daemon", false),
            (false, "Error: No such network: 1\nCannot connect to the Docker daemon", false),
            (false, "", false),
        ] {
            let said = CommandOutput { success, stdout: "[]".to_owned(), stderr: stderr.to_owned() };
            assert_eq!(said.of_those_there().is_ok(), fits, "{stderr}");
        }
    }

    #[test]
    fn a_client_without_plugins_gets_instructions() {
        let folder = tempfile::tempdir().unwrap();
        let client = folder.path().join("docker");
        std::fs::write(
            &client,
            "#!/bin/sh\n[ \"$1\" = --version ] && echo 'Docker version 28.2.2, build x' && exit 0\nexit 1\n",
        )
        .unwrap();
        std::fs::set_permissions(&client, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let found = look(&client).unwrap();
        assert_eq!((found.version.as_str(), &found.builder), ("28.2.2", &None));
        let engine = Engine {
            client: client.clone(),
            client_version: found.version,
            server_version: "28.2.2".into(),
            storage_driver: "overlay2".into(),
            builder: None,
        };
        assert!(engine.build().unwrap_err().to_string().contains("docker-buildx-plugin"));
        if which::which("docker-compose").is_err() {
            assert!(compose(&client).unwrap_err().to_string().contains("docker-compose-plugin"));
        }
    }
}
