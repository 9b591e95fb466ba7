//! Intents as plans of this engine. Pure: the same intent on the same instance gives the same plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use artifacts::secret_store;
use serde::Serialize;
use serde_json::json;
use vocabulary::model::environment::{Environment, SecretsIn};
use vocabulary::model::{
    Command, Destination, Health, Identity, Initialise, Label, Lifetime, Need, OnChange, Platform, PortRef,
    Process, Reaction, SecretStore, ServiceId, Unit, Value,
};

use super::instance::{ADDRESS, COMPILE_CACHE};
use super::monitoring;
use super::observe::{Observed, chosen};
use super::resolve::Resolver;
use crate::engines::compose::deployed::ReleasedImage;
use crate::engines::roll::Roll;
use crate::engines::roll::edge::Edge;
use crate::engines::roll::rotation::{self, Rotate};
use foundation::program_name::PROGRAM;
use runner::plan::action::{Action, Exec, Native, Probe, ServiceRequest, Supervise, WaitFor, Write};
use runner::plan::argument::{Arg, Secret};
use runner::plan::service::{
    Health as Checked, LogFile, ProcessSpec, Restart, RestartPolicy, ServiceName, Stop, StopSignal, Watch,
    WatchAction,
};
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// What comes before anything is started.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
pub enum Prepare {
    CheckFlows,
    InstallTools {
        programs: Vec<&'static str>,
    },
    InstallModules,
    /// An engine gets the images of the release.
    LoadImages {
        images: Vec<ReleasedImage>,
    },
    MakeSecrets,
    /// Each service's secrets, from the store to its files.
    ReadSecrets,
    RecordInstance,
}

/// The native actions of the engines' plans.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum BringUp {
    Prepare(Prepare),
    Roll(Roll),
    Rotate(Rotate),
}

impl Native for BringUp {}

/// The ids of their steps.
pub mod id {
    pub const CHECK_FLOWS: &str = "check-flows";
    pub const INSTALL_TOOLS: &str = "install-tools";
    pub const INSTALL_MODULES: &str = "install-modules";
    pub const LOAD_IMAGES: &str = "load-images";
    pub const MAKE_SECRETS: &str = "make-secrets";
    pub const RECORD: &str = "record-instance";
}

impl Prepare {
    /// How an environment's secrets get into their files.
    pub fn secrets(environment: &Environment) -> Self {
        match environment.secret_store {
            SecretsIn::Files => Self::MakeSecrets,
            SecretsIn::Vault => Self::ReadSecrets,
        }
    }

    pub fn step(self) -> Step<BringUp> {
        let permissions = || "look at the permissions of the state folder".to_owned();
        let doctor = || format!("see `{PROGRAM} doctor`");
        let (id, title, needs, remedy) = match self {
            Self::CheckFlows => (
                id::CHECK_FLOWS,
                "check the flows",
                None,
                format!("fix the flows that are named; `{PROGRAM} check flows` checks them again"),
            ),
            Self::InstallTools { .. } => (id::INSTALL_TOOLS, "install the pinned programs", None, doctor()),
            Self::InstallModules => {
                (id::INSTALL_MODULES, "install the npm packages", Some(id::INSTALL_TOOLS), doctor())
            }
            Self::LoadImages { .. } => (
                id::LOAD_IMAGES,
                "load the images of the release",
                None,
                "deploy the release again from its files".to_owned(),
            ),
            Self::MakeSecrets => (id::MAKE_SECRETS, "create the secrets", None, permissions()),
            Self::ReadSecrets => {
                let remedy = "do what it says, then run the command again".to_owned();
                (id::MAKE_SECRETS, "read the secrets from the store", None, remedy)
            }
            Self::RecordInstance => {
                (id::RECORD, "record the ports and paths", Some(id::CHECK_FLOWS), permissions())
            }
        };
        Step {
            needs: needs.into_iter().map(StepId::from).collect(),
            remedy: Some(remedy),
            ..Step::new(id, title, Action::Native(BringUp::Prepare(self)))
        }
    }
}

/// What the steps are made of.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub resolver: Resolver<'a>,
    pub seen: &'a Observed,
    pub watches: bool,
    pub inspect: Option<Inspect>,
}

/// The Node debugger of the first replica of a service.
#[derive(Debug, Clone, Copy)]
pub struct Inspect {
    pub service: ServiceId,
    /// On the loopback address.
    pub port: u16,
}

/// The program whose scripts need the npm packages.
pub(super) const NODE: &str = "node";
const READY_LIMIT_MS: u64 = 60_000;
const QUIET_MS: u64 = 150;

/// Everything that brings the platform up, or brings what already runs up to date.
pub fn bring_up(
    platform: &Platform,
    environment: &Environment,
    seen: &Observed,
    watches: bool,
    inspect: Option<Inspect>,
) -> Plan<BringUp> {
    let units = platform.units(environment);
    let resolver = Resolver { platform, environment, instance: &seen.instance, units: &units };
    let around = &Surroundings { resolver, seen, watches, inspect };
    let mut steps = prepare(around);
    steps.extend(edge_files(around));
    steps.extend(monitoring::watching(around).map_or_else(Vec::new, |watching| watching.files(&|_| true)));
    for unit in &units {
        match unit.service.lifetime {
            Lifetime::OneShot => steps.push(one_shot(around, unit)),
            Lifetime::LongRunning { .. } | Lifetime::StandIn => steps.extend(long_running(around, unit)),
        }
    }
    read_when_ready(around, &mut steps);
    Plan {
        intent: format!("bring up {}", environment.name),
        target: seen.target.clone(),
        steps,
        on_failure: OnFailure::Keep,
    }
}

/// What changes the secrets of what runs.
pub fn change_secrets(
    platform: &Platform,
    environment: &Environment,
    seen: &Observed,
    change: rotation::Change,
) -> Plan<BringUp> {
    let slots = platform.slots(environment);
    let resolver = Resolver { platform, environment, instance: &seen.instance, units: &slots };
    let around = &Surroundings { resolver, seen, watches: false, inspect: None };
    let migrations = slots.iter().find(|unit| unit.service.id == platform.database.migrations);
    let database = |words: &[&'static str]| {
        let Some(migrations) = migrations else { return Action::Exec(Exec::default()) };
        let script = Value::Tree(platform.database.credential);
        let command = Command {
            program: "sh",
            arguments: std::iter::once(script).chain(words.iter().copied().map(Value::Text)).collect(),
            calls: vec![],
            variables: vec![],
        };
        let mut argv = argv_of(around, migrations, &command, process_of(migrations).identity).into_iter();
        Action::Exec(Exec {
            program: argv.next().unwrap_or_default(),
            args: argv.map(Arg::from).collect(),
            env: self::environment(around, migrations, &process_of(migrations).commands[0]),
            cwd: Some(seen.instance.root.clone()),
            ..Exec::default()
        })
    };
    rotation::plan(platform, environment, &seen.target, (&slots, change), &database)
}

/// What comes before anything is started, but the secret store.
pub(super) fn prepare(around: &Surroundings<'_>) -> Vec<Step<BringUp>> {
    let programs = around.seen.programs.keys().copied().collect();
    vec![
        Prepare::CheckFlows.step(),
        Prepare::InstallTools { programs }.step(),
        Prepare::InstallModules.step(),
        Prepare::secrets(around.resolver.environment).step(),
        Prepare::RecordInstance.step(),
    ]
}

/// The secrets are read once the store runs.
pub(super) fn read_when_ready(around: &Surroundings<'_>, steps: &mut [Step<BringUp>]) {
    let ready = store(&around.resolver).map(|(_, unit)| StepId(format!("{}.ready", unit.name())));
    let reads = steps.iter_mut().filter(|step| step.id.0 == id::MAKE_SECRETS);
    reads.for_each(|step| step.needs.extend(ready.clone()));
}

/// The secret store, where the environment runs one.
pub fn store<'a>(resolver: &Resolver<'a>) -> Option<(SecretStore, &'a Unit<'a>)> {
    let store = resolver.platform.secret_store?;
    Some((store, resolver.units.iter().find(|unit| unit.service.id == store.service())?))
}

fn is_store(around: &Surroundings<'_>, unit: &Unit<'_>) -> bool {
    store(&around.resolver).is_some_and(|(_, store)| store.service.id == unit.service.id)
}

/// Beside its configuration: one that nobody but this machine trusts.
pub fn store_certificate(resolver: &Resolver<'_>, unit: &Unit<'_>, store: &SecretStore) -> PathBuf {
    resolver.folder(unit, store.configuration).join(SecretStore::CERTIFICATE)
}

/// Writes what the server of the secret store reads.
pub fn store_configuration(
    resolver: &Resolver<'_>,
    unit: &Unit<'_>,
    store: &SecretStore,
    (place, mode): (&secret_store::Place<'_>, u32),
) -> Step<BringUp> {
    let path = resolver.folder(unit, store.configuration).join(SecretStore::CONFIGURATION);
    Step {
        needs: vec![id::RECORD.into()],
        time_limit_ms: 30_000,
        ..Step::new(
            format!("{}.configure", unit.name()),
            format!("write the configuration of {}", unit.name()),
            Action::Write(Write { path, contents: secret_store::configuration(place).into(), mode }),
        )
    }
}

fn configured_store(around: &Surroundings<'_>) -> Option<Step<BringUp>> {
    let resolver = &around.resolver;
    let (store, unit) = store(resolver)?;
    let listens = format!("{ADDRESS}:{}", resolver.own_port(unit, store.api)?);
    let place = secret_store::Place {
        listens: &listens,
        answers: &listens,
        data: &resolver.folder(unit, store.data).display().to_string(),
        certificate: &store_certificate(resolver, unit, &store).display().to_string(),
        node: &unit.name(),
    };
    Some(store_configuration(resolver, unit, &store, (&place, 0o600)))
}

/// Ends everything, in reverse order, and the supervisor too.
pub fn bring_down(seen: &Observed) -> Plan<BringUp> {
    let step = Step::new(
        "shutdown",
        "stop every service",
        Action::Supervise(Supervise { state: seen.instance.supervisor(), request: ServiceRequest::Shutdown }),
    );
    Plan {
        intent: format!("bring down {}", seen.target),
        target: seen.target.clone(),
        steps: vec![step],
        on_failure: OnFailure::Keep,
    }
}

pub(super) fn long_running(around: &Surroundings<'_>, unit: &Unit<'_>) -> Vec<Step<BringUp>> {
    let name = unit.name();
    let process = process_of(unit);
    let mut steps = Vec::new();
    let mut needs = needs(around, unit);
    if is_store(around, unit) {
        let configured = configured_store(around);
        needs.extend(configured.iter().map(|step| step.id.clone()));
        steps.extend(configured);
    }
    if let Some(initialise) = &process.initialise {
        steps.extend(initialisation(around, unit, process, initialise));
        needs.push(format!("{name}.adopt").into());
    }
    steps.push(Step {
        needs,
        remedy: Some(format!("read `{PROGRAM} logs {} {name}`", around.seen.target)),
        ..Step::new(
            format!("{name}.start"),
            format!("start {name}"),
            Action::Supervise(Supervise {
                state: around.resolver.instance.supervisor(),
                request: ServiceRequest::Start(Box::new(spec(around, unit))),
            }),
        )
    });
    steps.push(ready(around, unit));
    steps
}

/// Waits until what was started is healthy.
pub(super) fn ready(around: &Surroundings<'_>, unit: &Unit<'_>) -> Step<BringUp> {
    let name = unit.name();
    Step {
        needs: vec![format!("{name}.start").into()],
        time_limit_ms: READY_LIMIT_MS + 5_000,
        remedy: Some(format!("read `{PROGRAM} logs {} {name}`", around.seen.target)),
        ..Step::new(
            format!("{name}.ready"),
            format!("{name} is healthy"),
            Action::WaitFor(WaitFor {
                probe: Probe::Supervised {
                    state: around.resolver.instance.supervisor(),
                    service: ServiceName(name.clone()),
                },
                time_limit_ms: READY_LIMIT_MS,
                interval_ms: 20,
            }),
        )
    }
}

/// A data folder is made beside its place and renamed, so that one that was half made is never taken for whole.
fn initialisation(
    around: &Surroundings<'_>,
    unit: &Unit<'_>,
    process: &Process,
    initialise: &Initialise,
) -> Vec<Step<BringUp>> {
    let name = unit.name();
    let folder = around.resolver.folder(unit, initialise.volume);
    let partial = folder.with_extension("partial");
    let exists = folder.join(initialise.creates);
    let place = |text: String| text.replace(&folder.display().to_string(), &partial.display().to_string());
    // A run that was killed may have left its program at work in the folder: that holds the lock until it ends.
    let script = "exec 9>\"$0.lock\" && flock 9 && rm -rf -- \"$0\" && mkdir -p -- \"$0\" && exec \"$@\"";
    let mut argv = vec!["-c".to_owned(), script.to_owned()];
    argv.push(partial.display().to_string());
    argv.extend(argv_of(around, unit, &initialise.command, process.identity).into_iter().map(place));
    let made = Step {
        needs: needs(around, unit),
        unless_exists: Some(exists.clone()),
        remedy: Some(format!("look at its log; `{PROGRAM} reset` starts with empty data")),
        ..Step::new(
            format!("{name}.initialise"),
            format!("initialise {name}"),
            Action::Exec(Exec {
                program: "sh".to_owned(),
                args: argv.into_iter().map(Arg::from).collect(),
                env: environment(around, unit, &initialise.command),
                ..Exec::default()
            }),
        )
    };
    let adopted = Step {
        needs: vec![made.id.clone()],
        unless_exists: Some(exists),
        ..Step::new(
            format!("{name}.adopt"),
            format!("put the data of {name} in place"),
            Action::Exec(Exec {
                program: "mv".to_owned(),
                args: ["-T", "--"]
                    .into_iter()
                    .map(Arg::from)
                    .chain([partial, folder].map(|path| Arg::from(path.display().to_string())))
                    .collect(),
                ..Exec::default()
            }),
        )
    };
    vec![made, adopted]
}

pub(super) fn one_shot(around: &Surroundings<'_>, unit: &Unit<'_>) -> Step<BringUp> {
    let name = unit.name();
    let process = process_of(unit);
    let command = &process.commands[0];
    let argv = argv_of(around, unit, command, process.identity);
    let (program, arguments) = argv.split_first().expect("a command has a program");
    Step {
        needs: needs(around, unit),
        remedy: Some("fix what its log names, then run the command again".to_owned()),
        ..Step::new(
            format!("{name}.run"),
            format!("run {name}"),
            Action::Exec(Exec {
                program: program.clone(),
                args: arguments.iter().cloned().map(Arg::from).collect(),
                env: environment(around, unit, command),
                cwd: Some(around.resolver.instance.root.clone()),
                ..Exec::default()
            }),
        )
    }
}

/// The edge, where one runs.
pub(super) fn edge<'a>(around: &Surroundings<'a>) -> Option<Edge<'a>> {
    let (Resolver { platform, instance, units, .. }, seen) = (around.resolver, around.seen);
    Some(Edge {
        platform,
        instance,
        unit: units.iter().find(|unit| platform.is_edge(unit))?,
        configuration: seen.edge.as_ref()?,
        runs: seen.runs,
        before: seen.edge_before.as_deref(),
        trusted: None,
    })
}

pub(super) fn edge_files(around: &Surroundings<'_>) -> Vec<Step<BringUp>> {
    edge(around).map_or_else(Vec::new, |edge| edge.files())
}

pub(super) fn process_of<'a>(unit: &Unit<'a>) -> &'a Process {
    unit.service.process.as_ref().expect("only services with a process are units")
}

/// The steps that must be done before a unit can start.
fn needs(around: &Surroundings<'_>, unit: &Unit<'_>) -> Vec<StepId> {
    let mut needs: Vec<StepId> = [id::CHECK_FLOWS, id::INSTALL_TOOLS, id::RECORD].map(StepId::from).into();
    if !is_store(around, unit) {
        needs.push(id::MAKE_SECRETS.into());
    }
    let process = process_of(unit);
    if process.commands.iter().any(|command| command.program == NODE) {
        needs.push(id::INSTALL_MODULES.into());
    }
    let step_of = |id: ServiceId, ending: &'static str| {
        let found = around.resolver.units.iter().filter(move |other| other.service.id == id);
        found.map(move |other| StepId(format!("{}.{ending}", other.name())))
    };
    for edge in unit.service.edges.iter().filter(|edge| edge.need == Need::Start) {
        if let Destination::Port(to) = edge.to {
            needs.extend(step_of(to.service, "ready"));
        }
    }
    if around.resolver.platform.is_edge(unit) {
        needs.extend(edge_files(around).into_iter().map(|step| step.id));
    }
    needs.extend(monitoring::needs(around, unit));
    for earlier in &unit.service.starts_after {
        needs.extend(step_of(*earlier, "run"));
    }
    needs
}

pub(super) fn spec(around: &Surroundings<'_>, unit: &Unit<'_>) -> ProcessSpec {
    let process = process_of(unit);
    let command = &process.commands[0];
    let name = unit.name();
    let mut argv = argv_of(around, unit, command, process.identity);
    let mut ports: BTreeMap<String, u16> = unit
        .service
        .ports
        .iter()
        .filter_map(|port| {
            let reference = PortRef { service: unit.service.id, name: port.name };
            Some((port.name.to_owned(), around.resolver.own_port(unit, reference)?))
        })
        .collect();
    let inspect = around.inspect.filter(|inspect| unit.is_first() && inspect.service == unit.service.id);
    if let Some(Inspect { port, .. }) = inspect {
        argv.insert(1, format!("--inspect={}:{port}", ADDRESS));
        ports.insert("inspect".to_owned(), port);
    }
    let after = unit.service.edges.iter().filter_map(|edge| match edge.to {
        Destination::Port(to) => Some(to.service),
        Destination::Internet => None,
    });
    let after = after.flat_map(|id| around.resolver.units.iter().filter(move |other| other.service.id == id));
    let mut env = environment(around, unit, command);
    env.extend(process.on_change.iter().filter_map(|change| match &change.reaction {
        Reaction::ReloadFlows { gate, .. } => {
            Some(((*gate).to_owned(), Arg::from(json!(flow_gate(around)).to_string())))
        }
        _ => None,
    }));
    env.extend(monitoring::variable(around, unit));
    let Resolver { platform, environment, .. } = around.resolver;
    let stop_limit = platform.stop_limit_seconds(unit.service, environment.tier);
    ProcessSpec {
        name: ServiceName(name.clone()),
        argv: argv.into_iter().map(Arg::from).collect(),
        env,
        cwd: around.resolver.working_folder(process),
        health: unit
            .service
            .health
            .as_ref()
            .and_then(|health| checked(around, unit, health))
            .map(Checked::of),
        restart: Restart { policy: RestartPolicy::Always, ..Restart::default() },
        stop: Stop {
            signal: match unit.service.stop.signal {
                "SIGINT" => StopSignal::Int,
                "SIGQUIT" => StopSignal::Quit,
                "SIGUSR1" => StopSignal::Usr1,
                _ => StopSignal::Term,
            },
            grace_ms: u64::from(stop_limit) * 1000,
        },
        log: LogFile {
            path: around.resolver.instance.log(&name),
            // What the collector has not read while the store is away must still be there when it is back.
            older: if is_collected(platform, &around.resolver) { 9 } else { 1 },
            labels: log_labels(platform, environment, unit),
            ..LogFile::default()
        },
        ports,
        after: after.map(|other| ServiceName(other.name())).collect(),
        watch: if around.watches { watches(around, unit) } else { vec![] },
        // Not only its own: a database says which statement failed, and that may set another one's password.
        secrets: around.resolver.secret_places(),
    }
}

pub fn is_collected(platform: &Platform, resolver: &Resolver<'_>) -> bool {
    let runs = |id: ServiceId| resolver.units.iter().any(|unit| unit.service.id == id);
    platform.log_store.is_some_and(|store| runs(store.collector))
}

/// The labels of a unit's log lines; those that only a line can know are empty.
pub fn log_labels(
    platform: &Platform,
    environment: &Environment,
    unit: &Unit<'_>,
) -> BTreeMap<String, String> {
    let value = |label: &Label| match label.name {
        "component" => unit.service.id.to_string(),
        "environment" => environment.name.clone(),
        _ => String::new(),
    };
    platform.labels.iter().map(|label| (label.name.to_owned(), value(label))).collect()
}

fn checked(around: &Surroundings<'_>, unit: &Unit<'_>, health: &Health) -> Option<Probe> {
    Some(match health {
        Health::Http { port, path } => {
            let number = around.resolver.own_port(unit, *port)?;
            let scheme = around.resolver.platform.port(*port)?.protocol.scheme();
            let url = format!("{scheme}://{}:{number}{path}", ADDRESS);
            let own = store(&around.resolver).filter(|(store, _)| store.api == *port);
            let trusts = own.map(|(store, _)| store_certificate(&around.resolver, unit, &store));
            Probe::Http { url, status: 200, trusts }
        }
        Health::Command(command) => Probe::Exec {
            argv: argv_of(around, unit, command, Identity::Caller).into_iter().map(Arg::from).collect(),
            env: BTreeMap::new(),
        },
    })
}

/// What is watched for a unit: its own sources, and those of the one-shot services that it starts after.
fn watches(around: &Surroundings<'_>, unit: &Unit<'_>) -> Vec<Watch> {
    let own = process_of(unit).on_change.iter().map(|change| watch(around, unit, unit, change));
    let earlier = around
        .resolver
        .units
        .iter()
        .filter(|other| unit.service.starts_after.contains(&other.service.id) && unit.is_first());
    let earlier = earlier.flat_map(|other| {
        process_of(other)
            .on_change
            .iter()
            .map(|change| watch(around, unit, other, change))
            .collect::<Vec<_>>()
    });
    own.chain(earlier).collect()
}

fn watch(around: &Surroundings<'_>, watcher: &Unit<'_>, changed: &Unit<'_>, change: &OnChange) -> Watch {
    let root = &around.resolver.instance.root;
    let actions = match &change.reaction {
        Reaction::Restart => vec![WatchAction::Restart { service: ServiceName(changed.name()) }],
        Reaction::ReloadFlows { port, path, token, .. } => {
            let number = around.resolver.own_port(watcher, *port).unwrap_or_default();
            vec![
                exec(around, flow_gate(around), BTreeMap::new(), "check-flows"),
                WatchAction::Http {
                    method: "POST".to_owned(),
                    url: format!("http://{}:{number}{path}", ADDRESS),
                    bearer: Some(Secret {
                        name: token.to_string(),
                        file: around.resolver.secret_file(*token),
                    }),
                },
            ]
        }
        Reaction::RunAgain => {
            let process = process_of(changed);
            let command = &process.commands[0];
            let argv = argv_of(around, changed, command, process.identity);
            vec![exec(around, argv, environment(around, changed, command), &changed.name())]
        }
    };
    Watch {
        paths: change.paths.iter().map(|path| root.join(path)).collect(),
        ignore: ["node_modules", "*.swp", "*.swx", "*~", "*.tmp", ".#*", "4913"].map(str::to_owned).into(),
        debounce_ms: QUIET_MS,
        actions,
    }
}

fn flow_gate(around: &Surroundings<'_>) -> Vec<String> {
    let mut argv = around.seen.programs["xtask"].clone();
    let root = around.resolver.instance.root.display().to_string();
    argv.extend(["--root", &root, "check", "flows"].map(str::to_owned));
    argv
}

fn exec(around: &Surroundings<'_>, argv: Vec<String>, env: BTreeMap<String, Arg>, log: &str) -> WatchAction {
    WatchAction::Exec {
        argv: argv.into_iter().map(Arg::from).collect(),
        env,
        cwd: around.resolver.instance.root.clone(),
        log: around.resolver.instance.log(log),
        time_limit_ms: 60_000,
    }
}

/// The whole command line. PostgreSQL refuses root: where the caller is root, it runs in a user namespace in which
/// the caller is somebody else, so that it may still enter every folder that the caller may enter.
pub(super) fn argv_of(
    around: &Surroundings<'_>,
    unit: &Unit<'_>,
    command: &Command,
    identity: Identity,
) -> Vec<String> {
    let mut argv: Vec<String> = Vec::new();
    if identity == Identity::NotRoot && around.seen.caller_is_root {
        argv.extend(["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"].map(str::to_owned));
    }
    match around.seen.programs.get(chosen(command.program, around.resolver.environment)) {
        Some(start) => argv.extend(start.iter().cloned()),
        None => argv.push(command.program.to_owned()),
    }
    argv.extend(command.arguments.iter().filter_map(|argument| around.resolver.value(unit, argument)));
    argv
}

pub(super) fn environment(
    around: &Surroundings<'_>,
    unit: &Unit<'_>,
    command: &Command,
) -> BTreeMap<String, Arg> {
    let variables = around.resolver.variables(unit, command);
    let mut env: BTreeMap<String, Arg> =
        variables.into_iter().map(|(name, value)| (name, Arg::from(value))).collect();
    let folders: Vec<String> = command
        .calls
        .iter()
        .filter_map(|called| around.seen.programs.get(called)?.first())
        .filter_map(|path| Some(PathBuf::from(path).parent()?.display().to_string()))
        .collect();
    if command.program == NODE {
        let cache = around.resolver.instance.compile_cache();
        env.insert(COMPILE_CACHE.to_owned(), Arg::from(cache.display().to_string()));
    }
    if !folders.is_empty() {
        env.insert("PATH".to_owned(), Arg::from(format!("{}:{}", folders.join(":"), around.seen.path)));
    }
    env
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use vocabulary::model::environment::{Size, Tier};

    use super::*;
    use crate::engines::process::instance::{Instance, sockets};
    use crate::engines::process::observe::edge_configuration;

    /// What the plan for two replicas of a second platform says.
    fn plan_in(tier: Tier) -> String {
        let platform = second_platform::platform();
        let replicas = Size { replicas: Some(2), ..Size::default() };
        let sizes = [(platform.workers.service().to_string(), replicas)].into();
        let environment = Environment { name: "dev".to_owned(), tier, sizes, ..Environment::default() };
        let slots = platform.slots(&environment);
        let wanted = sockets(&slots, &environment);
        let ports = wanted.into_iter().map(|socket| socket.key).zip(20_000..).collect();
        let edge = edge_configuration(&platform, &environment, &slots, &ports, Path::new("/site")).unwrap();
        let (root, folder) = (Path::new("/tree").to_owned(), Path::new("/tree/.flowship/dev").to_owned());
        let names = ["dbmate", "haproxy", "initdb", "node", "pg_isready", "postgres", "psql", "sh", "xtask"];
        let seen = Observed {
            instance: Instance { root, folder, ports, release: None },
            target: "dev".to_owned(),
            programs: names.map(|name| (name, vec![format!("/bin/{name}")])).into(),
            path: "/bin".to_owned(),
            caller_is_root: false,
            edge,
            runs: false,
            ..Observed::default()
        };
        let plan = bring_up(&platform, &environment, &seen, false, None);
        assert!(plan.validate().is_empty(), "{:?}", plan.validate());
        serde_json::to_string(&plan).unwrap()
    }

    /// Nothing here knows a service by its name: another platform's are brought up the same way.
    #[test]
    fn a_second_platform_is_brought_up_with_its_own_services_and_replicas() {
        let text = plan_in(Tier::Development);
        for unit in ["ledger", "store", "schema", "flow-engine-a", "flow-engine-b", "oracle"] {
            assert!(text.contains(unit), "{unit}: {text}");
        }
        for other in ["node-red", "postgres.sql", "mcp-tools", "portal", r#""DRAIN_DELAY_MS":"900""#] {
            assert!(!text.contains(other), "{other}: {text}");
        }
    }

    #[test]
    fn outside_development_an_edge_runs_and_knows_one_place_more_than_replicas_run() {
        let text = plan_in(Tier::Staging);
        for part in [
            "portal.start",
            "portal.write-portal.cfg",
            "portal.write-servers.state",
            "server flow-engine-c 127.0.0.1:20",
            r#""DRAIN_DELAY_MS":"900""#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // In its configuration alone: with another number of replicas, the edge is reloaded and not restarted.
        for absent in ["flow-engine-c.start", "FLOW_ENGINE_C"] {
            assert!(!text.contains(absent), "{absent}: {text}");
        }
    }
}
