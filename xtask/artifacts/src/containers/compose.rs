//! `ops/docker/**/*.yaml`: the platform on one host.
//!
//! Production is one whole file, so that a reviewer reads it from top to bottom. What it has in common with
//! development is `compose.yaml`; development includes that, and the override beside it adds the rest.

use vocabulary::formats::compose::{Project, Text};
use vocabulary::formats::dotenv::{self, Line};
use vocabulary::formats::yaml::{Yaml, write};
use vocabulary::model::environment::{EngineKind, Environment};
use vocabulary::model::topology::{Network, Scope, Topology, WayOut};
use vocabulary::model::{Image, Platform, Service, Storage};
use vocabulary::problem::Problem;

use super::dockerfiles::development_target;
use super::resolve::subnet;
use super::services::{configurations, service, volume};
use super::site;
use super::split::{common, without};
use crate::artifact::{Artifact, Committed, Made, Rendered, banner, judged};

pub const FAMILY: Committed = Committed {
    name: "compose",
    what: "ops/docker: Compose files for development, production and rehearsals",
    source: file!(),
    make: generate,
};

pub const BASE: &str = "ops/docker/compose.yaml";
pub const DEVELOPMENT: &str = "ops/docker/dev/compose.yaml";
pub const OVERRIDE: &str = "ops/docker/dev/docker-compose.override.yml";
pub const PRODUCTION: &str = "ops/docker/prod/compose.prod.yaml";
pub const EXAMPLE: &str = "ops/docker/compose.env.example";
pub const REHEARSAL: &str = "ops/docker/prod/compose.rehearsal.yaml";

const SOURCE: &str = "xtask/platform/src and xtask/artifacts/src/containers";

fn generate(platform: &Platform) -> Made {
    let [development, production, rehearsal] =
        [Scope::Development, Scope::Production, Scope::Rehearsal].map(|scope| project(platform, scope));
    let (development, production, rehearsal) = (development?, production?, rehearsal?);
    for (name, project) in [(DEVELOPMENT, &development), (PRODUCTION, &production), (REHEARSAL, &rehearsal)] {
        judged(name, project.validate())?;
    }
    let (whole_development, whole_production) = (development.yaml(), production.yaml());
    let base = common(&whole_development, &whole_production)
        .ok_or_else(|| differ("development and production have nothing in common"))?;
    let on_top = without(&whole_development, &base)
        .ok_or_else(|| differ("development is what it has in common with production"))?;
    let stand_ins = without(&rehearsal.yaml(), &whole_production)
        .ok_or_else(|| differ("a rehearsal has no stand-ins"))?;
    let including = Project {
        name: Some(Text::literal(format!("{}-dev", platform.name))),
        include: vec!["../compose.yaml"],
        ..Project::default()
    };
    let mut example: Vec<_> = banner(SOURCE).into_iter().map(Line::Comment).collect();
    example.push(Line::Comment("Settings that the production Compose files need from a site.".to_owned()));
    example.extend(site::example(platform));
    Ok(vec![
        Artifact::file(EXAMPLE, dotenv::write(&example)?),
        file(
            BASE,
            &["The services, as development and production share them. Do not run this file by itself."],
            &base,
        ),
        file(
            DEVELOPMENT,
            &[
                "Development: run `docker compose up --watch` in this folder, or `cargo xtask dev --engine compose`.",
                "Without -f, Compose also loads the override beside this file.",
            ],
            &including.yaml(),
        ),
        file(
            OVERRIDE,
            &[
                "What development adds to the services: mounted sources, the editor and the debugger, on loopback.",
            ],
            &on_top,
        ),
        file(
            PRODUCTION,
            &[
                "The whole of production on one host. The site's settings are passed as variables:",
                "`docker compose --env-file rendered/ENVIRONMENT/compose.env -f ops/docker/prod/compose.prod.yaml up --wait`",
            ],
            &with_name(platform, &whole_production),
        ),
        file(
            REHEARSAL,
            &["Adds stand-ins to production, for rehearsals and tests. Pass both files, production first."],
            &stand_ins,
        ),
    ])
}

fn differ(seen: &str) -> Problem {
    Problem::new("ops/docker", seen)
        .expected("files that differ where development, production and a rehearsal do")
}

fn file(path: &str, about: &[&str], document: &Yaml) -> Artifact {
    let mut header = banner(SOURCE);
    header.extend(about.iter().map(|line| (*line).to_owned()));
    Artifact::file(path, write(&header, document))
}

fn with_name(platform: &Platform, document: &Yaml) -> Yaml {
    let name = ("name".to_owned(), Yaml::text(platform.name));
    match document {
        Yaml::Mapping(entries) => {
            Yaml::Mapping(std::iter::once(name).chain(entries.iter().cloned()).collect())
        }
        other => other.clone(),
    }
}

/// The file and the stage of a service's image while developing; none where somebody else makes the image.
pub fn built_in_development(platform: &Platform, service: &Service) -> Option<(&'static str, &'static str)> {
    let Image::Built { dockerfile, target } = service.image else { return None };
    Some(match development_target(service) {
        Some(target) => (platform.containers.development, target),
        None => (dockerfile, target),
    })
}

/// The files that Compose needs of one environment besides the committed ones.
pub const RENDERED: Rendered = Rendered {
    name: "compose-environment",
    what: "rendered/ENV: what an environment tells Compose, and whole files where it has other units",
    source: file!(),
    make: of_environment,
};

fn of_environment(platform: &Platform, environment: &Environment) -> Made {
    if environment.engine != EngineKind::Compose {
        return Ok(vec![]);
    }
    let folder = format!("rendered/{}", environment.name);
    let topology = Topology::in_environment(platform, environment);
    let about = format!("Rendered from ops/environments/{}.toml; edit that instead.", environment.name);
    let lines = [vec![Line::Comment(about)], site::decided(&topology, environment)].concat();
    let variables = Artifact::file(format!("{folder}/compose.env"), dotenv::write(&lines)?);
    Ok([vec![variables], rendered(&topology, &folder)?].concat())
}

/// The files of an environment that the committed ones do not fit, because it has other units or another edge: the project, which names
/// the others, first. `folder` is below the root.
///
/// # Errors
/// What a service lacks to run in a container.
pub fn rendered(topology: &Topology<'_>, folder: &str) -> Made {
    let platform = topology.platform;
    let names = |topology: &Topology<'_>| topology.units.iter().map(|unit| unit.name()).collect::<Vec<_>>();
    if names(topology) == names(&Topology::of(platform, topology.scope)) && topology.edge.is_default() {
        return Ok(vec![]);
    }
    let mut project = of_topology(topology)?;
    let units: Vec<_> = topology.units.iter().map(|unit| unit.unit).collect();
    let edge = super::edge::configured(platform, &units, &topology.edge)?;
    let committed = in_project(&edge.path);
    let edge = Artifact { path: format!("{folder}/haproxy.cfg"), ..edge };
    let mut reads_edge = false;
    for (_, source) in project.configs.iter_mut().filter(|(_, source)| *source == committed) {
        *source = in_project(&edge.path);
        reads_edge = true;
    }
    judged(folder, project.validate())?;
    let about = ["The platform with as many replicas as the environment wants."];
    let project = file(&format!("{folder}/compose.yaml"), &about, &project.yaml());
    Ok(std::iter::once(project).chain(reads_edge.then_some(edge)).collect())
}

/// The project of an environment that releases are rolled out to, with every slot.
///
/// # Errors
/// What a service lacks to run in a container.
pub fn deployed(topology: &Topology<'_>) -> Made {
    let project = of_topology(topology)?;
    judged("the deployed project", project.validate())?;
    Ok(vec![file("compose.yaml", &["A release as it runs here."], &project.yaml())])
}

fn in_project(path: &str) -> String {
    format!("{}/{path}", super::services::ROOT_OF_TREE)
}

/// One scope as a whole project.
///
/// # Errors
/// What a service lacks to run in a container.
pub fn project(platform: &Platform, scope: Scope) -> Result<Project, Problem> {
    of_topology(&Topology::of(platform, scope))
}

fn of_topology(topology: &Topology<'_>) -> Result<Project, Problem> {
    let platform = topology.platform;
    let services: Vec<_> = topology
        .units
        .iter()
        .map(|unit| Ok((unit.name(), service(topology, unit)?)))
        .collect::<Result<_, Problem>>()?;
    let read = |name: &str| services.iter().any(|(_, service)| service.secrets.iter().any(|one| one == name));
    let secrets = platform.secrets.iter().map(|secret| secret.name.0).filter(|name| read(name));
    let volumes = topology.units.iter().flat_map(|unit| {
        let kept = unit.shape.folders.iter().filter(|folder| folder.storage == Storage::Volume);
        kept.map(|folder| volume(unit, folder.volume)).collect::<Vec<_>>()
    });
    let configs = topology.units.iter().flat_map(|unit| configurations(topology, unit));
    Ok(Project {
        name: None,
        include: vec![],
        networks: topology.networks.iter().map(|one| (one.name.clone(), network(platform, one))).collect(),
        volumes: volumes.collect(),
        secrets: secrets.map(|name| (name.to_owned(), site::secret_file(platform, name))).collect(),
        configs: configs.map(|file| (file.name.to_owned(), in_project(file.source))).collect(),
        services,
    })
}

fn network(platform: &Platform, network: &Network) -> vocabulary::formats::compose::Network {
    vocabulary::formats::compose::Network {
        subnet: subnet(platform, network),
        internal: network.way_out == WayOut::Closed,
        host: network.host,
    }
}
