//! `docs/reference/{settings,compliance}.md`: what the judges of environments and files know, as tables for people.

use vocabulary::formats::markdown::code;
use vocabulary::model::Platform;

use artifacts::reference::{Page, write_pages};
use artifacts::{Committed, Made};
use judges::checks::compliance::rows;
use judges::site::{self, SettingDoc};

pub const FAMILY: Committed = Committed {
    name: "catalogues",
    what: "docs/reference: the settings of an environment, and the rows of compliance",
    source: file!(),
    make: generate,
};

fn generate(platform: &Platform) -> Made {
    write_pages(&pages(), platform)
}

fn pages() -> Vec<Page> {
    vec![
        Page {
            name: "settings",
            title: "Settings of an environment",
            about: "The settings in `ops/environments/NAME.toml`. `cargo xtask environment check` checks the files and lists \
                    settings that have no effect yet; `cargo xtask environment show NAME` shows an environment with all \
                    defaults. The column `read by` lists the engines on which a setting has an effect. Settings with `not \
                    yet` are only checked.",
            source: "xtask/judges/src/site/settings.rs",
            headers: vec!["setting", "what", "value", "default", "needed", "read by"],
            rows: |_| Ok(settings()),
        },
        Page {
            name: "compliance",
            title: "Compliance",
            about: "What `cargo xtask check compliance` checks in the files of this repository. A row whose \
                    subject does not \
                    exist yet is \"not applicable\", never passed. Numbers of CIS Docker are those of \
                    version 1.8. The column \
                    `gates` also lists other gates that check the same thing in another way.",
            source: "xtask/judges/src/checks/compliance/",
            headers: vec!["row", "passes when", "source", "subject", "gates"],
            rows: |platform| Ok(compliance(platform)),
        },
    ]
}

fn settings() -> Vec<Vec<String>> {
    site::settings()
        .into_iter()
        .map(|setting| {
            let default = if setting.default.is_empty() { String::new() } else { code(setting.default) };
            let SettingDoc { key, what, kind, needed, read_by, .. } = setting;
            vec![code(key), what.to_owned(), kind, default, needed, read_by]
        })
        .collect()
}

fn compliance(platform: &Platform) -> Vec<Vec<String>> {
    rows()
        .into_iter()
        .map(|row| {
            let sources: Vec<_> = row.sources.iter().map(ToString::to_string).collect();
            let known = |gate: &&str| platform.gates.iter().any(|one| one.id == *gate);
            let gate = platform.gate_running(&["check", "compliance"]);
            let gates = gate.map(|gate| gate.id).into_iter().chain(row.also.iter().copied().filter(known));
            vec![
                code(row.id),
                row.what.to_owned(),
                sources.join(", "),
                row.subject.to_string(),
                gates.map(code).collect::<Vec<_>>().join(", "),
            ]
        })
        .collect()
}
