//! `cargo xtask doctor`: each external program, whether it is there, and how to get it.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::context::Context;
use crate::tools::catalogue::Source;
use crate::tools::toolbox::{how_to_get, how_to_get_component, how_to_get_package};
use crate::tools::{NpmProject, State as Installed, Tool, Toolbox, progress, system_package, version};
use foundation::columns;
use foundation::exit::{Reported, refused};
use foundation::nearest::closest;
use foundation::program_name::PROGRAM;
use foundation::stdout;

/// The name under which `--install` takes the npm modules.
const MODULES: &str = "modules";

fn of_itself() -> String {
    format!("{PROGRAM} doctor --install, or automatically on first use")
}

fn on_demand(name: &str) -> String {
    format!("{PROGRAM} doctor --install {name}, or automatically on first use")
}

/// What is known of one program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    program: String,
    state: State,
    /// Whether the platform cannot be developed without it.
    required: bool,
    /// The version found, else the version that would be installed.
    version: Option<String>,
    path: Option<PathBuf>,
    purpose: &'static str,
    /// What to do to get it; of a broken one, what is wrong with it.
    get: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Found,
    /// Pinned, and installed on first need.
    NotYet,
    Missing,
    TooOld,
    /// It is there and does not run.
    Broken,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask doctor
  cargo xtask doctor --json
  cargo xtask doctor --install
  cargo xtask doctor --install zizmor dbmate")]
pub struct Options {
    /// Install missing pinned programs: all but those built from Go, or only the named ones (`modules`: the npm modules)
    #[arg(long, value_name = "PROGRAM", num_args = 0..)]
    install: Option<Vec<String>>,
}

/// Installs when asked to, then shows each program.
///
/// # Errors
/// Refused when a name to install or the lock is not understood; reported when an installation failed, or a
/// required program is missing, too old or broken.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let toolbox = Toolbox::open(context)?;
    let flows = context.path("flows");
    let project = flows.join("package-lock.json").is_file().then_some(NpmProject { folder: &flows });
    if let Some(names) = &options.install {
        let (tools, modules) = chosen(names)?;
        let progress = progress::on_stderr();
        toolbox.ensure(&tools, progress.as_ref())?;
        if let Some(project) = project.filter(|_| modules) {
            toolbox.npm_modules(project, progress.as_ref())?;
        }
    }
    let mut findings = look(&toolbox)?;
    if context.is_bundle() {
        forgive(&mut findings);
    }
    if let Some(project) = project {
        findings.push(modules(&toolbox, project)?);
    }
    if context.json {
        stdout::json(&findings)?;
    } else {
        stdout::text(&table(&findings))?;
    }
    if failing(&findings) { Err(Reported.into()) } else { Ok(()) }
}

/// The tools of these names that install, all pinned ones for none, and whether the npm modules are among them. Pure.
fn chosen(names: &[String]) -> Result<(Vec<Tool>, bool)> {
    if names.is_empty() {
        return Ok((Tool::pinned().collect(), true));
    }
    let installing = || Tool::ALL.iter().copied().filter(|tool| tool.installs());
    let known = || installing().map(|tool| tool.program().command()).chain([MODULES]);
    let mut problems = Vec::new();
    for name in names.iter().filter(|name| !known().any(|known| known == *name)) {
        let nearest = closest(name, known());
        problems.push(format!(
            "--install {name}: not a pinned program; did you mean {}? The pinned programs are {}",
            nearest.unwrap_or(MODULES),
            known().collect::<Vec<_>>().join(", ")
        ));
    }
    if !problems.is_empty() {
        return Err(refused(problems.join("\n")));
    }
    let named = |name: &str| names.iter().any(|given| given == name);
    Ok((installing().filter(|tool| named(tool.program().command())).collect(), named(MODULES)))
}

/// An operator builds nothing. Pure.
fn forgive(findings: &mut [Finding]) {
    let for_developers = [Tool::Cargo, Tool::Compiler, Tool::Git].map(|tool| tool.program().command());
    for finding in findings.iter_mut().filter(|one| for_developers.contains(&one.program.as_str())) {
        finding.required = false;
    }
}

/// Looks at every tool of the catalogue, all at once: some take a second to tell their version.
fn look(toolbox: &Toolbox) -> Result<Vec<Finding>> {
    std::thread::scope(|scope| {
        let looks: Vec<_> = Tool::ALL.iter().map(|tool| scope.spawn(|| finding(toolbox, *tool))).collect();
        looks.into_iter().map(|look| look.join().expect("looking does not panic")).collect()
    })
}

fn finding(toolbox: &Toolbox, tool: Tool) -> Result<Finding> {
    let (entry, program) = (tool.entry(), tool.program());
    let (required, minimum, get, absent, wanted) = match entry.source {
        Source::Wheel { .. } => {
            let locked = toolbox.locked_version(tool)?;
            let get = if tool == Tool::Go { on_demand(program.command()) } else { of_itself() };
            (true, None, get, State::NotYet, Some(locked))
        }
        Source::GoProgram { .. } => match toolbox.locked_version(tool) {
            Ok(locked) => (false, None, on_demand(program.command()), State::NotYet, Some(locked)),
            Err(error) => (false, None, format!("{error:#}"), State::Missing, None),
        },
        Source::SystemPackage { package, minimum, .. } => {
            let (state, get) = if system_package::can_unpack() {
                (State::NotYet, on_demand(program.command()))
            } else {
                (State::Missing, how_to_get_package(package, minimum))
            };
            (false, Some(minimum), get, state, Some(format!(">= {minimum}")))
        }
        Source::Host { needed, minimum, debian, fedora } => (
            needed,
            minimum,
            how_to_get(debian, fedora),
            State::Missing,
            minimum.map(|least| format!(">= {least}")),
        ),
        Source::RustComponent { component, least } => {
            (false, None, how_to_get_component(component, least), State::Missing, None)
        }
    };
    let installs = tool.installs() && toolbox.own(program).is_none();
    let installed = (installs && wanted.is_some()).then(|| toolbox.state(tool)).transpose()?;
    let path = toolbox.path(program).ok();
    let finding = |state, version, get| Finding {
        program: program.command().to_owned(),
        state,
        required,
        version,
        path: path.clone(),
        purpose: entry.purpose,
        get,
    };
    match installed {
        Some(Installed::Absent | Installed::Unlisted) => return Ok(finding(absent, wanted, get)),
        // Nobody knows what it would do.
        Some(Installed::Changed(how)) => {
            return Ok(finding(State::Broken, wanted, reinstall(&how, program.command())));
        }
        Some(Installed::Whole) | None => {}
    }
    if path.is_none() {
        return Ok(finding(absent, wanted, get));
    }
    Ok(match toolbox.version(program) {
        Err(error) => finding(State::Broken, None, format!("{error:#}; {get}")),
        Ok(None) => finding(State::Broken, None, format!("it prints no version; {get}")),
        Ok(found) => {
            let old = minimum.is_some_and(|least| !version::at_least(found.as_deref().unwrap_or(""), least));
            let get = if old { format!("needs {}: {get}", minimum.unwrap_or_default()) } else { get };
            finding(if old { State::TooOld } else { State::Found }, found, get)
        }
    })
}

fn reinstall(how: &str, name: &str) -> String {
    format!(
        "{how}; it is not used. `{PROGRAM} doctor --install {name}`, or any command that needs it, installs it again"
    )
}

fn modules(toolbox: &Toolbox, project: NpmProject<'_>) -> Result<Finding> {
    let folder = toolbox.npm_folder(project)?;
    let (state, get) = match toolbox.modules_state(&folder) {
        Installed::Whole => (State::Found, String::new()),
        Installed::Absent | Installed::Unlisted => (State::NotYet, of_itself()),
        Installed::Changed(how) => (State::Broken, reinstall(&how, MODULES)),
    };
    Ok(Finding {
        program: MODULES.to_owned(),
        required: true,
        version: None,
        path: (state != State::NotYet).then_some(folder),
        purpose: "run and test the flows",
        state,
        get,
    })
}

/// Whether work is impossible: what installs itself on first need is not missed. Pure.
fn failing(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.required && !matches!(finding.state, State::Found | State::NotYet))
}

/// A row each; how to get it only where something is to be got. Pure.
fn table(findings: &[Finding]) -> String {
    let header = ["PROGRAM", "STATE", "VERSION", "FOR", "WHERE, OR HOW TO GET IT"].map(str::to_owned);
    let rows = findings.iter().map(|finding| {
        let state = match (finding.state, finding.required) {
            (State::Found, _) => "found",
            (State::NotYet, _) => "not yet",
            (State::Missing, true) => "MISSING",
            (State::Missing, false) => "optional",
            (State::TooOld, _) => "TOO OLD",
            (State::Broken, _) => "BROKEN",
        };
        let place = match (&finding.path, finding.state) {
            (Some(path), State::Found) => path.display().to_string(),
            (Some(path), _) => format!("{}: {}", path.display(), finding.get),
            (None, _) => finding.get.clone(),
        };
        let version = finding.version.clone().unwrap_or_else(|| "-".to_owned());
        [finding.program.clone(), state.to_owned(), version, finding.purpose.to_owned(), place]
    });
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    columns::table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State, required: bool) -> Finding {
        Finding {
            program: "git".into(),
            state,
            required,
            version: Some("2.39".into()),
            path: (state != State::Missing).then(|| "/bin/git".into()),
            purpose: "tell",
            get: "install git".into(),
        }
    }

    #[test]
    fn only_what_stops_work_fails() {
        for (state, required, expected) in [
            (State::Found, true, false),
            (State::NotYet, true, false),
            (State::Missing, true, true),
            (State::Missing, false, false),
            (State::TooOld, true, true),
            (State::Broken, true, true),
            (State::Broken, false, false),
        ] {
            assert_eq!(
                failing(&[row(State::Found, true), row(state, required)]),
                expected,
                "{state:?} {required}"
            );
        }
    }

    #[test]
    fn an_operator_needs_no_compiler() {
        let named = |program: &str| Finding { program: program.into(), ..row(State::Missing, true) };
        let mut findings = ["cargo", "git", "cc"].map(named);
        assert!(failing(&findings));
        forgive(&mut findings);
        assert!(!failing(&findings), "{findings:?}");
        let mut python = [named("python3")];
        forgive(&mut python);
        assert!(failing(&python));
    }

    #[test]
    fn the_table_lines_up() {
        assert_eq!(
            table(&[row(State::Found, true), row(State::Missing, true), row(State::TooOld, true)]),
            "PROGRAM  STATE    VERSION  FOR   WHERE, OR HOW TO GET IT\n\
             git      found    2.39     tell  /bin/git\n\
             git      MISSING  2.39     tell  install git\n\
             git      TOO OLD  2.39     tell  /bin/git: install git\n"
        );
    }

    #[test]
    fn names_to_install_are_checked_all_at_once() {
        let names = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(chosen(&[]).unwrap().0.len(), Tool::pinned().count());
        assert_eq!(chosen(&names("zizmor modules")).unwrap(), (vec![Tool::Zizmor], true));
        let problem = chosen(&names("zizmr git")).unwrap_err().to_string();
        assert!(problem.contains("zizmr: not a pinned program; did you mean zizmor?"), "{problem}");
        assert!(problem.contains("--install git:"), "{problem}");
    }
}
