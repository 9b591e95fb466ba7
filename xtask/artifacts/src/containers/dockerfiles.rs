//! `ops/docker/{dev,prod}/Dockerfile` and `.dockerignore`: how our images are built.

use std::collections::BTreeSet;

use vocabulary::formats::dockerfile::{Base, Dockerfile, From, Instruction, Stage, StageRef, Text};
use vocabulary::formats::{dockerignore, npm};
use vocabulary::model::{Exposure, Image, Lifetime, Platform, Service, User, Value};
use vocabulary::problem::Problem;

use super::health;
use super::resolve::tree;
use crate::artifact::{Artifact, Committed, Made, banner, judged};

pub const FAMILY: Committed = Committed {
    name: "images",
    what: "ops/docker/{dev,prod}/Dockerfile and .dockerignore: how images are built",
    source: file!(),
    make: generate,
};

const NODE: &str = "NODE_IMAGE";
const POSTGRES: &str = "POSTGRES_IMAGE";
/// A registry of the site's own; the lock file names none.
const REGISTRY: &str = "NPM_CONFIG_REGISTRY";
const NPM_CACHE: &str = "/var/cache/npm";
const MINIMAL_ROOT: &str = "ops/scripts/minimal-root.sh";
const KEEP_PACKAGES: &str = "ops/scripts/keep-packages.mjs";
/// Where a stage collects the files of an image.
const COLLECTED: &str = "/out";
/// The packages of `flows/package.json` that the small services need; what these need comes along.
const MCP_PACKAGES: [&str; 4] = ["@modelcontextprotocol/sdk", "express", "pino", "zod"];
/// Files of packages that no program reads while it runs. Licences stay.
const UNREAD: [&str; 4] = ["*.map", "*.d.ts", "*.d.mts", "*.d.cts"];

/// Whoever gets into the container finds nothing that runs as somebody else.
const NO_SET_USER_BITS: [&str; 12] =
    ["find", "/", "-xdev", "-perm", "/6000", "-type", "f", "-exec", "chmod", "a-s", "{}", "+"];

fn generate(platform: &Platform) -> Made {
    let policy = &platform.containers;
    let files = [
        (policy.production, production(platform), "Production images"),
        (
            policy.development,
            development(platform),
            "Development images: the same programs with tools, hot reload and a debugger",
        ),
    ];
    let mut artifacts = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, file, about) in files {
        let file = file?;
        judged(path, file.validate())?;
        let mut header = banner("xtask/artifacts/src/containers/dockerfiles.rs");
        header.push(format!("{about}. Bases are pinned by digest; override them with --build-arg."));
        seen.extend(file.sources().into_iter().map(str::to_owned));
        artifacts.push(Artifact::file(path, file.write(&header)));
    }
    let allowed = dockerignore::Allowed {
        paths: seen.into_iter().collect(),
        except: vec!["**/node_modules", "**/*.env", "**/flows_cred.json", "**/.DS_Store"],
    };
    let header = banner("xtask/artifacts/src/containers/dockerfiles.rs (what the Dockerfiles copy)");
    artifacts.push(Artifact::file(".dockerignore", dockerignore::write(&header, &allowed)));
    Ok(artifacts)
}

/// The target of the development Dockerfile that a service runs from; none where it has none of its own.
pub fn development_target(service: &Service) -> Option<&'static str> {
    let Image::Built { target, .. } = service.image else { return None };
    let debugger = service.container.shape().and_then(|shape| shape.debugger);
    runs_on_node(service).then(|| if debugger.is_some() { DEBUGGER } else { target })
}

const DEBUGGER: &str = "debugger";

fn runs_on_node(service: &Service) -> bool {
    let commands = service.process.iter().flat_map(|process| &process.commands);
    commands.map(|command| command.program).next() == Some("node")
}

/// The services whose images are built from one of the Dockerfiles, each with its target.
fn built<'a>(platform: &'a Platform, from: &str) -> Vec<(&'a Service, &'static str)> {
    let composed = platform.services.iter().filter(|service| service.container.shape().is_some());
    composed
        .filter_map(|service| match service.image {
            Image::Built { dockerfile, target } if dockerfile == from => Some((service, target)),
            _ => None,
        })
        .collect()
}

fn production(platform: &Platform) -> Result<Dockerfile, Problem> {
    let image = Images { platform };
    let built = built(platform, platform.containers.production);
    let (on_node, others): (Vec<_>, Vec<_>) =
        built.into_iter().partition(|(service, _)| runs_on_node(service));
    if let Some((other, _)) = others.iter().find(|(service, _)| service.id != platform.database.migrations) {
        return Err(Problem::new(
            format!("service {}", other.id),
            "no stage is known that its program runs on",
        )
        .expected("a service that runs on Node.js, or the migrations of the database"));
    }
    let user = platform.worker_service()?.shape()?.user;
    let is_tools = |service: &Service| platform.tools.is_some_and(|tools| tools.service == service.id);
    let modules =
        image.modules("modules", "The packages of the lock file, except those only for development.", true);
    let mut pruned = Stage {
        name: "pruned",
        about: "Without files that no program reads at run time.",
        from: From::Stage(modules.handle()),
        instructions: vec![],
        runs: false,
    };
    pruned.instructions.push(run(&unread(&image.at("node_modules"))));
    let mcp = Stage {
        name: "mcp-modules",
        about: "Only the packages of the tools' server.",
        from: From::Stage(pruned.handle()),
        instructions: vec![
            copy(&[KEEP_PACKAGES], "/tmp/"),
            run(&[vec!["node", "/tmp/keep-packages.mjs", "."], MCP_PACKAGES.to_vec()].concat()),
        ],
        runs: false,
    };
    let node_files = collected(
        "node-files",
        "Node and the shell of the health check, with the libraries they load.",
        NODE,
        &["node", "bash"],
        user,
    );
    let runtime = Stage {
        name: "runtime",
        about: "The base of both programs: no package manager, no setuid file, no other tool.",
        from: From::Scratch,
        instructions: vec![
            copy_from(&node_files, &[&format!("{COLLECTED}/")], "/"),
            Instruction::Environment(vec![
                ("PATH", "/usr/local/bin:/usr/bin".to_owned()),
                ("HOME", "/tmp".to_owned()),
                ("NODE_ENV", "production".to_owned()),
            ]),
            copy(&[platform.containers.probe], &image.at("ops/scripts/")),
        ],
        runs: false,
    };
    let programs = on_node.iter().map(|(service, target)| {
        let packages = if is_tools(service) { &mcp } else { &pruned };
        image.program(service, target, &runtime, Some(packages), NODE, &["node"])
    });
    let programs: Vec<_> = programs.collect::<Result<_, _>>()?;
    let dbmate = Stage {
        name: "dbmate",
        about: "The migration program from its npm package: one static file.",
        from: From::Base(NODE),
        instructions: vec![
            Instruction::WorkDirectory("/srv/dbmate".to_owned()),
            copy(&["ops/docker/prod/dbmate/package.json", "ops/docker/prod/dbmate/package-lock.json"], "./"),
            Instruction::Argument { name: REGISTRY, default: None },
            npm_ci(&[]),
        ],
        runs: false,
    };
    let psql_files = collected(
        "psql-files",
        "psql and the programs that the script calls, with the libraries they load.",
        POSTGRES,
        &["psql", "sh", "dirname", "mktemp", "rm", "sed", "cat", "date", "sleep"],
        user,
    );
    let mut database = Stage {
        name: "database-tools",
        about: "The base of the migrations.",
        from: From::Scratch,
        instructions: vec![
            copy_from(&psql_files, &[&format!("{COLLECTED}/")], "/"),
            copy_from(&dbmate, &["/srv/dbmate/node_modules/@dbmate/*/bin/dbmate"], "/usr/local/bin/dbmate"),
        ],
        runs: false,
    };
    database.instructions.push(Instruction::Environment(vec![
        ("PATH", "/usr/local/bin:/usr/bin".to_owned()),
        ("HOME", "/tmp".to_owned()),
    ]));
    let migrations = others
        .iter()
        .map(|(service, target)| image.program(service, target, &database, None, POSTGRES, &["sh"]))
        .collect::<Result<Vec<_>, _>>()?;
    let has_tools = on_node.iter().any(|(service, _)| is_tools(service));
    Ok(Dockerfile {
        bases: vec![
            base(NODE, &platform.containers.node)?,
            base(POSTGRES, &platform.database_service()?.image)?,
        ],
        stages: [modules, pruned]
            .into_iter()
            .chain(has_tools.then_some(mcp))
            .chain([node_files, runtime])
            .chain(programs)
            .chain([dbmate, psql_files, database])
            .chain(migrations)
            .collect(),
    })
}

fn development(platform: &Platform) -> Result<Dockerfile, Problem> {
    let image = Images { platform };
    let mut tools = image.modules(
        "tools",
        "Everything that a developer needs: npm, all packages of the lock file, the tools of the base.",
        false,
    );
    tools.instructions.push(Instruction::Environment(vec![
        ("HOME", "/tmp".to_owned()),
        ("NODE_ENV", "development".to_owned()),
    ]));
    tools.instructions.push(copy(&[platform.containers.probe], &image.at("ops/scripts/")));
    tools.instructions.push(run(&NO_SET_USER_BITS));
    let mut stages = vec![];
    let in_development = platform
        .services
        .iter()
        .filter(|service| service.container.shape().is_some_and(|shape| shape.in_development));
    for service in in_development {
        let Some(target) = development_target(service) else { continue };
        // A stand-in is nobody's work: nobody edits it while it runs.
        let starts_with: &[&str] = match service.lifetime {
            Lifetime::StandIn => &["node"],
            _ => &["node", "--watch", "--watch-preserve-output"],
        };
        let Some(number) = service.container.shape().and_then(|shape| shape.debugger) else {
            stages.push(image.program(service, target, &tools, None, NODE, starts_with)?);
            continue;
        };
        let hot_reload = Stage {
            about: "Restarts when a file that it has loaded changes. Mount flows/ over the copies.",
            ..image.program(service, "hot-reload", &tools, None, NODE, starts_with)?
        };
        let debugger = Stage {
            name: target,
            about: "The same with a debugger port. Anyone who reaches the port can run code: bind it to loopback.",
            from: From::Stage(hot_reload.handle()),
            instructions: vec![
                Instruction::Environment(vec![("NODE_OPTIONS", format!("--inspect=127.0.0.1:{number}"))]),
                Instruction::Expose(vec![number]),
            ],
            runs: true,
        };
        stages.extend([hot_reload, debugger]);
    }
    stages.insert(0, tools);
    Ok(Dockerfile { bases: vec![base(NODE, &platform.containers.node)?], stages })
}

struct Images<'a> {
    platform: &'a Platform,
}

/// What was fetched once is not fetched again, whatever changes in the lock file.
fn npm_ci(more: &[&str]) -> Instruction {
    let command = [&["npm"], &npm::CI[..], &["--cache", NPM_CACHE], more].concat();
    Instruction::Run { command: owned(&command), kept: vec![NPM_CACHE] }
}

impl Images<'_> {
    fn at(&self, path: &str) -> String {
        tree(&self.platform.containers, path)
    }

    /// The packages lie beside, not below, the flows: so a developer's flows can be mounted without hiding them.
    fn modules(&self, name: &'static str, about: &'static str, production: bool) -> Stage {
        let install = npm_ci(if production { &["--omit=dev"] } else { &[] });
        Stage {
            name,
            about,
            from: From::Base(NODE),
            instructions: vec![
                Instruction::WorkDirectory(self.platform.containers.root.to_owned()),
                copy(&["flows/package.json", "flows/package-lock.json"], "./"),
                Instruction::Argument { name: REGISTRY, default: None },
                install,
            ],
            runs: false,
        }
    }

    /// What a service runs from: its packages first, its own files last, so that an edit of them builds one layer.
    fn program(
        &self,
        service: &Service,
        name: &'static str,
        on: &Stage,
        modules: Option<&Stage>,
        base: &'static str,
        starts_with: &[&str],
    ) -> Result<Stage, Problem> {
        let policy = &self.platform.containers;
        let shape = service.shape()?;
        let main = main_file(service)?;
        let mut instructions = Vec::new();
        if let Some(modules) = modules {
            let from = self.at("node_modules");
            instructions.push(copy_from(modules, &[&from], &from));
        }
        let folder = self.at(main.split_once('/').map_or("", |(folder, _)| folder));
        instructions.push(Instruction::WorkDirectory(folder));
        instructions.extend(self.sources(&shape.sources));
        let open = service.ports.iter().filter(|port| port.exposure != Exposure::Development);
        let open: Vec<_> = open.map(|port| port.number).collect();
        if !open.is_empty() {
            instructions.push(Instruction::Expose(open));
        }
        instructions.extend([
            Instruction::User { uid: shape.user.uid, gid: shape.user.gid },
            Instruction::StopSignal(service.stop.signal),
            match health::script(policy, service)? {
                Some(command) => Instruction::HealthCheck {
                    every_seconds: policy.check.every_seconds,
                    limit_seconds: policy.check.limit_seconds,
                    start_seconds: policy.check.start_seconds,
                    failures: policy.check.failures,
                    command,
                },
                None => Instruction::NoHealthCheck,
            },
            Instruction::EntryPoint(
                starts_with.iter().map(|word| (*word).to_owned()).chain([self.at(main)]).collect(),
            ),
        ]);
        instructions.extend(self.labels(service, base));
        Ok(Stage { name, about: service.purpose, from: From::Stage(on.handle()), instructions, runs: true })
    }

    /// Files of one folder go in one layer; folders keep their names.
    fn sources(&self, paths: &[&'static str]) -> Vec<Instruction> {
        let mut instructions: Vec<Instruction> = Vec::new();
        for path in paths {
            let is_folder = is_folder(path);
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            let into = format!("{}/", self.at(if is_folder { path } else { parent }));
            match instructions.last_mut() {
                Some(Instruction::Copy { sources, to, .. }) if *to == into && !is_folder => {
                    sources.push((*path).to_owned());
                }
                _ => instructions.push(copy(&[path], &into)),
            }
        }
        instructions
    }

    /// Last, because each build has others (annotation keys of the OCI image specification).
    fn labels(&self, service: &Service, base: &'static str) -> Vec<Instruction> {
        let title = format!("{} {}", self.platform.name, service.id);
        vec![
            Instruction::Argument { name: base, default: None },
            Instruction::Argument { name: "VERSION", default: Some("unreleased") },
            Instruction::Argument { name: "REVISION", default: Some("unknown") },
            Instruction::Label(vec![
                ("org.opencontainers.image.title", Text::Literal(title)),
                ("org.opencontainers.image.description", Text::Literal(service.purpose.to_owned())),
                ("org.opencontainers.image.licenses", Text::Literal("MIT OR Apache-2.0".to_owned())),
                ("org.opencontainers.image.version", Text::Argument("VERSION")),
                ("org.opencontainers.image.revision", Text::Argument("REVISION")),
                ("org.opencontainers.image.base.name", Text::Argument(base)),
            ]),
        ]
    }
}

/// The file that the process of a service starts with, below the root of the repository.
fn main_file(service: &Service) -> Result<&'static str, Problem> {
    let command = service.process.as_ref().and_then(|process| process.commands.first());
    let mut arguments = command.into_iter().flat_map(|command| &command.arguments);
    arguments
        .find_map(|argument| match argument {
            Value::Tree(path) => Some(*path),
            _ => None,
        })
        .ok_or_else(|| {
            Problem::new(format!("service {}", service.id), "its process starts no file of the repository")
                .expected("a command with the file that its image runs")
        })
}

fn base(argument: &'static str, image: &Image) -> Result<Base, Problem> {
    match image {
        Image::Pinned { reference, digest } => {
            Ok(Base { argument, reference: (*reference).to_owned(), digest: (*digest).to_owned() })
        }
        other => Err(Problem::new(format!("the base {argument}"), format!("its image is {other:?}"))
            .expected("a pinned image")),
    }
}

fn collected(
    name: &'static str,
    about: &'static str,
    base: &'static str,
    programs: &[&str],
    user: User,
) -> Stage {
    let uid = user.uid.to_string();
    let command = [vec!["sh", "/tmp/minimal-root.sh", COLLECTED, &uid], programs.to_vec()].concat();
    Stage {
        name,
        about,
        from: From::Base(base),
        instructions: vec![copy(&[MINIMAL_ROOT], "/tmp/"), run(&command)],
        runs: false,
    }
}

fn unread(folder: &str) -> Vec<&str> {
    let mut command = vec!["find", folder, "-type", "f", "("];
    for (position, pattern) in UNREAD.iter().enumerate() {
        command.extend((position > 0).then_some("-o"));
        command.extend(["-name", pattern]);
    }
    command.extend([")", "-delete"]);
    command
}

fn run(command: &[&str]) -> Instruction {
    Instruction::Run { command: owned(command), kept: vec![] }
}

/// With modes of its own: those on disk are of whoever has checked the tree out, and a program that may not read its
/// files does not start. One mode is for all of it, and a folder must be one that can be entered.
fn copy(sources: &[&str], to: &str) -> Instruction {
    let mode = if sources.iter().any(|source| is_folder(source)) { 0o755 } else { 0o644 };
    Instruction::Copy { from: None, sources: owned(sources), to: to.to_owned(), mode: Some(mode) }
}

/// Files have an extension.
fn is_folder(path: &str) -> bool {
    !path.rsplit('/').next().unwrap_or(path).contains('.')
}

fn copy_from(stage: &Stage, sources: &[&str], to: &str) -> Instruction {
    let from: StageRef = stage.handle();
    Instruction::Copy { from: Some(from), sources: owned(sources), to: to.to_owned(), mode: None }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
