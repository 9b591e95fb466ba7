//! `cargo xtask check firewall`: nftables itself reads the rulesets of the environments' hosts, and one for each engine.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use artifacts::firewall::{Resolved, remotes, ruleset};
use judges::site;
use serde_json::json;
use vocabulary::model::environment::{EngineKind, Environment, Firewall, Host, Listen};
use vocabulary::model::topology::Scope;
use vocabulary::problem::listing;

use crate::context::Context;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::stdout;

/// No version knows this.
const PLANTED: &str = "\nplanted-fault\n";

/// # Errors
/// nftables cannot be had, accepts what it must refuse, or refuses a ruleset.
pub fn run(context: &Context) -> Result<()> {
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::Nft], progress::on_stderr().as_ref())?;
    let folder = files::temporary::folder("flowship-check-firewall-")?;
    let says = |text: &str| judged(&toolbox, folder.path(), text);
    let environments = site::load_all(&context.root, &site::known(context.platform))?;
    let (mut names, mut findings) = (Vec::new(), Vec::new());
    for environment in environments.into_iter().chain(of_each_engine()) {
        let Some(text) = made(context, &environment)? else { continue };
        if says(&format!("{text}{PLANTED}"))?.is_empty() {
            bail!(
                "nftables accepts the ruleset of {} with an unknown command: it checks nothing",
                environment.name
            );
        }
        let found = says(&text)?;
        findings.extend(found.into_iter().map(|line| format!("{}: {line}", environment.name)));
        names.push(environment.name);
    }
    if context.json {
        stdout::json(&json!({ "rulesets": names, "findings": findings }))?;
    } else if findings.is_empty() {
        let version = toolbox.version(Program::Nft)?.unwrap_or_default();
        stdout::text(&format!("nftables {version} accepts the rulesets of {}\n", names.join(", ")))?;
    } else {
        findings.iter().for_each(|line| eprintln!("{line}"));
    }
    if findings.is_empty() { Ok(()) } else { Err(Reported.into()) }
}

/// Environments with everything that a ruleset can have.
fn of_each_engine() -> [Environment; 2] {
    [EngineKind::Process, EngineKind::Compose].map(|engine| Environment {
        name: format!("example-of-{engine}"),
        engine,
        // A user that every system has: nftables looks it up.
        hosts: vec![Host { ssh_user: "nobody".to_owned(), ..Host::default() }],
        listen: Some(Listen { address: "0.0.0.0".to_owned(), ..Listen::default() }),
        firewall: Some(Firewall {
            ssh_from: ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"].map(str::to_owned).to_vec(),
            ..Firewall::default()
        }),
        ..Scope::Production.environment()
    })
}

fn made(context: &Context, environment: &Environment) -> Result<Option<String>> {
    let platform = context.platform;
    let documentation = ["192.0.2.77", "2001:db8::77"].map(|text| text.parse().expect("an address"));
    let remotes = platform.services.iter().flat_map(|service| remotes(platform, environment, service));
    let resolved: Resolved = remotes.map(|remote| (remote.host, documentation.to_vec())).collect();
    ruleset(platform, environment, platform.containers.network_prefix, &resolved)
        .map_err(|problems| refused(listing(&problems)))
}

/// What nftables has against a ruleset; nothing when it accepts it.
fn judged(toolbox: &Toolbox, folder: &Path, text: &str) -> Result<Vec<String>> {
    let file = folder.join("firewall.nft");
    fs::write(&file, text)?;
    let argv = toolbox.invocation(Program::Nft)?.argv(["-c".as_ref(), "-f".as_ref(), file.as_os_str()]);
    let command = duct::cmd(&argv[0], &argv[1..]).stdin_null().stderr_to_stdout().stdout_capture();
    let output = command.unchecked().run().with_context(|| argv[0].display().to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<String> = said.lines().filter(|line| line.contains("Error")).map(str::to_owned).collect();
    Ok(if lines.is_empty() && !output.status.success() {
        vec![format!("{}: {}", output.status, said.trim())]
    } else {
        lines
    })
}
