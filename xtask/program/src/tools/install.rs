//! Puts wheels and npm modules into the cache. Acts; what to run and how to read it is in [`super::pip`] and
//! [`super::npm`].

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::cache::{self, Entry};
use super::catalogue::{Program, Source, Tool};
use super::manifest::State;
use super::pip::{self, Failure};
use super::progress::Progress;
use super::requirements::{self, Locked};
use super::toolbox::{NpmProject, Toolbox, how_to_get_package, key_of};
use super::{go_program, npm, system_package, version};

use foundation::files;

/// Installs pinned tools that are missing, pip first, then the others at once. Gives what went wrong.
pub fn wheels(toolbox: &Toolbox, tools: &[Tool], progress: &dyn Progress) -> Vec<anyhow::Error> {
    let python = match python(toolbox) {
        Ok(python) => python,
        Err(error) => return vec![error],
    };
    if let Err(error) = pip_itself(toolbox, &python, progress) {
        let named = |tool: &Tool| match toolbox.state(*tool) {
            Ok(State::Changed(how)) => format!("{} ({how})", tool.entry().name),
            _ => tool.entry().name.to_owned(),
        };
        let others: Vec<_> = tools.iter().filter(|tool| **tool != Tool::Pip).map(named).collect();
        return vec![if others.is_empty() {
            error
        } else {
            error.context(format!("{} cannot be installed", others.join(", ")))
        }];
    }
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for tool in tools.iter().filter(|tool| **tool != Tool::Pip) {
            let (python, problems) = (&python, &problems);
            scope.spawn(move || {
                if let Err(error) = wheel(toolbox, *tool, python, progress) {
                    problems.lock().expect("no thread panics while it adds a problem").push(error);
                }
            });
        }
    });
    problems.into_inner().expect("no thread panics while it adds a problem")
}

/// Installs a project's npm modules as the entry `folder` of the cache.
pub fn modules(
    toolbox: &Toolbox,
    project: NpmProject<'_>,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    const SUBJECT: &str = "npm modules";
    let key = key_of(folder);
    let Some(entry) = Entry::begin(&toolbox.cache, "npm", &key, SUBJECT, progress)? else {
        return Ok(());
    };
    let made = entry.stage().join("made");
    fs::create_dir(&made)?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(project.folder.join(name), made.join(name))?;
    }
    let _ = fs::copy(project.folder.join(".npmrc"), made.join(".npmrc"));
    let node = toolbox.path(Program::Node)?;
    let cli = toolbox.path(Program::Npm)?;
    let packages = npm::packages(&fs::read_to_string(made.join("package-lock.json"))?).unwrap_or(0);
    announced(SUBJECT, &format!("installing {packages} packages"), &made, progress, || {
        let python = python(toolbox)?;
        let mut command = vec![node.clone().into_os_string()];
        command.extend(npm::ci(&cli));
        let log = run(
            &Job { python: &python, command, folder: &made, entry: &entry, extra: &[] },
            SUBJECT,
            progress,
        )?;
        let Err(log) = log else { return Ok(()) };
        let registry = || {
            let argv = npm::registry(&cli);
            duct::cmd(&node, argv).dir(&made).stdin_null().stderr_null().read().unwrap_or_default()
        };
        Err(told(
            npm::failure(&log),
            &log,
            "the npm modules",
            registry,
            "npm_config_registry to a registry that this machine reaches",
        ))
    })?;
    entry.finish(&made)?;
    Ok(())
}

fn there(folder: &Path, program: Program) -> bool {
    fs::metadata(folder.join(program.location().file)).is_ok_and(|file| file.is_file() && file.len() > 0)
}

/// Makes `link` a symbolic link to `modules`, at once and whatever link or empty folder was there.
pub fn link(link: &Path, modules: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|now| now == modules) {
        return Ok(());
    }
    if fs::symlink_metadata(link).is_ok_and(|found| !found.is_symlink()) && fs::remove_dir(link).is_err() {
        bail!(
            "{} must be a link to the pinned modules, but is a folder; it was not changed: move it away and run the \
             command again",
            link.display()
        );
    }
    files::write::link(link, modules)
        .with_context(|| format!("cannot make {} a link to {}", link.display(), modules.display()))
}

/// The Python that installs, when it is new enough.
fn python(toolbox: &Toolbox) -> Result<PathBuf> {
    let found = toolbox.version(Program::Python)?.unwrap_or_default();
    let Source::Host { minimum: Some(minimum), debian, fedora, .. } = Tool::Python.entry().source else {
        unreachable!("the catalogue has a minimum for Python")
    };
    if !version::at_least(&found, minimum) {
        bail!(
            "python3 is {found}, the pinned programs need {minimum} or newer: {}, and put it first on PATH",
            super::toolbox::how_to_get(debian, fedora)
        );
    }
    toolbox.path(Program::Python)
}

fn pip_itself(toolbox: &Toolbox, python: &Path, progress: &dyn Progress) -> Result<()> {
    let wheels = toolbox.closure(Tool::Pip)?;
    make_of_wheels(toolbox, Tool::Pip, &wheels, python, progress, |entry, made, key| {
        let command = pip::fetch(&wheels[0].version, made, &wheels[0].hashes);
        run(
            &Job { python, command: before(python, command), folder: entry.stage(), entry, extra: &[] },
            key,
            progress,
        )
    })
}

fn wheel(toolbox: &Toolbox, tool: Tool, python: &Path, progress: &dyn Progress) -> Result<()> {
    let wheels = toolbox.closure(tool)?;
    let pip = toolbox.path(Program::Pip)?;
    make_of_wheels(toolbox, tool, &wheels, python, progress, |entry, made, key| {
        let locked = entry.stage().join("locked.txt");
        fs::write(&locked, requirements::subset(&wheels))?;
        let temporary = entry.stage().join("tmp");
        fs::create_dir(&temporary)?;
        // pip unpacks beside the target and then moves: on one file system that is a rename. The switches undo what
        // a user may have configured for other purposes and what does not go with a target folder.
        let extra = [
            ("TMPDIR", temporary.as_os_str()),
            ("PIP_USER", "0".as_ref()),
            ("PIP_REQUIRE_VIRTUALENV", "0".as_ref()),
        ];
        let command = before(python, pip::install(&pip, &locked, made));
        run(&Job { python, command, folder: entry.stage(), entry, extra: &extra }, key, progress)
    })
}

/// Builds a Go program with the pinned Go, which is there.
pub fn go_program(toolbox: &Toolbox, tool: Tool, progress: &dyn Progress) -> Result<()> {
    let Source::GoProgram { folder, tags } = tool.entry().source else {
        unreachable!("only what the catalogue has as a Go program is built")
    };
    let subject = format!("{} {}", tool.entry().name, toolbox.locked_version(tool)?);
    let (python, go) = (python(toolbox)?, toolbox.path(Program::Go)?);
    let root = toolbox.folder(Tool::Go)?.join(go_program::ROOT);
    let install = |entry: &Entry, made: &Path| {
        // A copy: the lock may be edited meanwhile.
        let (lock, work) = (entry.stage().join("lock"), entry.stage().join("work"));
        [&lock, &work].into_iter().try_for_each(fs::create_dir)?;
        let folder = toolbox.go_lock(folder);
        for name in ["go.mod", "go.sum"].map(str::to_owned).into_iter().chain(go_program::sources(&folder)) {
            fs::copy(folder.join(&name), lock.join(name))?;
        }
        let variables = go_program::variables(&root, &work);
        let extra: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
        let command = go_program::build(&go, tags, &made.join("bin"));
        let job = Job { python: &python, command, folder: &lock, entry, extra: &extra };
        let Err(log) = run(&job, &subject, progress)? else { return Ok(()) };
        let proxy = || {
            let argv = go_program::proxy(&go);
            let said = duct::cmd(&argv[0], &argv[1..]).stdin_null().stderr_null().read();
            go_program::without_credentials(&said.unwrap_or_default())
        };
        let what = format!("{subject} (needed to {})", tool.entry().purpose);
        Err(told(
            go_program::failure(&log),
            &log,
            &what,
            proxy,
            "GOPROXY to a module proxy that this machine reaches",
        ))
    };
    make(toolbox, tool, &subject, "building it from source", progress, install)
}

/// Unpacks a package of the system, with what it needs and the system lacks.
pub fn system_package(toolbox: &Toolbox, tool: Tool, progress: &dyn Progress) -> Result<()> {
    let (entry, subject) = (tool.entry(), tool.entry().name);
    let Source::SystemPackage { package, minimum, suite } = entry.source else {
        unreachable!("only what the catalogue has as a package of the system is unpacked")
    };
    let get = how_to_get_package(package, minimum);
    if !system_package::can_unpack() {
        bail!("{subject} is not installed, it is needed to {}: {get}", entry.purpose);
    }
    let python = python(toolbox)?;
    let install = |entry: &Entry, made: &Path| {
        let words = ["/bin/sh", "-c", system_package::SCRIPT, "unpack_package.sh", package];
        let mut command: Vec<OsString> = words.map(OsString::from).into();
        command.extend([made.as_os_str().to_owned(), entry.stage().join("work").into_os_string()]);
        command.extend(suite.map(OsString::from));
        let extra = [("LC_ALL", "C".as_ref())];
        let ended = run(
            &Job { python: &python, command, folder: entry.stage(), entry, extra: &extra },
            subject,
            progress,
        )?;
        if let Err(log) = ended {
            let from = suite.map_or("the system's packages".to_owned(), |suite| format!("Debian {suite}"));
            bail!("{subject} cannot be unpacked from {from}; {get}\n{}", pip::tail(&log, 8).trim_end());
        }
        if suite.is_some() {
            system_package::write_start(made, tool.program().location().file)?;
        }
        let program = system_package::invocation(made, tool.program().location().file, suite);
        let argv = program.argv(tool.program().location().version);
        if !system_package::new_enough(&argv, minimum) {
            bail!("the system's package {package} brings no {subject} {minimum} or newer; {get}");
        }
        Ok(())
    };
    make(toolbox, tool, subject, "installing", progress, install)
}

/// Makes one tool's entry by `install`.
fn make(
    toolbox: &Toolbox,
    tool: Tool,
    subject: &str,
    text: &str,
    progress: &dyn Progress,
    install: impl FnOnce(&Entry, &Path) -> Result<()>,
) -> Result<()> {
    let key = key_of(&toolbox.folder(tool)?);
    let Some(entry) = Entry::begin(&toolbox.cache, "tools", &key, subject, progress)? else {
        return Ok(());
    };
    let made = entry.stage().join("made");
    announced(subject, text, &made, progress, || {
        install(&entry, &made)?;
        for program in Program::ALL.iter().filter(|program| program.tool() == tool) {
            if !there(&made, *program) {
                bail!(
                    "{subject}: it brings no {}; correct xtask/program/src/tools/catalogue.rs",
                    program.location().file
                );
            }
        }
        Ok(())
    })?;
    entry.finish(&made)?;
    Ok(())
}

/// Makes one pinned tool's entry by `install`, which gives the log when it failed.
fn make_of_wheels(
    toolbox: &Toolbox,
    tool: Tool,
    wheels: &[&Locked],
    python: &Path,
    progress: &dyn Progress,
    install: impl FnOnce(&Entry, &Path, &str) -> Result<Result<(), String>>,
) -> Result<()> {
    let subject = format!("{} {}", tool.entry().name, wheels[0].version);
    make(toolbox, tool, &subject, "installing", progress, |entry, made| {
        if let Err(log) = install(entry, made, &subject)? {
            let what = format!("{subject} (needed to {})", tool.entry().purpose);
            let remedy = format!(
                "PIP_INDEX_URL to an index that this machine reaches, or PIP_FIND_LINKS to a folder that holds {}",
                wheels.iter().map(|wheel| file_pattern(wheel)).collect::<Vec<_>>().join(", ")
            );
            let index =
                || duct::cmd(python, pip::index()).stdin_null().stderr_null().read().unwrap_or_default();
            return Err(told(pip::failure(&log), &log, &what, index, &remedy));
        }
        Ok(())
    })
}

fn file_pattern(wheel: &Locked) -> String {
    format!("{}-{}-*.whl", wheel.name.replace('-', "_"), wheel.version)
}

fn before(python: &Path, argv: Vec<OsString>) -> Vec<OsString> {
    std::iter::once(python.as_os_str().to_owned()).chain(argv).collect()
}

fn announced(
    subject: &str,
    text: &str,
    made: &Path,
    progress: &dyn Progress,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    progress.started(subject, text);
    let since = Instant::now();
    match work() {
        Ok(()) => {
            let size = files::size(cache::bytes(made));
            let seconds = since.elapsed().as_secs_f64();
            progress.finished(subject, &format!("installed in {seconds:.1} s, {size}"));
            Ok(())
        }
        Err(error) => {
            progress.failed(subject);
            Err(error)
        }
    }
}

/// The error for a failed installation, with the end of the log.
fn told(
    failure: Failure,
    log: &str,
    what: &str,
    index: impl FnOnce() -> String,
    remedy: &str,
) -> anyhow::Error {
    let asked = || {
        let index = index();
        if index.trim().is_empty() { "no index is configured".to_owned() } else { index.trim().to_owned() }
    };
    let tail = pip::tail(log, 8);
    let tail = tail.trim_end();
    match failure {
        Failure::AnotherFile => anyhow!(
            "{what} was refused: the download does not match the locked hash. Nothing was installed. Find out who \
             serves another file; change the lock only if the maker published a new one\n{tail}"
        ),
        Failure::NotReached => anyhow!(
            "{what} cannot be installed: {} cannot be reached. Connect to the network, or set {remedy}; programs that \
             are already installed need no network\n{tail}",
            asked()
        ),
        Failure::NotOffered => anyhow!(
            "{what} cannot be installed: {} has no such version for this machine ({}), or does not answer. Set \
             {remedy}\n{tail}",
            asked(),
            std::env::consts::ARCH
        ),
        Failure::Other => anyhow!("{what} cannot be installed\n{tail}"),
    }
}

/// A child that installs.
struct Job<'a> {
    /// Holds the leash.
    python: &'a Path,
    command: Vec<OsString>,
    folder: &'a Path,
    entry: &'a Entry,
    extra: &'a [(&'a str, &'a std::ffi::OsStr)],
}

/// Runs a job to its end and shows its progress; gives its log when it failed.
fn run(job: &Job<'_>, subject: &str, progress: &dyn Progress) -> Result<Result<(), String>> {
    let path = job.entry.stage().join("log");
    let log = File::create(&path)?;
    let mut expression = duct::cmd(job.python, pip::leashed(std::process::id(), &job.command))
        .dir(job.folder)
        // Nobody reads it there: the child keeps the lock, so that no other run starts beside one that outlives us.
        .stdin_file(job.entry.lock()?)
        .stdout_file(log.try_clone()?)
        .stderr_file(log)
        .unchecked();
    for (name, value) in job.extra {
        expression = expression.env(name, value);
    }
    let handle = expression.start().with_context(|| format!("{} cannot be run", job.python.display()))?;
    let mut reader = File::open(&path)?;
    let mut text = String::new();
    let mut shown = 0;
    loop {
        let ended = handle.wait_timeout(Duration::from_millis(100))?.map(|output| output.status.success());
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        text.push_str(&String::from_utf8_lossy(&bytes));
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if let Some((done, total)) = text
            .get(shown..whole)
            .and_then(|new| new.lines().rev().find_map(pip::progress))
            .filter(|(_, total)| *total > 0)
        {
            progress.advanced(subject, done, total);
        }
        shown = whole;
        match ended {
            Some(true) => return Ok(Ok(())),
            Some(false) => return Ok(Err(text)),
            None if progress.cancelled() => {
                handle.kill()?;
                bail!("{subject}: cancelled");
            }
            None => {}
        }
    }
}
