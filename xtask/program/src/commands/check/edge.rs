//! `cargo xtask check edge`: HAProxy itself reads the configuration of the edge, in the oldest version that runs it and in a
//! newer one: what one of them accepts, the other may not know yet, or no longer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use artifacts::containers::edge::{configured, place_variables};
use clap::Args;
use serde_json::json;
use vocabulary::model::environment::{Acme, EdgeSettings, Environment, Tls, TlsProfile};
use vocabulary::model::topology::Scope;
use vocabulary::model::{EdgePolicy, Platform, Unit, Value};
use vocabulary::problem::listing;

use crate::context::Context;
use crate::engines::process::certificate;
use crate::engines::process::instance::{ADDRESS, Ports, sockets};
use crate::engines::process::observe::edge_configuration;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::stdout;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask check edge
  cargo xtask check edge haproxy.cfg")]
pub struct Options {
    /// Another file instead of the generated ones
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

const READERS: [(Tool, Program); 2] =
    [(Tool::Haproxy, Program::Haproxy), (Tool::HaproxyNext, Program::HaproxyNext)];
/// No version knows this.
const PLANTED: &str = "\nplanted-fault\n";
/// Nobody listens while a configuration is read.
const FIRST_PORT: u16 = 20_000;

/// # Errors
/// A version cannot be had, accepts what it must refuse, or refuses a configuration or warns of something in it.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let platform = context.platform;
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&READERS.map(|(tool, _)| tool), progress::on_stderr().as_ref())?;
    let environment = Scope::Production.environment();
    let units = platform.units(&environment);
    let texts = match &options.file {
        Some(file) => vec![(file.display().to_string(), read(file)?)],
        None => configurations(context, &environment, &units)?,
    };
    let folder = files::temporary::folder("flowship-check-edge-")?;
    let folder = folder.path();
    let certificate = folder.join("edge.pem");
    certificate::ensure(&certificate, &Environment::default(), folder)?;
    fs::write(folder.join(EdgePolicy::SERVER_STATES), EdgePolicy::NO_SERVER_STATES)?;
    let variables = variables(platform, &units, &certificate);
    let newer = match &options.file {
        Some(_) => vec![],
        None => vec![fetching(platform, &environment, &units)?],
    };
    let (mut versions, mut findings) = (Vec::new(), Vec::new());
    for (tool, program) in READERS {
        let version = toolbox.version(program)?.unwrap_or_default();
        let says = |text: &str| judged(&toolbox, program, folder, &variables, text);
        for (name, text) in texts.iter().chain(newer.iter().filter(|_| tool == Tool::HaproxyNext)) {
            if !says(&format!("{text}{PLANTED}"))?.iter().any(|line| line.contains(PLANTED.trim())) {
                bail!("HAProxy {version} accepts {name} with an unknown keyword: it checks nothing");
            }
            findings.extend(says(text)?.into_iter().map(|line| format!("{name}: HAProxy {version}: {line}")));
        }
        versions.push(version);
    }
    if context.json {
        stdout::json(&json!({ "versions": versions, "findings": findings }))?;
    } else if findings.is_empty() {
        let named = |texts: &[(String, String)]| {
            texts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        stdout::text(&format!("HAProxy {} accept {}\n", versions.join(" and "), named(&texts)))?;
        if let (false, Some(version)) = (newer.is_empty(), versions.last()) {
            stdout::text(&format!("HAProxy {version} accepts {}\n", named(&newer)))?;
        }
    } else {
        findings.iter().for_each(|line| eprintln!("{line}"));
    }
    if findings.is_empty() { Ok(()) } else { Err(Reported.into()) }
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|error| refused(format!("{}: {error}; expected a file", file.display())))
}

/// The one of the repository, the one that the process engine renders, and one with everything that a site can set.
fn configurations(
    context: &Context,
    environment: &Environment,
    units: &[Unit<'_>],
) -> Result<Vec<(String, String)>> {
    let platform = context.platform;
    let refused = |problems: Vec<_>| refused(listing(&problems));
    let committed = configured(platform, units, &environment.edge).map_err(refused)?.path;
    let sockets = sockets(units, environment).into_iter().map(|socket| socket.key);
    let ports: Ports = sockets.zip(FIRST_PORT..).collect();
    let rendered = edge_configuration(platform, environment, units, &ports, Path::new("/"))
        .map_err(refused)?
        .context("there is no edge")?;
    let text = read(&context.path(&committed))?;
    let everything = configured(platform, units, &everything()).map_err(refused)?;
    Ok(vec![
        (committed, text),
        ("that of the process engine".to_owned(), rendered.contents),
        ("one with all settings of a site".to_owned(), everything.contents),
    ])
}

/// One that fetches its certificate, which older versions cannot.
fn fetching(platform: &Platform, environment: &Environment, units: &[Unit<'_>]) -> Result<(String, String)> {
    let acme = Acme { acme_contact: "somebody@example.com".to_owned(), ..Acme::default() };
    let domain = "flows.example.com".to_owned();
    let fetching = Environment { domain, tls: Tls::Acme(acme), ..environment.clone() };
    let ports = sockets(units, &fetching).into_iter().map(|socket| socket.key).zip(FIRST_PORT..).collect();
    let made = edge_configuration(platform, &fetching, units, &ports, Path::new("/"))
        .map_err(|problems| refused(listing(&problems)))?
        .context("there is no edge")?;
    Ok(("one that fetches its certificate".to_owned(), made.contents))
}

/// As many networks as more than one line has room for.
fn everything() -> EdgeSettings {
    let networks = |first: u8| (0..40).map(|number| format!("10.{first}.{number}.0/24")).collect();
    EdgeSettings {
        tls_profile: TlsProfile::Modern,
        allow: networks(1),
        deny: networks(2),
        trusted_proxies: networks(3),
    }
}

/// What the configuration reads, with values that fit.
fn variables(platform: &Platform, units: &[Unit<'_>], certificate: &Path) -> BTreeMap<String, String> {
    let edge = units.iter().find(|unit| platform.is_edge(unit));
    let mut ports = FIRST_PORT..;
    let mut number = || ports.next().unwrap_or_default().to_string();
    let mut variables = BTreeMap::new();
    for variable in edge.iter().flat_map(|edge| &edge.service.variables) {
        let value = match variable.value {
            Value::BindAddress(_) => ADDRESS.to_owned(),
            Value::BindPort(_) => number(),
            _ => "check".to_owned(),
        };
        variables.insert(variable.name.to_owned(), value);
    }
    for secret in edge.iter().flat_map(|edge| &edge.service.secrets) {
        variables.extend(secret.variable.map(|name| (name.to_owned(), certificate.display().to_string())));
    }
    for unit in units.iter().filter(|unit| platform.is_worker(unit)) {
        let [host, port, check_port] = place_variables(unit);
        variables.extend([(host, ADDRESS.to_owned()), (port, number()), (check_port, number())]);
    }
    variables
}

/// What a HAProxy has against a configuration; nothing when it accepts it without a warning.
fn judged(
    toolbox: &Toolbox,
    program: Program,
    folder: &Path,
    variables: &BTreeMap<String, String>,
    text: &str,
) -> Result<Vec<String>> {
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text)?;
    let words = ["-c".as_ref(), "-C".as_ref(), folder.as_os_str(), "-f".as_ref(), file.as_os_str()];
    let argv = toolbox.invocation(program)?.argv(words);
    let mut command = duct::cmd(&argv[0], &argv[1..]).stdin_null().stderr_to_stdout().stdout_capture();
    for (name, value) in variables {
        command = command.env(name, value);
    }
    let output = command.unchecked().run().with_context(|| argv[0].display().to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let bad = |line: &&str| line.contains("[ALERT]") || line.contains("[WARNING]");
    let mut lines: Vec<String> = said.lines().filter(bad).map(str::to_owned).collect();
    if lines.is_empty() && !output.status.success() {
        lines.push(format!("{}: {}", output.status, said.trim()));
    }
    Ok(lines)
}
