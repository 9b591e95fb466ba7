//! Where each program is, and the way to have it: [`Toolbox::ensure`] installs, everything else only looks.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use super::catalogue::{Program, Source, Tool};
use super::manifest::State;
use super::progress::Progress;
use super::requirements::{self, Requirements};
use super::{cache, go_program, install, manifest, npm, rust_component, system_package, version};
use crate::context::Context;
use foundation::digest;
use foundation::exit::refused;
use foundation::program_name::PROGRAM;

/// Some need a second on a busy machine.
const VERSION_LIMIT: Duration = Duration::from_secs(30);

/// The pinned and the user's own programs of one tree.
#[derive(Debug, Clone)]
pub struct Toolbox {
    /// Of the tree.
    root: PathBuf,
    /// The user's cache, absolute.
    pub cache: PathBuf,
    pub requirements: Requirements,
}

/// How a program is started: `program args...`, the caller's own arguments after that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

/// A folder with `package.json` and `package-lock.json`.
#[derive(Debug, Clone, Copy)]
pub struct NpmProject<'a> {
    pub folder: &'a Path,
}

impl Invocation {
    /// The whole command line with the caller's arguments.
    pub fn argv(&self, more: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Vec<OsString> {
        let mut argv = vec![self.program.clone().into_os_string()];
        argv.extend_from_slice(&self.args);
        argv.extend(more.into_iter().map(|part| part.as_ref().to_owned()));
        argv
    }
}

impl Toolbox {
    /// Reads the tree's lock of wheels and finds the user's cache.
    ///
    /// # Errors
    /// Refused when `ops/ci/requirements.txt` cannot be read or has any problem (all are told), or when there is no
    /// place for the cache.
    pub fn open(context: &Context) -> Result<Self> {
        const LOCK: &str = "ops/ci/requirements.txt";
        let text = fs::read_to_string(context.path(LOCK)).map_err(|error| {
            refused(format!("{LOCK}: {error}; expected the locked wheels of the pinned programs"))
        })?;
        let requirements = Requirements::parse(&text).map_err(|problems| {
            refused(problems.iter().map(|problem| format!("{LOCK}:{problem}")).collect::<Vec<_>>().join("\n"))
        })?;
        Ok(Self { root: context.root.clone(), cache: cache::found()?, requirements })
    }

    /// Installs those of the tools that are pinned and not there as they were installed, several at once, and whatever
    /// they need to be installed; unpacks the system's packages where the user has none of their own. The user's own
    /// among them must be on PATH.
    ///
    /// # Errors
    /// Every tool that could not be had, with what to do; refused when one is not locked.
    pub fn ensure(&self, tools: &[Tool], progress: &dyn Progress) -> Result<()> {
        let mut missing = Vec::new();
        let mut built = Vec::new();
        let mut problems = Vec::new();
        for tool in tools {
            match tool.entry().source {
                Source::Wheel { .. } => {
                    if !missing.contains(tool) && self.state(*tool)? != State::Whole {
                        missing.push(*tool);
                    }
                }
                Source::GoProgram { .. } => {
                    if !built.contains(tool) && self.state(*tool)? != State::Whole {
                        built.push(*tool);
                    }
                }
                Source::SystemPackage { .. } => {
                    if self.own(tool.program()).is_none() && self.state(*tool)? != State::Whole {
                        problems.extend(install::system_package(self, *tool, progress).err());
                    }
                }
                Source::Host { .. } | Source::RustComponent { .. } => {
                    problems.extend(self.path(tool.program()).err());
                }
            }
        }
        if !built.is_empty() && !missing.contains(&Tool::Go) && self.state(Tool::Go)? != State::Whole {
            missing.push(Tool::Go);
        }
        if !missing.is_empty() {
            problems.extend(install::wheels(self, &missing, progress));
        }
        if !built.is_empty() && self.path(Program::Go).is_ok() {
            problems.extend(built.iter().filter_map(|tool| install::go_program(self, *tool, progress).err()));
        }
        together(problems)
    }

    /// The user's own program, where it comes before what would be unpacked.
    pub fn own(&self, program: Program) -> Option<PathBuf> {
        let Source::SystemPackage { minimum, .. } = program.tool().entry().source else { return None };
        system_package::own(program.file_name(), program.location().version, minimum)
    }

    /// Whether a tool that installs is in the cache as it was installed.
    ///
    /// # Errors
    /// Refused when it is not locked.
    pub fn state(&self, tool: Tool) -> Result<State> {
        let folder = self.folder(tool)?;
        Ok(cache::state(&self.cache, "tools", &key_of(&folder)))
    }

    /// The same of npm modules; the folder is [`Toolbox::npm_folder`].
    pub fn modules_state(&self, folder: &Path) -> State {
        cache::state(&self.cache, "npm", &key_of(folder))
    }

    /// The file of a program. Installs nothing.
    ///
    /// # Errors
    /// The program is not there; the error says what brings it.
    pub fn path(&self, program: Program) -> Result<PathBuf> {
        let location = program.location();
        let entry = location.tool.entry();
        match entry.source {
            Source::Wheel { .. } | Source::GoProgram { .. } => {
                let path = self.folder(location.tool)?.join(location.file);
                if !path.is_file() {
                    bail!(
                        "{0} is not installed, it is needed to {1}: run `{PROGRAM} doctor --install {2}`",
                        program.command(),
                        entry.purpose,
                        location.tool.program().command()
                    );
                }
                Ok(path)
            }
            Source::SystemPackage { package, minimum, .. } => self
                .own(program)
                .or_else(|| {
                    Some(self.folder(location.tool).ok()?.join(location.file)).filter(|path| path.is_file())
                })
                .ok_or_else(|| {
                    let get = how_to_get_package(package, minimum);
                    anyhow!(
                        "{} is not installed, it is needed to {}: {get}",
                        program.command(),
                        entry.purpose
                    )
                }),
            Source::Host { debian, fedora, .. } => {
                let mut names = [location.file].into_iter().chain(program.also_called().iter().copied());
                names.find_map(|name| which::which(name).ok()).ok_or_else(|| {
                    anyhow!(
                        "{} is not on PATH, it is needed to {}: {}",
                        location.file,
                        entry.purpose,
                        how_to_get(debian, fedora)
                    )
                })
            }
            Source::RustComponent { component, least } => rust_component::find(location.file, least)
                .ok_or_else(|| {
                    anyhow!(
                        "{} does not exist, it is needed to {}: {}",
                        location.file,
                        entry.purpose,
                        how_to_get_component(component, least)
                    )
                }),
        }
    }

    /// Lower-case hexadecimal SHA-256 of the file of a program; of a pinned one as it was installed, which
    /// [`Toolbox::state`] compares. Of what a link or a wrapper on PATH stands for it says nothing more.
    ///
    /// # Errors
    /// The program is not there or cannot be read.
    pub fn sha256(&self, program: Program) -> Result<String> {
        let location = program.location();
        match location.tool.entry().source {
            Source::Wheel { .. } | Source::GoProgram { .. } => {
                manifest::listed_sha256(&self.folder(location.tool)?, location.file)
            }
            Source::SystemPackage { .. } if self.own(program).is_none() => {
                manifest::listed_sha256(&self.folder(location.tool)?, location.file)
            }
            Source::Host { .. } | Source::SystemPackage { .. } | Source::RustComponent { .. } => {
                Ok(digest::of_file(&self.path(program)?.canonicalize()?)?.sha256)
            }
        }
    }

    /// The same of a file of installed npm modules, `PACKAGE/PATH`; the folder is [`Toolbox::npm_folder`].
    ///
    /// # Errors
    /// The list of what was installed has no such file or cannot be read.
    pub fn sha256_of_module(&self, folder: &Path, file: &str) -> Result<String> {
        manifest::listed_sha256(folder, &format!("node_modules/{file}"))
    }

    /// How a program is started, with its interpreter when it has one. Installs nothing.
    ///
    /// # Errors
    /// As [`Toolbox::path`].
    pub fn invocation(&self, program: Program) -> Result<Invocation> {
        let path = self.path(program)?;
        let folder = self.cache.join("tools");
        Ok(match (program.tool().entry().source, program.location().interpreter) {
            (Source::SystemPackage { .. }, _) if path.starts_with(folder) => self.planned(program)?,
            (_, Some(interpreter)) => by(interpreter, self.path(interpreter)?, path),
            (_, None) => Invocation { program: path, args: Vec::new() },
        })
    }

    /// How a program is, or will be, started once it is installed. Looks at nothing: for plans.
    ///
    /// # Errors
    /// Refused when a pinned one is not locked; one of the user's own must be on PATH.
    pub fn planned(&self, program: Program) -> Result<Invocation> {
        let location = program.location();
        let path = match location.tool.entry().source {
            Source::Wheel { .. } | Source::GoProgram { .. } => {
                self.folder(location.tool)?.join(location.file)
            }
            Source::SystemPackage { suite, .. }
                if self.own(program).is_none() && system_package::can_unpack() =>
            {
                return Ok(system_package::invocation(&self.folder(location.tool)?, location.file, suite));
            }
            Source::Host { .. } | Source::SystemPackage { .. } | Source::RustComponent { .. } => {
                self.path(program)?
            }
        };
        Ok(match location.interpreter {
            Some(interpreter) => by(interpreter, self.planned(interpreter)?.program, path),
            None => Invocation { program: path, args: Vec::new() },
        })
    }

    /// The version that a program prints; none when it prints none that is understood.
    ///
    /// # Errors
    /// The program is not there or cannot be run.
    pub fn version(&self, program: Program) -> Result<Option<String>> {
        let argv = self.invocation(program)?.argv(program.location().version);
        let handle = duct::cmd(&argv[0], &argv[1..])
            .stdin_null()
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .start()
            .with_context(|| format!("{} cannot be run", argv[0].display()))?;
        let Some(output) = handle.wait_timeout(VERSION_LIMIT)? else {
            handle.kill()?;
            bail!("{} did not print its version within {} s", argv[0].display(), VERSION_LIMIT.as_secs());
        };
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!(
                "{}: {}: {}",
                argv[0].display(),
                output.status,
                text.lines().next().unwrap_or("it says nothing")
            );
        }
        // Some that are built here print none; the lock has it.
        let of_lock = || match program.tool().entry().source {
            Source::GoProgram { .. } => self.locked_version(program.tool()).ok(),
            _ => None,
        };
        Ok(version::printed(&text).map(str::to_owned).or_else(of_lock))
    }

    /// The `node_modules` of a project, installed by `npm ci` when they are not in the cache yet, and the project's
    /// `node_modules` made a link to them. Installs Node.js first when that is missing.
    ///
    /// # Errors
    /// The project has no lock, the modules cannot be had, or a real `node_modules` folder with something in it
    /// is in the way.
    pub fn npm_modules(&self, project: NpmProject<'_>, progress: &dyn Progress) -> Result<PathBuf> {
        let folder = self.npm_folder(project)?;
        let modules = folder.join("node_modules");
        if self.modules_state(&folder) != State::Whole {
            self.ensure(&[Tool::Node], progress)?;
            install::modules(self, project, &folder, progress)?;
        }
        install::link(&project.folder.join("node_modules"), &modules)?;
        Ok(modules)
    }

    /// Where a tool that installs is, or will be, installed.
    ///
    /// # Errors
    /// Refused when it is pinned and not locked.
    pub fn folder(&self, tool: Tool) -> Result<PathBuf> {
        let tools = self.cache.join("tools");
        match tool.entry().source {
            Source::SystemPackage { package, suite, .. } => {
                return Ok(tools.join(system_package::key(package, suite)));
            }
            Source::GoProgram { folder, tags } => return Ok(tools.join(self.go_program(folder, tags)?.key)),
            _ => {}
        }
        let closure = self.closure(tool)?;
        let key = requirements::key(&closure, std::env::consts::ARCH)
            .expect("a closure begins with the tool itself");
        Ok(tools.join(key))
    }

    /// Where the lock of a Go program lies.
    pub(super) fn go_lock(&self, folder: &str) -> PathBuf {
        self.root.join(go_program::LOCKS).join(folder)
    }

    fn go_program(&self, folder: &str, tags: &str) -> Result<go_program::Locked> {
        let at = self.go_lock(folder);
        let read = |name: &str| {
            let path = at.join(name);
            fs::read_to_string(&path)
                .map_err(|error| refused(format!("{}: {error}; it locks a pinned program", path.display())))
        };
        let (module, mut rest) = (read("go.mod")?, read("go.sum")?);
        for source in go_program::sources(&at) {
            rest += &read(&source)?;
        }
        let go = key_of(&self.folder(Tool::Go)?);
        go_program::locked(folder, tags, &module, &rest, &go)
            .map_err(|problem| refused(format!("{}: {problem}", at.join("go.mod").display())))
    }

    /// The version that a pinned tool is locked to.
    ///
    /// # Errors
    /// Refused when it is not locked.
    pub fn locked_version(&self, tool: Tool) -> Result<String> {
        if let Source::GoProgram { folder, tags } = tool.entry().source {
            return Ok(self.go_program(folder, tags)?.version);
        }
        Ok(self.closure(tool)?[0].version.clone())
    }

    pub(super) fn closure(&self, tool: Tool) -> Result<Vec<&requirements::Locked>> {
        let distribution = tool.distribution().unwrap_or_default();
        let closure = self.requirements.closure(distribution);
        if closure.is_empty() {
            return Err(refused(format!(
                "ops/ci/requirements.txt: {} is not locked: expected a block `{distribution}==VERSION` with hashes; the \
                 head of the file says how to make one",
                tool.entry().name
            )));
        }
        Ok(closure)
    }

    /// Where a project's modules are, or will be, installed: a folder with `node_modules` in it.
    ///
    /// # Errors
    /// Refused when the project has no lock.
    pub fn npm_folder(&self, project: NpmProject<'_>) -> Result<PathBuf> {
        let read = |name: &str| {
            let path = project.folder.join(name);
            fs::read(&path)
                .map_err(|error| refused(format!("{}: {error}; npm installs by it", path.display())))
        };
        let (manifest, lock) = (read("package.json")?, read("package-lock.json")?);
        let key = npm::key(&manifest, &lock, &self.locked_version(Tool::Node)?, std::env::consts::ARCH);
        Ok(self.cache.join("npm").join(key))
    }
}

/// What to type to get one of the user's own programs.
pub fn how_to_get(debian: &str, fedora: &str) -> String {
    if debian == fedora && !debian.starts_with("python") {
        return format!("install {debian}");
    }
    format!("apt-get install {debian} (Debian), dnf install {fedora} (Fedora)")
}

/// What to do to get a program of the system's packages that could not be unpacked.
pub fn how_to_get_package(package: &str, minimum: &str) -> String {
    format!("install {package} {minimum} or newer with the system's package manager, or put it on PATH")
}

/// What to type to get a component of the Rust toolchain, or what stands for it.
pub fn how_to_get_component(component: &str, least: u32) -> String {
    format!(
        "rustup component add {component}, or apt-get install llvm-{least} (Debian), dnf install llvm (Fedora)"
    )
}

/// An interpreter that runs a file, and writes nothing beside it: that would be a change of what was installed.
fn by(interpreter: Program, program: PathBuf, file: PathBuf) -> Invocation {
    let switches: &[&str] = if interpreter == Program::Python { &["-I", "-B"] } else { &[] };
    let args = switches.iter().map(OsString::from).chain([file.into_os_string()]).collect();
    Invocation { program, args }
}

pub(super) fn key_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn together(problems: Vec<anyhow::Error>) -> Result<()> {
    let mut problems = problems.into_iter();
    match (problems.next(), problems.len()) {
        (None, _) => Ok(()),
        (Some(only), 0) => Err(only),
        (Some(first), _) => {
            let all: Vec<_> =
                std::iter::once(first).chain(problems).map(|problem| format!("{problem:#}")).collect();
            bail!("{} programs are missing\n{}", all.len(), all.join("\n"))
        }
    }
}
