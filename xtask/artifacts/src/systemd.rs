//! `ops/systemd/flowship@.service`: starts a deployed environment with its machine, and stops it before that stops.

use vocabulary::formats::systemd::{Setting, Unit};
use vocabulary::model::Platform;
use vocabulary::model::environment::Tier;
use vocabulary::model::topology::Scope;

use crate::artifact::{Artifact, Committed, Made, banner};

pub const FAMILY: Committed = Committed {
    name: "systemd",
    what: "ops/systemd: the unit that starts a deployed environment with its machine",
    source: file!(),
    make: generate,
};

/// `%i` is the environment. The link leads to the program of the release that was deployed last.
const PROGRAM: &str = "/var/lib/flowship/%i/flowship";

fn generate(platform: &Platform) -> Made {
    let units = platform.slots(&Scope::Production.environment());
    // They stop one after the other: those that use others first.
    let stops: u32 =
        units.iter().map(|unit| u32::from(platform.stop_limit_seconds(unit.service, Tier::Production))).sum();
    let unit = Unit {
        sections: vec![
            (
                "Unit",
                vec![
                    Setting::of("Description", "Flowship environment %i"),
                    Setting::of("Wants", "network-online.target"),
                    Setting::of("After", "network-online.target docker.service")
                        .because("an environment on Compose needs the engine, also when it stops"),
                ],
            ),
            (
                "Service",
                vec![
                    Setting::of("Type", "oneshot")
                        .because("the services belong to a supervisor that this starts"),
                    Setting::of("RemainAfterExit", "yes"),
                    Setting::of("User", "root").because(
                        "systemd gives a home only to a user that is named; programs are cached below it",
                    ),
                    Setting::of("LimitCORE", "1").because(
                        "a core file would hold secrets; one byte also keeps collectors from being called, which 0 \
                         does not",
                    ),
                    Setting::of("ExecStart", format!("{PROGRAM} start %i")),
                    Setting::of("ExecStop", format!("{PROGRAM} down %i")),
                    Setting::of("Restart", "on-failure"),
                    Setting::of("RestartSec", "30s"),
                    Setting::of("RestartPreventExitStatus", "2")
                        .because("something has to be changed first; the error says what"),
                    Setting::of("TimeoutStartSec", "15min"),
                    Setting::of("TimeoutStopSec", format!("{stops}s"))
                        .because("every service as long as it may take, one after the other"),
                ],
            ),
            ("Install", vec![Setting::of("WantedBy", "multi-user.target")]),
        ],
    };
    let mut header = banner("xtask/artifacts/src/systemd.rs");
    header.push("How to use it: docs/deployment.md, \"Start with the machine\".".to_owned());
    Ok(vec![Artifact::file("ops/systemd/flowship@.service", unit.write(&header))])
}
