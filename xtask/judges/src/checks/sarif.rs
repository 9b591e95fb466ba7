//! Findings in SARIF 2.1.0, the format in which GitHub and editors take them. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vocabulary::problem::Problem;

/// The log of one run of a tool, with findings or without.
pub fn log(tool: &str, version: &str, results: &[Problem]) -> Value {
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    for result in results {
        let next = rules.len();
        rules.entry(&*result.rule).or_insert(next);
    }
    let mut ids: Vec<_> = rules.iter().collect();
    ids.sort_by_key(|(_, index)| **index);
    let result = |one: &Problem| {
        json!({
            "ruleId": one.rule,
            "ruleIndex": rules[one.rule.as_str()],
            "level": one.level,
            "message": { "text": one.message() },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": one.place.file, "uriBaseId": "%SRCROOT%" },
                "region": { "startLine": one.place.line.max(1) },
            } }],
        })
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": tool,
                "version": version,
                "rules": ids.iter().map(|(id, _)| json!({ "id": id })).collect::<Vec<_>>(),
            } },
            "results": results.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

#[cfg(test)]
mod tests {
    use vocabulary::problem::{Level, Place};

    use super::*;

    #[test]
    fn results_point_to_their_rules_and_places() {
        let one = |rule: &str, line: usize| {
            let level = if line == 0 { Level::Warning } else { Level::Error };
            Problem::new(Place::line("a/b.env", line), "m").rule(rule).level(level)
        };
        let log = log("scanner", "1.2", &[one("z", 3), one("a", 0), one("z", 4)]);
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"], json!([{ "id": "z" }, { "id": "a" }]));
        let indexes: Vec<_> =
            run["results"].as_array().unwrap().iter().map(|one| &one["ruleIndex"]).collect();
        assert_eq!(indexes, [0, 1, 0]);
        let levels: Vec<_> = run["results"].as_array().unwrap().iter().map(|one| &one["level"]).collect();
        assert_eq!(levels, ["error", "warning", "error"]);
        let place = &run["results"][1]["locations"][0]["physicalLocation"];
        assert_eq!(
            (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
            (&json!("a/b.env"), &json!(1))
        );
        assert_eq!(super::log("scanner", "1", &[])["runs"][0]["results"], json!([]));
    }
}
