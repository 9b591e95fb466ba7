//! What the services that watch the others read, in containers: folders of this machine that are mounted there. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use artifacts::containers::{secret_file, services, site};
use artifacts::monitoring::Places;
use artifacts::monitoring::scraping::TARGETS;
use artifacts::{Artifact, alert_rules, dashboards, log_collector};
use vocabulary::model::environment::{Environment, Tier};
use vocabulary::model::topology::{Binding, Topology};
use vocabulary::model::{Fact, LogStore, Platform, PortRef, SecretRef, SecretStore, ServiceId, Unit};
use vocabulary::problem::listing;

use super::observe::Observed;
use crate::engines::process::instance::ADDRESS;
use crate::engines::process::lower::{BringUp, id, store_certificate};
use crate::engines::process::monitoring::{Watching, keep, scraper};
use crate::engines::process::resolve::Resolver;
use foundation::digest::sha256;
use foundation::exit::refused;
use runner::plan::action::{Action, Exec, Write};
use runner::plan::argument::Arg;
use runner::plan::step::{Step, StepId};

/// The folder of the rules, in that of the scraper's configuration.
const RULES: &str = "rules";
/// The dashboards, in the folder of what shows them.
const PAGES: &str = "pages";
/// The certificate of the secret store, without its key.
const TRUSTED: &str = "secret-store.pem";
/// Makes folders that the users of containers may read, in one that keeps everybody else out.
const FOLDERS: &str = r#"chmod 700 -- "$0" && mkdir -p -- "$@" && chmod 755 -- "$@""#;
/// Takes the certificates of a file to another one.
const CERTIFICATES: &str =
    r#"sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' -- "$0" >"$1.part" && mv -f -- "$1.part" "$1""#;

/// What containers get of this machine.
#[derive(Debug, Default)]
pub struct Host {
    /// The path of the program that collects logs.
    pub collector: Option<String>,
    /// Whether its root is a shared mount.
    pub is_shared: bool,
}

struct InContainers<'a> {
    topology: Topology<'a>,
    prefix: &'a str,
    scraper: &'a Unit<'a>,
    /// The folder of its configuration, as it sees it.
    folder: &'static str,
}

impl Places for InContainers<'_> {
    fn address(&self, unit: &Unit<'_>, port: PortRef) -> Option<String> {
        let own = unit.service.ports.iter().find(|own| own.name == port.name)?;
        let network = if unit.name() == self.scraper.name() {
            match self.topology.binding(unit, own) {
                Binding::Network(name) => self.topology.network(&name),
                Binding::Loopback | Binding::Everywhere => return Some(format!("{ADDRESS}:{}", own.number)),
            }
        } else {
            self.topology.between(self.scraper, unit)
        };
        let tail = self.topology.address(&unit.name(), network?)?;
        Some(format!("{}.{tail}:{}", self.prefix, own.number))
    }

    fn tree(&self, path: &str) -> String {
        format!("{}/{RULES}/{}", self.folder, path.rsplit('/').next().unwrap_or_default())
    }

    fn certificate(&self, port: PortRef) -> Option<String> {
        let store = self.topology.platform.secret_store.filter(|store| store.api == port)?;
        self.topology.first(store.service()).ok()?;
        Some(format!("{}/{TRUSTED}", self.folder))
    }

    fn certified_name(&self) -> Option<&'static str> {
        Some("localhost")
    }

    fn secret(&self, secret: SecretRef) -> String {
        secret_file(&self.topology.platform.containers, secret)
    }

    fn targets(&self) -> String {
        format!("{}/{TARGETS}", self.folder)
    }
}

/// None where nothing scrapes.
pub fn watching<'a>(resolver: Resolver<'a>, prefix: &'a str) -> Option<Watching<'a>> {
    let (monitoring, scraper) = scraper(&resolver)?;
    let (platform, environment) = (resolver.platform, resolver.environment);
    let topology = match environment.tier {
        Tier::Development => Topology::in_environment(platform, environment),
        Tier::Staging | Tier::Production if resolver.instance.release.is_none() => {
            Topology::in_environment(platform, environment)
        }
        Tier::Staging | Tier::Production => Topology::deployed(platform, environment),
    };
    let mut folders = scraper.service.container.shape()?.folders.iter();
    let folder = folders.find(|folder| folder.volume == monitoring.scraper_configuration.name)?.path;
    let places = InContainers { topology, prefix, scraper, folder };
    Some(Watching { resolver, scraper, monitoring, places: Box::new(places), mode: 0o644 })
}

/// What shows the dashboards, its folder on this machine, and the files in it: paths below it, and texts.
fn of_viewer(resolver: &Resolver<'_>) -> Option<(ServiceId, PathBuf, BTreeMap<String, String>)> {
    let configuration = resolver.platform.monitoring?.viewer?.configuration;
    let unit = resolver.units.iter().find(|unit| unit.service.id == configuration.service)?;
    let mut folders = unit.service.container.shape()?.folders.iter();
    let there = folders.find(|folder| folder.volume == configuration.name)?.path;
    let texts = dashboards::provisioned(resolver.platform, there).into_iter().collect();
    Some((configuration.service, resolver.folder(unit, configuration), texts))
}

/// Where the log collector finds its configuration, on this machine.
fn of_collector(resolver: &Resolver<'_>) -> Option<(PathBuf, String)> {
    let store = resolver.platform.log_store?;
    let unit = resolver.units.iter().find(|unit| unit.service.id == store.collector)?;
    let folder = resolver.instance.folder.join("data").join(unit.name()).join("configuration");
    let made = (log_collector::FAMILY.make)(resolver.platform).ok()?;
    let text = made.into_iter().find(|artifact| artifact.path == LogStore::CONFIGURATION)?.contents;
    Some((folder, text))
}

/// The program that collects logs, where one does: by its name in the catalogue.
pub fn program(platform: &Platform, environment: &Environment) -> Option<&'static str> {
    let store = platform.log_store?;
    let units = platform.units(environment);
    let unit = units.iter().find(|unit| unit.service.id == store.collector)?;
    Some(unit.service.process.as_ref()?.commands.first()?.program)
}

/// The variables of the project that say where these files are.
///
/// # Errors
/// The collector's path is not known, or what they read cannot be generated.
pub fn lines(resolver: Resolver<'_>, prefix: &str, host: &Host) -> Result<Vec<site::Line>> {
    let mut lines = Vec::new();
    let mut put = |name: &str, value: String| lines.push(site::variable(name, value));
    let Resolver { platform, environment, instance, units } = resolver;
    for family in [alert_rules::RULES, log_collector::FAMILY] {
        (family.make)(platform).map_err(|problems| refused(listing(&problems)))?;
    }
    let reads = |fact| units.iter().any(|unit| services::reads(unit.service, fact));
    if reads(Fact::LogFolder) {
        put(site::LOGS.name, instance.logs().display().to_string());
    }
    if reads(Fact::LogsKept) {
        put(site::LOGS_KEPT.name, format!("{}d", environment.retention.logs_days));
    }
    if reads(Fact::HostRoot) && !host.is_shared {
        // The engine mounts no private root. What is written here shares a file system with this folder.
        put(site::HOST_ROOT, instance.metrics().display().to_string());
        put(site::PROPAGATION, site::IGNORES_HOST.to_owned());
    }
    if reads(Fact::MetricsFolder) {
        put(site::METRICS.name, instance.metrics().display().to_string());
    }
    if let Some((folder, text)) = of_collector(&resolver)
        && let Some(store) = platform.log_store
    {
        let program = host.collector.clone();
        let program = program.ok_or_else(|| refused("the program that collects logs is not known"))?;
        put(site::COLLECTOR.name, program);
        put(site::COLLECTOR_FOLDER.name, folder.display().to_string());
        put(&site::digest_variable(store.collector), sha256(text));
    }
    if let Some((viewer, folder, texts)) = of_viewer(&resolver) {
        put(site::VIEWER_FOLDER.name, folder.display().to_string());
        let once = texts.iter().filter(|(below, _)| !below.starts_with(PAGES));
        put(&site::digest_variable(viewer), sha256(once.map(|(_, text)| text.as_str()).collect::<String>()));
    }
    let Some(watching) = watching(resolver, prefix) else { return Ok(lines) };
    let monitoring = watching.monitoring;
    for unit in units {
        let Some((volume, _, text)) = watching.configuration(unit) else { continue };
        let folder = resolver.folder(unit, volume).display().to_string();
        if unit.service.id == monitoring.scraper.service {
            put(site::SCRAPER_FOLDER.name, folder);
        } else {
            put(site::NOTIFIER_FOLDER.name, folder);
            put(&site::digest_variable(unit.service.id), sha256(text));
        }
    }
    Ok(lines)
}

/// Writes what they read, before they start.
pub fn files(
    resolver: Resolver<'_>,
    seen: &Observed,
    is_target: &dyn Fn(&Unit<'_>) -> bool,
) -> Vec<Step<BringUp>> {
    let instance = &seen.instance;
    let watching = watching(resolver, &seen.prefix);
    let collector = of_collector(&resolver);
    let mut folders: Vec<PathBuf> = collector.iter().map(|(folder, _)| folder.clone()).collect();
    let mut files: Vec<(PathBuf, String)> = collector
        .map(|(folder, text)| {
            let name = LogStore::CONFIGURATION.rsplit('/').next().unwrap_or_default();
            (folder.join(name), text)
        })
        .into_iter()
        .collect();
    let mut steps = Vec::new();
    // Their readers take whatever is there.
    let mut whole = Vec::new();
    if let Some(watching) = &watching {
        let own = resolver.folder(watching.scraper, watching.monitoring.scraper_configuration);
        let notifier = resolver.units.iter().filter_map(|unit| {
            let (volume, _, _) = watching.configuration(unit)?;
            Some(resolver.folder(unit, volume))
        });
        folders.extend(notifier);
        folders.extend([own.join(TARGETS), own.join(RULES)]);
        whole.push(own.join(RULES));
        files.extend(rules(resolver.platform).into_iter().map(|rules| {
            (own.join(RULES).join(rules.path.rsplit('/').next().unwrap_or_default()), rules.contents)
        }));
        steps.extend(watching.files(is_target));
    }
    if let Some((_, own, texts)) = of_viewer(&resolver) {
        // Grafana wants all folders of its provisioning, also without anything in them.
        folders.extend([PAGES, "provisioning"].map(|below| own.join(below)));
        whole.push(own.join(PAGES));
        let kinds = ["alerting", "dashboards", "datasources", "plugins"];
        folders.extend(kinds.map(|kind| own.join("provisioning").join(kind)));
        files.extend(texts.into_iter().map(|(below, text)| (own.join(below), text)));
    }
    if folders.is_empty() {
        return vec![];
    }
    folders.extend([instance.logs(), instance.metrics()]);
    let made = Step {
        needs: vec![id::RECORD.into()],
        ..Step::new(
            "folders",
            "make the folders that containers read",
            shell(FOLDERS, &instance.folder.display().to_string(), folders),
        )
    };
    let kept = whole.iter().map(|folder| {
        let name = folder.file_name().unwrap_or_default().display();
        let names = files.iter().filter(|(path, _)| path.parent() == Some(folder));
        let names = names.filter_map(|(path, _)| Some(path.file_name()?.display().to_string()));
        let title = format!("forget the {name} of other releases");
        Step::new(format!("{name}-kept"), title, keep(&folder.display().to_string(), names))
    });
    let mut kept: Vec<_> = kept.collect();
    for (path, contents) in files {
        let name = path.file_name().unwrap_or_default().display();
        let of = path.parent().filter(|folder| whole.iter().any(|one| one == folder));
        let of = of.and_then(|folder| folder.file_name()?.to_str()).unwrap_or("configuration");
        steps.push(Step::new(
            format!("{of}-{name}"),
            format!("write {name}"),
            Action::Write(Write { contents: contents.into(), mode: 0o644, path: path.clone() }),
        ));
    }
    for step in &mut steps {
        step.needs = vec![made.id.clone()];
    }
    for step in &mut kept {
        step.needs = steps.iter().map(|step| step.id.clone()).collect();
    }
    std::iter::once(made).chain(steps).chain(kept).collect()
}

/// Whether a step changes what those that watch take over at once: what they scrape, the rules, the dashboards.
pub fn is_taken_over(step: &Step<BringUp>, watching: &Watching<'_>) -> bool {
    let of = step.id.0.split_once('-').map(|(of, _)| of);
    step.id == watching.configure_id() || [RULES, PAGES].map(Some).contains(&of)
}

/// Lets the scraper know the certificate of the secret store, which is there after this step.
pub fn trusted(resolver: Resolver<'_>, prefix: &str, after: StepId) -> Option<Step<BringUp>> {
    let watching = watching(resolver, prefix)?;
    let store: SecretStore = resolver.platform.secret_store?;
    let unit = resolver.units.iter().find(|unit| unit.service.id == store.service())?;
    let own = resolver.folder(watching.scraper, watching.monitoring.scraper_configuration);
    let from = store_certificate(&resolver, unit, &store).display().to_string();
    Some(Step {
        needs: vec![after],
        ..Step::new(
            format!("{}.trust", watching.scraper.name()),
            format!("{} gets the certificate of {}", watching.scraper.name(), unit.name()),
            shell(CERTIFICATES, &from, [own.join(TRUSTED)]),
        )
    })
}

fn shell(script: &str, first: &str, more: impl IntoIterator<Item = PathBuf>) -> Action<BringUp> {
    let words = ["-c", script, first].map(Arg::from).into_iter();
    let args = words.chain(more.into_iter().map(|path| Arg::from(path.display().to_string()))).collect();
    Action::Exec(Exec { program: "sh".to_owned(), args, ..Exec::default() })
}

fn rules(platform: &Platform) -> Vec<Artifact> {
    let all = (alert_rules::RULES.make)(platform).unwrap_or_default();
    let folder = artifacts::monitoring::scraping::RULES.trim_end_matches("*.yaml");
    all.into_iter().filter(|artifact| artifact.path.starts_with(folder)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use vocabulary::model::Viewer;

    use super::super::roll::tests::qa;
    use super::*;
    use crate::engines::process::instance::Instance;

    #[test]
    fn rules_and_dashboards_of_another_release_go() {
        let (mut platform, mut environment) = qa();
        environment.with.push("lookout".to_owned());
        let watched = platform.monitoring.as_mut().unwrap();
        watched.viewer = Some(Viewer { web: watched.scraper, configuration: watched.scraper_configuration });
        let state = tempfile::tempdir().unwrap();
        let instance = Instance { folder: state.path().into(), ..Instance::default() };
        let seen = Observed { instance, ..Observed::default() };
        let units = platform.units(&environment);
        let resolver = Resolver {
            platform: &platform,
            environment: &environment,
            instance: &seen.instance,
            units: &units,
        };
        let steps = files(resolver, &seen, &|_| true);
        let listed = |folder: &Path| -> BTreeSet<PathBuf> {
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
        };
        for (name, old) in [(RULES, "old.yaml"), (PAGES, "old.json")] {
            let kept = steps.iter().find(|step| step.id.0 == format!("{name}-kept")).unwrap();
            let Action::Exec(exec) = &kept.action else { panic!("{kept:?}") };
            let words: Vec<_> = exec.args.iter().map(|word| format!("{word}")).collect();
            let folder = Path::new(&words[2]);
            fs::create_dir_all(folder).unwrap();
            let mut written = BTreeSet::new();
            for step in &steps {
                if let Action::Write(write) = &step.action
                    && write.path.parent() == Some(folder)
                {
                    assert!(kept.needs.contains(&step.id), "{}: {kept:?}", step.id.0);
                    fs::write(&write.path, "").unwrap();
                    written.insert(write.path.clone());
                }
            }
            assert!(!written.is_empty(), "{name}: {steps:?}");
            fs::write(folder.join(old), "").unwrap();
            assert!(Command::new(&exec.program).args(&words).status().unwrap().success());
            assert_eq!(listed(folder), written);
        }
    }
}
