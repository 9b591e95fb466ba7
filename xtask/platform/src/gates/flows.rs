//! Flows that would break in Node-RED.

use vocabulary::model::{Gate, GateCommand, GateGroup, Reads, Sarif};

use super::{command, planted, xtask};

pub fn gate() -> Gate {
    Gate {
        id: "flows",
        group: GateGroup::Sources,
        checks: "`cargo xtask check flows` and nrlint find no fault in the flows",
        commands: vec![offline(), nrlint("flows.json"), nrlint("test-smoke.json")],
        after: vec![],
        requires: vec![],
        reads: Reads::Files(vec!["flows", "xtask"]),
        negative_control: "xtask/tests/gates/faults.rs::flows_fails_on_a_dangling_wire",
        remedy: "fix the named node, in the editor (`cargo xtask dev`) or in the file",
        limit_seconds: 120,
    }
}

fn offline() -> GateCommand {
    GateCommand { sarif: Some(Sarif::File("target/xtask/sarif/flows.sarif")), ..xtask(&["check", "flows"]) }
}

/// It judges one file a call.
fn nrlint(file: &'static str) -> GateCommand {
    const FUNCTION: &str = r#"[{"id":"tab","type":"tab","label":"Planted"},
{"id":"planted","type":"function","z":"tab","name":"planted","outputs":1,"func":"const never = 1;\nreturn msg;","wires":[[]]}]
"#;
    let fault = planted(
        "flows.json",
        FUNCTION,
        &["--config", ".nrlintrc.js"],
        "'never' is assigned a value but never used",
    );
    command("nrlint", &["--config", ".nrlintrc.js", file], "flows", fault)
}
