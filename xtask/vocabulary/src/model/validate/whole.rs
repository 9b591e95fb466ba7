//! Invariants that hold between the parts of a platform.

use std::collections::BTreeSet;

use super::{Report, shape, subject, unique};
use crate::model::{
    ChangeClass, Destination, Exposure, GateCommand, Lifetime, Need, Platform, Proof, SecretSource,
    ServiceId, SmokeCheck, SmokeStep,
};

/// Random bytes of a generated secret, at least: 128 bits, the strength that NIST SP 800-57 asks for
/// beyond 2030.
const LEAST_BYTES: u8 = 16;

pub(super) fn judge(platform: &Platform, report: &mut Report) {
    unreached_ports(platform, report);
    secrets(platform, report);
    start_cycles(platform, report);
    llm(platform, report);
    queue(platform, report);
    smoke(platform, report);
    gates(platform, report);
    review(platform, report);
}

fn unreached_ports(platform: &Platform, report: &mut Report) {
    for (reference, port) in platform.ports() {
        let reached = platform.edges().any(|(_, edge)| edge.to == Destination::Port(reference));
        if port.exposure == Exposure::Internal && !reached {
            report.add(
                format!("port {reference}"),
                "no edge leads to it and it is not exposed; remove it or add the edge",
            );
        }
    }
}

fn secrets(platform: &Platform, report: &mut Report) {
    for secret in &platform.secrets {
        if platform.readers(secret.name).next().is_none() {
            report.add(format!("secret {}", secret.name), "nobody reads it; remove it or name its reader");
        }
        shape("secret", secret.name.0, report);
        if let SecretSource::Generated { bytes } = secret.source
            && bytes < LEAST_BYTES
        {
            report.add(
                format!("secret {}", secret.name),
                format!("{bytes} random bytes can be guessed; take {LEAST_BYTES} or more"),
            );
        }
        if secret.rotate_after_days == 0 {
            report.add(format!("secret {}", secret.name), "its rotation is 0 days; give a number above 0");
        }
    }
}

fn start_cycles(platform: &Platform, report: &mut Report) {
    let needs = |id: ServiceId| {
        platform.service(id).into_iter().flat_map(|service| {
            let over_edges = service.edges.iter().filter_map(|edge| match edge.to {
                Destination::Port(to) if edge.need == Need::Start => Some(to.service),
                _ => None,
            });
            over_edges.chain(service.starts_after.iter().copied())
        })
    };
    for service in &platform.services {
        let mut reached = BTreeSet::new();
        let mut open: Vec<_> = needs(service.id).collect();
        while let Some(next) = open.pop() {
            if reached.insert(next) {
                open.extend(needs(next));
            }
        }
        if reached.contains(&service.id) {
            report.add(
                subject(service),
                "it cannot start before itself: what it needs to start forms a circle",
            );
        }
    }
}

fn smoke(platform: &Platform, report: &mut Report) {
    unique("smoke check", platform.smoke.checks.iter().map(|check| check.name), report);
    if platform.smoke.check_limit_ms == 0 || platform.smoke.run_limit_ms < platform.smoke.check_limit_ms {
        report.add("smoke", "the limit of a check must be above 0 and at most that of the run");
    }
    if platform.smoke.checks.is_empty() {
        report.add("smoke", "it has no check, so it cannot fail");
    }
    for check in &platform.smoke.checks {
        smoke_check(check, report);
        for service in &check.relies_on {
            if platform.service(*service).is_none() {
                report.add(
                    format!("smoke check {}", check.name),
                    format!("it relies on {service}, which does not exist"),
                );
            }
        }
    }
}

fn smoke_check(check: &SmokeCheck, report: &mut Report) {
    let subject = format!("smoke check {}", check.name);
    if check.name.is_empty() || !check.name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
        report.add(&subject, "its name must be lower-case words joined by underscores");
    }
    if check.steps.is_empty() || check.expects.is_empty() {
        report.add(&subject, "it does nothing or expects nothing, so it cannot fail");
    }
    for step in &check.steps {
        if let SmokeStep::Route { title, rules, leaves_by: Some(output) } = step
            && !rules.iter().any(|rule| rule.output == *output)
        {
            report.add(
                &subject,
                format!("{title}: the message must leave by {output}, which no rule leads to"),
            );
        }
    }
}

fn llm(platform: &Platform, report: &mut Report) {
    let endpoint = &platform.llm;
    let lifetime = platform.service(endpoint.stand_in.service).map(|service| &service.lifetime);
    if platform.port(endpoint.stand_in).is_none() || lifetime != Some(&Lifetime::StandIn) {
        report.add("llm", format!("{} is no port of a stand-in", endpoint.stand_in));
    }
    if platform.secret(endpoint.key).is_none() {
        report.add("llm", format!("its key is the secret {}, which nobody defines", endpoint.key));
    }
}

fn queue(platform: &Platform, report: &mut Report) {
    let queue = &platform.queue;
    unique("queue", [queue.task, queue.dead_letter, queue.smoke_prefix].into_iter(), report);
    for (name, value) in [
        ("retry_delay_seconds", queue.retry_delay_seconds),
        ("park_max_seconds", queue.park_max_seconds),
        ("expire_seconds", queue.expire_seconds),
        ("heartbeat_seconds", queue.heartbeat_seconds),
        ("monitor_seconds", queue.monitor_seconds),
        ("retention_seconds", queue.retention_seconds),
        ("delete_after_seconds", queue.delete_after_seconds),
        ("poll_ms", queue.poll_ms),
        ("control_poll_ms", queue.control_poll_ms),
        ("in_flight", u32::from(queue.in_flight)),
        ("in_flight_characters", queue.in_flight_characters),
        ("concurrency", u32::from(queue.concurrency)),
    ] {
        if value == 0 {
            report.add("queue", format!("{name} is 0; give a number above 0"));
        }
    }
    if queue.retry_delay_max_seconds < queue.retry_delay_seconds {
        report.add("queue", "the longest retry delay is shorter than the first");
    }
    if queue.park_within_seconds > queue.retention_seconds {
        report
            .add("queue", "a task may be parked for longer than a job is kept; shorten park_within_seconds");
    }
    if queue.concurrency > queue.in_flight {
        report.add("queue", "one workflow may have more tasks at once than a replica; lower concurrency");
    }
    if queue.heartbeat_seconds >= queue.expire_seconds {
        report.add("queue", "an attempt expires before a dead worker is noticed; shorten the heartbeat");
    }
}

fn gates(platform: &Platform, report: &mut Report) {
    unique("gate", platform.gates.iter().map(|gate| gate.id), report);
    for gate in &platform.gates {
        let subject = format!("gate {}", gate.id);
        shape("gate", gate.id, report);
        if gate.commands.is_empty() {
            report.add(&subject, "it runs nothing, so it cannot fail");
        }
        if gate.limit_seconds == 0 {
            report.add(&subject, "its limit is 0 s; give it time to run");
        }
        if gate
            .negative_control
            .split_once("::")
            .is_none_or(|(file, test)| file.is_empty() || test.is_empty())
        {
            report.add(
                &subject,
                "no test is known that plants a fault and sees it fail: name one as FILE::NAME",
            );
        }
        for command in &gate.commands {
            let subject = format!("{subject}, {}", command.program);
            for problem in unproven(command) {
                report.add(&subject, problem);
            }
        }
        for other in &gate.after {
            let earlier = platform.gates.iter().take_while(|candidate| candidate.id != gate.id);
            if !earlier.into_iter().any(|candidate| candidate.id == *other) {
                report.add(&subject, format!("it waits for {other}, which is no gate listed before it"));
            }
        }
    }
}

/// Why the silence of a gate's program would prove nothing.
fn unproven(command: &GateCommand) -> Vec<&'static str> {
    let own = command.program == GateCommand::XTASK;
    match &command.proof {
        Proof::PlantedFault(fault) => {
            let holds = |text: &str| text.contains(fault.finding);
            let texts = fault.files.iter().flat_map(|file| [file.name, file.text]);
            let mut problems = Vec::new();
            if fault.files.is_empty() || fault.arguments.is_empty() {
                problems.push("its planted fault is in no file, or the program is not run on it");
            }
            if fault.finding.trim().is_empty() || texts.into_iter().any(holds) {
                problems.push(
                    "the expected finding is empty, or part of the planted files: expected the program's own \
                           words",
                );
            }
            if fault.files.iter().any(|file| file.name.is_empty() || file.name.contains('/')) {
                problems.push("a planted file has no name, or one with a folder in it");
            }
            problems
        }
        Proof::OwnTests if !own => vec!["it has no planted fault: give it one"],
        Proof::OwnTests if !command.calls.is_empty() => {
            vec!["it calls other programs: say how it checks that they work"]
        }
        Proof::InCommand(_) if !own => {
            vec!["only this program itself may do without: give it a planted fault"]
        }
        Proof::InCommand(how) if how.trim().is_empty() => {
            vec!["it does not say how it checks that the other programs work"]
        }
        Proof::OwnTests | Proof::InCommand(_) => vec![],
    }
}

fn review(platform: &Platform, report: &mut Report) {
    if platform.review.label.trim().is_empty() {
        report.add("review", "its label is empty; name the label that a reviewer sets");
    }
    if platform.review.asked_for.contains(&ChangeClass::Neutral) {
        report.add("review", "it asks for the label on neutral changes too; leave them out");
    }
}
