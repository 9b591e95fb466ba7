//! The invariants of containers.

use std::collections::BTreeSet;

use super::{Report, subject};
use crate::model::topology::{Scope, Topology};
use crate::model::{Container, Destination, Health, Image, Need, Platform, Probe, Service, Shape, Value};

pub(super) fn container(platform: &Platform, service: &Service, report: &mut Report) {
    let Container::Runs(shape) = &service.container else { return };
    let mut add = |problem: String| report.add(subject(service), problem);
    if shape.user.uid == 0 || shape.user.gid == 0 {
        add("its container would run as root; set a user and a group above 0".to_owned());
    }
    match &service.image {
        Image::Built { .. } if shape.sources.is_empty() => {
            add("its image is ours and holds no file; name its sources".to_owned());
        }
        Image::Built { .. } if service.process.as_ref().is_none_or(|process| process.commands.len() != 1) => {
            add("its image is ours, and no single command of its process says what it starts".to_owned());
        }
        Image::Pinned { .. } if !shape.sources.is_empty() => {
            add("somebody else made its image, so it cannot hold our files; mount them".to_owned());
        }
        Image::None | Image::Pending { .. } => add("it runs in a container without an image".to_owned()),
        _ => {}
    }
    if let Some(Health::Http { .. }) = service.health
        && shape.probe == Probe::Nothing
    {
        add("nothing in its image can check its health; name the probe".to_owned());
    }
    if let (Some(Health::Http { port, .. }), Probe::Script) = (&service.health, shape.probe) {
        if !matches!(service.image, Image::Built { .. }) {
            add("somebody else made its image, which does not hold our script; ask for its health by wget or a command"
                .to_owned());
        }
        let tells = |value: &Value| service.variables.iter().any(|variable| variable.value == *value);
        if !tells(&Value::BindAddress(*port)) || !tells(&Value::BindPort(*port)) {
            add(format!(
                "no two variables say to the script at which address and number {port} listens; add them"
            ));
        }
    }
    folders(service, shape, &mut add);
    for edge in service.edges.iter().filter(|edge| edge.need == Need::Start) {
        let Destination::Port(to) = edge.to else { continue };
        if platform.service(to.service).is_some_and(|needed| needed.container.shape().is_none()) {
            add(format!("as a container it cannot start without {}, which is not composed yet", to.service));
        }
    }
}

fn folders(service: &Service, shape: &Shape, add: &mut impl FnMut(String)) {
    for volume in &service.volumes {
        if shape.folders.iter().filter(|folder| folder.volume == volume.name).count() != 1 {
            add(format!("its volume {} lies nowhere in its container, or twice", volume.name));
        }
    }
    for folder in &shape.folders {
        if !service.volumes.iter().any(|volume| volume.name == folder.volume) {
            add(format!("its container has a folder for {}, which is no volume of it", folder.volume));
        }
    }
    let mut seen = BTreeSet::new();
    let paths = shape.folders.iter().map(|folder| folder.path);
    for path in paths
        .chain(shape.scratch.iter().map(|scratch| scratch.path))
        .chain(shape.configuration.iter().map(|file| file.path))
    {
        if !path.starts_with('/') || !seen.insert(path) {
            add(format!("{path} must be absolute, and used once in its container"));
        }
    }
}

/// What holds between services.
pub(super) fn together(platform: &Platform, report: &mut Report) {
    let policy = &platform.containers;
    for (what, number) in [
        ("restart_attempts", policy.restart_attempts),
        ("log_file_mib", policy.log_file_mib),
        ("log_files", policy.log_files),
        ("check.every_seconds", policy.check.every_seconds),
        ("check.limit_seconds", policy.check.limit_seconds),
        ("check.failures", policy.check.failures),
    ] {
        if number == 0 {
            report.add("containers", format!("{what} is 0; give a number above 0"));
        }
    }
    draining(platform, report);
    networks(platform, report);
}

fn networks(platform: &Platform, report: &mut Report) {
    // Once, not again for each replica of the client and each scope.
    let mut told = BTreeSet::new();
    for scope in Scope::ALL {
        let topology = Topology::of(platform, scope);
        for from in &topology.units {
            for to in topology.units.iter().filter(|to| to.name() != from.name()) {
                for port in &to.service.ports {
                    if topology.is_open(port)
                        && topology.allows(from, to, port)
                        && !topology.reaches(from, to, port)
                        && told.insert((from.service.id, to.service.id, port.name))
                    {
                        report.add(
                            subject(from.service),
                            format!(
                                "no network lets it reach {}.{}, as its edge allows",
                                to.service.id, port.name
                            ),
                        );
                    }
                }
            }
        }
    }
}

fn draining(platform: &Platform, report: &mut Report) {
    let (drain, edge) = (&platform.draining, &platform.edge);
    let noticed = edge.check_every_ms * u32::from(edge.check_failures);
    if drain.delay_ms <= noticed {
        report.add(
            "draining",
            format!(
                "the delay of {} ms ends before the edge has noticed ({noticed} ms); make it longer",
                drain.delay_ms
            ),
        );
    }
    for limit in [drain.limit_seconds, drain.development_limit_seconds] {
        if edge.answer_limit_seconds == 0 || edge.answer_limit_seconds >= limit {
            report.add(
                "edge",
                format!(
                    "answer_limit_seconds is {}: it must be above 0, and end before a drain and before the edge gives up \
                     ({limit} s), since the client would get no answer",
                    edge.answer_limit_seconds
                ),
            );
        }
    }
    let flows = platform.workers.flows;
    let drained = platform.service(flows.service);
    let in_front = platform.service(edge.service());
    if let (Some(in_front), Some(served)) = (in_front, drained) {
        super::reaches(platform, in_front, flows, report);
        if let Some(Health::Http { port, .. }) = served.health {
            super::reaches(platform, in_front, port, report);
        }
    }
    if let (Some(drained), Some(in_front)) = (drained, in_front)
        && in_front.stop.grace_seconds <= drained.stop.grace_seconds
    {
        report.add(
            subject(in_front),
            format!("it is killed before what {} still answers has passed through it", drained.id),
        );
    }
}
