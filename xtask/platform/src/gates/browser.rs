//! What web pages can do to a developer's machine, in a real browser.

use vocabulary::model::{Evidence, Gate, GateCommand, GateGroup, Reads, Requirement};

use super::{command, node};

pub fn gate() -> Gate {
    Gate {
        id: "browser",
        group: GateGroup::Node,
        checks: "in a real browser, pages of other origins cannot run commands, and a developer can deploy in the editor",
        commands: vec![GateCommand {
            calls: vec!["node", "chromium"],
            evidence: Evidence::NodeTests,
            ..command("npm", &["run", "--silent", "test:browser"], "flows", node::failing())
        }],
        after: vec!["node"],
        requires: vec![Requirement::Browser],
        reads: Reads::Files(vec!["flows"]),
        negative_control: "xtask/tests/gates/faults.rs::browser_fails_when_the_editor_answers_other_pages",
        remedy: "read the failing assertion; flows/runtime/browser-guard.js refuses other pages",
        limit_seconds: 600,
    }
}
