//! A run as SARIF 2.1.0: a result for each gate that failed, and the findings of programs that tell them in SARIF.

use serde_json::{Value, json};
use vocabulary::model::Gate;

use super::super::summary::{GateResult, Row};

/// The findings come as runs of their own, each under its program's name.
pub fn document(gates: &[&Gate], rows: &[Row], findings: Vec<Value>) -> Value {
    let rules: Vec<Value> = gates
        .iter()
        .map(|gate| {
            json!({
                "id": gate.id,
                "shortDescription": { "text": gate.checks },
                "help": { "text": gate.remedy },
                "defaultConfiguration": { "level": "error" },
            })
        })
        .collect();
    let results: Vec<Value> = rows
        .iter()
        .filter(|row| row.result == GateResult::Failed)
        .filter_map(|row| {
            let index = gates.iter().position(|gate| gate.id == row.gate)?;
            let error = row.error.as_deref().unwrap_or("it failed");
            Some(json!({
                "ruleId": row.gate,
                "ruleIndex": index,
                "level": "error",
                "message": { "text": format!("{error}; to do: {}", gates[index].remedy) },
                // A gate has no line that is wrong; where it is defined is the one place that is always right.
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": defined_in(row.gate), "uriBaseId": "%SRCROOT%" },
                    "region": { "startLine": 1 },
                } }],
            }))
        })
        .collect();
    let own = json!({
        "tool": { "driver": {
            "name": "cargo xtask ci",
            "version": env!("CARGO_PKG_VERSION"),
            "rules": rules,
        } },
        "results": results,
    });
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": std::iter::once(own).chain(findings).collect::<Vec<_>>(),
    })
}

fn defined_in(gate: &str) -> String {
    format!("xtask/platform/src/gates/{}.rs", gate.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::defined_in;
    use platform::platform;

    #[test]
    fn every_gate_is_defined_where_its_failure_points_to() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        for gate in platform().gates {
            assert!(repository.join(defined_in(gate.id)).is_file(), "{}", gate.id);
        }
    }
}
