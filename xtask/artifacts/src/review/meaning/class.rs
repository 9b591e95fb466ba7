//! What a change does to the platform's safety. Pure. Where that cannot be told, the graver class counts.

use serde_json::Value;
use vocabulary::model::ChangeClass::{self, LoosensLimit, Neutral, NewPermission, WidensReach};

use super::difference::{Difference, Segment};
use super::table::{EXPOSURES, ROWS, Rule};

/// None where nobody classified what has changed. `all` are the changes of which it is one.
pub fn of(difference: &Difference, all: &[Difference]) -> Option<ChangeClass> {
    let (_, rule) = ROWS.iter().find(|(pattern, _)| fits(pattern, &difference.path))?;
    Some(judge(*rule, difference, all))
}

fn fits(pattern: &str, path: &[Segment]) -> bool {
    let steps: Vec<_> = pattern.split('/').collect();
    let fit = |steps: &[&str]| {
        steps.iter().zip(path).all(|(step, segment)| match segment {
            Segment::Item(_) => *step == "*",
            Segment::Field(name) => step.split('|').any(|one| one == name),
        })
    };
    match steps.split_last() {
        Some((&"**", above)) => path.len() >= above.len() && fit(above),
        Some((&"*", above)) if path.len() == above.len() => fit(above),
        _ => path.len() == steps.len() && fit(&steps),
    }
}

fn judge(rule: Rule, difference: &Difference, all: &[Difference]) -> ChangeClass {
    let when = |holds: bool, class| if holds { class } else { Neutral };
    let (before, after) = (difference.before.as_ref(), difference.after.as_ref());
    match (rule, before, after) {
        // Absent before and after, only written otherwise.
        (_, None, None) => Neutral,
        (Rule::Each([_, _, _, order]), ..) if difference.reordered => order,
        (Rule::Each([added, ..]), None, _) => added,
        (Rule::Each([_, removed, ..]), _, None) => removed,
        (Rule::Each([_, _, changed, _]), ..) => changed,
        (Rule::Port | Rule::Edge, ..) if difference.reordered => Neutral,
        (Rule::Edge, Some(edge), None) => when(edge["scrape"].is_object(), LoosensLimit),
        (Rule::Edge, ..) => WidensReach,
        (Rule::Port, None, Some(port)) => {
            let exposure = port.get("exposure").map(word).unwrap_or_default();
            when(exposure != EXPOSURES[0], WidensReach)
        }
        (Rule::Port, _, None) => Neutral,
        (Rule::Port, ..) => WidensReach,
        (Rule::Towards(order, class), ..) => {
            // What is not known counts as the strictest before and the loosest after.
            let place = |value: Option<&Value>| {
                let word = word(value?);
                order.iter().position(|known| *known == word)
            };
            when(place(after).unwrap_or(order.len()) > place(before).unwrap_or(0), class)
        }
        (Rule::Image, Some(before), Some(after)) => {
            when(repository(before) != repository(after), NewPermission)
        }
        (Rule::PinOf(neighbour), Some(_), Some(_)) => {
            let moves = |other: &Difference| match (other.path.split_last(), difference.path.split_last()) {
                (Some((last, above)), Some((_, here))) => above == here && last.name() == neighbour,
                _ => false,
            };
            when(!all.iter().any(moves), LoosensLimit)
        }
        (Rule::Image | Rule::PinOf(_), ..) => LoosensLimit,
        (Rule::BoundOrDefault, None, _) | (_, _, None) => LoosensLimit,
        (_, None, _) => Neutral,
        (_, Some(before), Some(after)) => {
            let (Some(before), Some(after)) = (before.as_f64(), after.as_f64()) else { return LoosensLimit };
            let looser = match rule {
                Rule::AtLeast => after < before,
                Rule::AtMost => after > before,
                _ => after == 0.0 || before != 0.0 && after > before,
            };
            when(looser, LoosensLimit)
        }
    }
}

/// A word, or the name of a variant that holds more.
fn word(value: &Value) -> String {
    match value {
        Value::String(word) => word.clone(),
        Value::Object(variant) => variant.keys().next().cloned().unwrap_or_default(),
        other => other.to_string(),
    }
}

/// The name of an image without its tag; a colon before the last slash belongs to a registry's port.
fn repository(reference: &Value) -> String {
    let reference = word(reference);
    let name = reference.rfind('/').map_or(0, |slash| slash + 1);
    let end = reference[name..].find(':').map_or(reference.len(), |colon| name + colon);
    reference[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};
    use vocabulary::model::ChangeClass::{self, LoosensLimit, Neutral, NewPermission, WidensReach};
    use vocabulary::model::Platform;

    use super::super::types::{Path, paths};
    use super::{Difference, ROWS, Rule, Segment, fits, of};
    use crate::data;
    use second_platform::platform;

    /// `services/=edge/ports` with `=` before the elements of lists.
    fn path(text: &str) -> Path {
        let segment = |part: &str| match part.strip_prefix('=') {
            Some(name) => Segment::Item(name.to_owned()),
            None => Segment::Field(part.to_owned()),
        };
        text.split('/').map(segment).collect()
    }

    fn shown(path: &Path) -> String {
        let parts = path.iter().map(|segment| match segment {
            Segment::Field(name) => name.as_str(),
            Segment::Item(_) => "*",
        });
        parts.collect::<Vec<_>>().join("/")
    }

    fn below(path: &Path, segment: Segment) -> Path {
        path.iter().cloned().chain([segment]).collect()
    }

    fn change(place: &str, before: Value, after: Value) -> Difference {
        let present = |value: Value| (!value.is_null()).then_some(value);
        Difference { path: path(place), before: present(before), after: present(after), reordered: false }
    }

    fn paths_of_the_data(value: &Value, path: &Path, found: &mut BTreeSet<Path>) {
        found.insert(path.clone());
        let each =
            |value: &Value, segment, found: &mut _| paths_of_the_data(value, &below(path, segment), found);
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| each(value, Segment::Field(name.clone()), found));
            }
            Value::Array(items) => {
                items.iter().for_each(|item| each(item, Segment::Item("1".to_owned()), found));
            }
            _ => {}
        }
    }

    /// What the types can hold, and what the record adds to them.
    fn all_paths() -> BTreeSet<Path> {
        let mut paths = paths::<Platform>();
        paths_of_the_data(&data(&platform()).unwrap(), &vec![], &mut paths);
        paths.remove(&vec![]);
        paths
    }

    #[test]
    fn everything_that_can_change_has_a_class() {
        let paths = all_paths();
        for seldom in [
            "services/=1/lifetime/long-running/replicas",
            "services/=1/image/pending/reason",
            "services/=1/group",
            "services/=1/process/on_change/=1/reaction/reload-flows/gate",
            "gates/=1/commands/=1/sarif/instead/=1",
            "smoke/checks/=1/expects/=1/test/above",
            "workflows/=1/jobs/=1/environment/reviewers",
        ] {
            assert!(paths.contains(&path(seldom)), "{seldom} was not walked");
        }
        let unclassified: Vec<_> = paths
            .iter()
            .filter(|path| !ROWS.iter().any(|(pattern, _)| fits(pattern, path)))
            .map(shown)
            .collect();
        assert!(unclassified.is_empty(), "give these a row in table.rs: {unclassified:#?}");
    }

    /// A row for what is no more would hide that a field of the same name came back as something else.
    #[test]
    fn every_row_is_needed() {
        let paths = all_paths();
        for (at, (pattern, rule)) in ROWS.iter().enumerate() {
            let above = &ROWS[..at];
            let first = |path: &&Path| !above.iter().any(|(earlier, _)| fits(earlier, path));
            for one in alternatives(pattern) {
                assert!(paths.iter().filter(first).any(|path| fits(&one, path)), "{one}");
            }
            let closed = *rule == Rule::Each([LoosensLimit; 4]);
            assert!(
                closed || !pattern.contains("**"),
                "{pattern}: only the graver class may wait for new fields"
            );
        }
    }

    fn alternatives(pattern: &str) -> Vec<String> {
        pattern.split('/').fold(vec![String::new()], |so_far, step| {
            let longer = |start: &String| {
                let slash = if start.is_empty() { "" } else { "/" };
                step.split('|').map(|one| format!("{start}{slash}{one}")).collect::<Vec<_>>()
            };
            so_far.iter().flat_map(longer).collect()
        })
    }

    #[test]
    fn changes_have_the_class_of_what_they_do() {
        let scrape = || json!({ "path": "/metrics", "every_seconds": 15 });
        let scraping = || json!({ "to": "y.z", "scrape": scrape() });
        let table: Vec<(&str, Value, Value, ChangeClass)> = vec![
            ("services/=x", json!({ "id": "x" }), json!(null), LoosensLimit),
            ("services/=x", json!(null), json!({ "id": "x" }), Neutral),
            ("services/=x/edges/=y.z", json!(null), json!({ "to": "y.z" }), WidensReach),
            ("services/=x/edges/=y.z", json!({ "to": "y.z" }), json!(null), Neutral),
            ("services/=x/edges/=y.z", scraping(), json!(null), LoosensLimit),
            ("services/=x/edges/=y.z/need", json!("start"), json!("run"), LoosensLimit),
            ("services/=x/edges", json!(null), json!([{ "to": "y.z" }]), WidensReach),
            ("services/=x/ports/=p", json!(null), json!({ "exposure": "operator" }), WidensReach),
            ("services/=x/ports/=p", json!(null), json!({ "exposure": "internal" }), Neutral),
            ("services/=x/ports/=p", json!(null), json!({}), WidensReach),
            ("services/=x/ports/=p/exposure", json!("operator"), json!("public"), WidensReach),
            ("services/=x/ports/=p/exposure", json!("public"), json!("operator"), Neutral),
            ("services/=x/ports/=p/exposure", json!("public"), json!("everywhere"), WidensReach),
            ("services/=x/ports/=p/protocol", json!("https"), json!("http"), LoosensLimit),
            ("services/=x/secrets/=s", json!(null), json!({ "secret": "s" }), NewPermission),
            ("services/=x/secrets/=s/variable", json!("A_FILE"), json!("B_FILE"), LoosensLimit),
            ("services/=x/edges/=y.z/scrape", scrape(), json!(null), LoosensLimit),
            ("services/=x/edges/=y.z/scrape", json!(null), scrape(), Neutral),
            ("services/=x/edges/=y.z/scrape/every_seconds", json!(15), json!(60), LoosensLimit),
            ("services/=x/edges/=y.z/scrape/every_seconds", json!(60), json!(15), Neutral),
            ("services/=x/edges/=y.z/scrape/path", json!("/metrics"), json!("/"), LoosensLimit),
            ("services/=x/alerts/=A", json!({ "name": "A" }), json!(null), LoosensLimit),
            ("services/=x/alerts/=A/for_minutes", json!(5), json!(60), LoosensLimit),
            ("services/=x/alerts/=A/for_minutes", json!(5), json!(0), Neutral),
            ("services/=x/alerts/=A/expression", json!("a > 1"), json!("a > 9"), LoosensLimit),
            ("services/=x/alerts/=A/severity", json!("critical"), json!("warning"), LoosensLimit),
            ("services/=x/alerts/=A/meaning", json!("a"), json!("b"), Neutral),
            ("services/=x/metrics/=m", json!({ "name": "m" }), json!(null), LoosensLimit),
            ("services/=x/resources/memory_mib", json!(256), json!(512), LoosensLimit),
            ("services/=x/resources/memory_mib", json!(256), json!(0), LoosensLimit),
            ("services/=x/resources/memory_mib", json!(256), json!(null), LoosensLimit),
            ("services/=x/resources/memory_mib", json!(256), json!("512Mi"), LoosensLimit),
            ("services/=x/resources/memory_mib", json!(0), json!(256), Neutral),
            ("services/=x/resources/memory_mib", json!(512), json!(256), Neutral),
            ("services/=x/health", json!({ "http": {} }), json!(null), LoosensLimit),
            ("services/=x/health/http/path", json!("/readyz"), json!("/"), LoosensLimit),
            ("services/=x/health/command/arguments/=1/text", json!("-h"), json!("-V"), LoosensLimit),
            ("services/=x/volumes/=data", json!({ "name": "data" }), json!(null), LoosensLimit),
            ("services/=x/volumes/=data/precious", json!(true), json!(false), LoosensLimit),
            ("services/=x/volumes/=data/precious", json!(false), json!(true), Neutral),
            ("services/=x/starts_after/=migrate", json!("migrate"), json!(null), LoosensLimit),
            ("services/=x/lifetime/long-running/replicas", json!(2), json!(1), LoosensLimit),
            ("services/=x/lifetime/long-running/replicas", json!(2), json!(3), Neutral),
            ("services/=x/variables/=V/value/text", json!("on"), json!("off"), LoosensLimit),
            ("services/=x/image", json!({ "pinned": {} }), json!("none"), LoosensLimit),
            ("services/=x/image/pinned/digest", json!("sha256:1"), json!("sha256:2"), LoosensLimit),
            ("services/=x/image/pinned/reference", json!("a/b:1"), json!("a/b:2"), Neutral),
            ("services/=x/image/pinned/reference", json!("h:5/b:1"), json!("h:6/b:1"), NewPermission),
            ("services/=x/image/pinned/reference", json!("b:1"), json!("evil/b:1"), NewPermission),
            ("services/=x/process/identity", json!("notroot"), json!("caller"), NewPermission),
            ("services/=x/process/identity", json!("caller"), json!("notroot"), Neutral),
            ("services/=x/container/runs/user/uid", json!(99), json!(0), NewPermission),
            ("services/=x/container/runs/scratch/=a", json!(null), json!({ "path": "/a" }), LoosensLimit),
            ("services/=x/container/runs/open_files", json!(null), json!(65536), LoosensLimit),
            ("services/=x/container/runs/open_files", json!(9216), json!(1024), Neutral),
            ("services/=x/container/runs/debugger", json!(null), json!(9229), WidensReach),
            ("secrets/=s", json!({ "name": "s" }), json!(null), LoosensLimit),
            ("secrets/=s/source", json!({ "generated": {} }), json!({ "provided": {} }), LoosensLimit),
            ("secrets/=s/source", json!({ "provided": {} }), json!({ "generated": {} }), Neutral),
            ("secrets/=s/source/generated/bytes", json!(24), json!(8), LoosensLimit),
            ("secrets/=s/rotate_after_days", json!(90), json!(365), LoosensLimit),
            ("queue/retention_seconds", json!(1_209_600), json!(3600), LoosensLimit),
            ("queue/delete_after_seconds", json!(604_800), json!(60), LoosensLimit),
            ("queue/retry_backoff", json!(true), json!(false), LoosensLimit),
            ("queue/in_flight", json!(256), json!(512), LoosensLimit),
            ("workers/flows", json!("x.y"), json!("x.admin"), WidensReach),
            ("release/public_keys/=RWb", json!(null), json!("RWb"), NewPermission),
            ("containers/limits/=x/tools/=sh", json!(null), json!("sh"), LoosensLimit),
            ("edge/body_limit_bytes", json!(1_048_576), json!(0), LoosensLimit),
            ("edge/check_successes", json!(2), json!(1), LoosensLimit),
            ("smoke/checks/=c/expects/=p/test/equals", json!("a"), json!("b"), LoosensLimit),
            ("smoke/checks/=c/steps/=1/query/sql", json!("a"), json!("b"), LoosensLimit),
            ("smoke/checks/=c/steps/=1/query/title", json!("a"), json!("b"), Neutral),
            ("gates/=g", json!({ "id": "g" }), json!(null), LoosensLimit),
            ("gates/=g/requires/=browser", json!(null), json!("browser"), LoosensLimit),
            ("gates/=g/requires/=browser", json!("browser"), json!(null), Neutral),
            ("gates/=g/reads", json!("world"), json!({ "files": [] }), LoosensLimit),
            ("gates/=g/reads/files/=xtask", json!("xtask"), json!(null), LoosensLimit),
            ("gates/=g/commands/=c/proof", json!({ "planted-fault": {} }), json!("own-tests"), LoosensLimit),
            ("gates/=g/commands/=c/evidence", json!("exit-code"), json!("cargo-tests"), Neutral),
            ("gates/=g/commands/=c/evidence", json!("cargo-tests"), json!("exit-code"), LoosensLimit),
            ("review/asked_for/=widens-reach", json!("widens-reach"), json!(null), LoosensLimit),
            ("workflows/=w/jobs/=j/needs/=n", json!("n"), json!(null), LoosensLimit),
            ("workflows/=w/jobs/=j/environment/reviewers", json!("required"), json!("nobody"), LoosensLimit),
            ("workflows/=w/jobs/=j/permissions/=p/access", json!("read"), json!("write"), NewPermission),
            ("workflows/=w/jobs/=j/publishes", json!(true), json!(false), LoosensLimit),
            ("actions/=a", json!(null), json!({ "name": "a" }), NewPermission),
            ("actions/=a/commit", json!("1"), json!("2"), LoosensLimit),
        ];
        for (place, before, after, class) in table {
            let change = change(place, before.clone(), after.clone());
            assert_eq!(of(&change, &[]), Some(class), "{place}: {before} -> {after}");
        }
    }

    #[test]
    fn a_pin_changes_with_its_tag() {
        let digest = |service: &str| {
            change(&format!("services/={service}/image/pinned/digest"), json!("1"), json!("2"))
        };
        let tag = change("services/=x/image/pinned/reference", json!("a:1"), json!("a:2"));
        let all = [digest("x"), digest("y"), tag];
        assert_eq!(of(&all[0], &all), Some(Neutral));
        assert_eq!(
            of(&all[1], &all),
            Some(LoosensLimit),
            "the tag of another image says nothing of this one"
        );
    }

    #[test]
    fn another_order_counts_where_order_has_a_meaning() {
        for (place, class) in [
            ("gates", Neutral),
            ("services/=x/ports", Neutral),
            ("gates/=g/commands/=c/arguments", LoosensLimit),
            ("services/=x/container/runs/command", LoosensLimit),
        ] {
            let change =
                Difference { reordered: true, ..change(place, json!(["a", "b"]), json!(["b", "a"])) };
            assert_eq!(of(&change, &[]), Some(class), "{place}");
        }
    }

    #[test]
    fn what_nobody_classified_has_no_class() {
        for place in
            ["playbooks", "playbooks/=x", "services/=x/new", "services/=x/ports/=p/new", "services/ports"]
        {
            assert_eq!(of(&change(place, json!(null), json!(1)), &[]), None, "{place}");
        }
    }
}
