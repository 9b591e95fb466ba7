//! What people may do, by role.

use vocabulary::model::{Approval, Dashboards, EditorAccess, Role, SecretRight};

/// What whoever operates an environment runs.
const OPERATES: [&str; 15] = [
    "status",
    "logs",
    "dashboards",
    "history",
    "drift",
    "smoke",
    "lock",
    "releases",
    "start",
    "down",
    "deploy",
    "rollback",
    "contract",
    "keys",
    "secrets",
];

pub fn roles() -> Vec<Role> {
    vec![
        Role {
            id: "viewer",
            who: "looks at dashboards",
            editor: EditorAccess::None,
            secrets: vec![],
            dashboards: Dashboards::Viewer,
            approves: vec![],
            login: false,
            commands: vec![],
        },
        Role {
            id: "developer",
            who: "writes flows and code, on their own machine and in pull requests",
            editor: EditorAccess::Development,
            secrets: vec![],
            dashboards: Dashboards::Editor,
            approves: vec![],
            login: false,
            commands: vec![],
        },
        Role {
            id: "operator",
            who: "keeps environments running",
            editor: EditorAccess::None,
            secrets: vec![SecretRight::List, SecretRight::Replace, SecretRight::Snapshot],
            dashboards: Dashboards::Editor,
            approves: vec![Approval::Staging],
            login: true,
            commands: OPERATES.to_vec(),
        },
        Role {
            id: "release-manager",
            who: "decides what is released, and what runs in production",
            editor: EditorAccess::None,
            secrets: vec![],
            dashboards: Dashboards::Viewer,
            approves: vec![Approval::Release, Approval::Staging, Approval::Production],
            login: false,
            commands: vec!["release", "promote", "rollback"],
        },
        Role {
            id: "emergency",
            who: "an operator during an incident, with an account that is used for nothing else",
            editor: EditorAccess::None,
            secrets: vec![
                SecretRight::List,
                SecretRight::Replace,
                SecretRight::Read,
                SecretRight::Snapshot,
                SecretRight::Seal,
            ],
            dashboards: Dashboards::Admin,
            approves: vec![Approval::Staging, Approval::Production],
            login: true,
            commands: [&OPERATES[..], &["promote"]].concat(),
        },
    ]
}
