//! What a change of the platform means: two serialised platforms, compared value by value and told in sentences.
//! Pure.
//!
//! The earlier one may have been written by another version of the model, so both are plain data here. Whatever has
//! no sentence of its own gets a general one: nothing is left out.

mod class;
mod difference;
mod table;
#[cfg(test)]
mod types;
mod words;

use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use vocabulary::formats::markdown::{Block, code, write};
use vocabulary::model::{ChangeClass, Review};

use difference::{Difference, Segment, differences};

/// One change, in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sentence {
    pub class: ChangeClass,
    pub text: String,
    /// Where in the serialised platform, names joined by slashes.
    pub place: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Every change from one serialised platform to another; those of the graver classes first, then as the model has
/// them.
pub fn sentences(before: &Value, after: &Value) -> Vec<Sentence> {
    let all: Vec<_> = differences(before, after)
        .into_iter()
        .flat_map(|difference| {
            let inside = inside(&difference);
            std::iter::once(difference).chain(inside)
        })
        .collect();
    let sentence = |difference: &Difference| {
        let class = class::of(difference, &all);
        let unclassified = if class.is_none() { " (not classified: counts as loosening)" } else { "" };
        Sentence {
            class: class.unwrap_or(ChangeClass::LoosensLimit),
            text: words::of(difference, after) + unclassified,
            place: difference.names().join("/"),
            before: difference.before.clone(),
            after: difference.after.clone(),
        }
    };
    let mut sentences: Vec<_> = all.iter().map(sentence).collect();
    sentences.sort_by_key(|sentence| sentence.class);
    sentences
}

/// What comes or goes with a whole service or job and must not hide behind it: whom it reaches, who reaches it, what it
/// may read or do.
fn inside(difference: &Difference) -> Vec<Difference> {
    let lists: &[&str] = match difference.names()[..] {
        _ if difference.reordered => return vec![],
        ["services", _] => &["edges", "ports", "secrets"],
        ["workflows", _] => &["triggers", "jobs"],
        ["workflows", _, "jobs", _] => &["permissions", "secrets", "actions"],
        _ => return vec![],
    };
    let list = |whole: &Option<Value>, field| {
        whole.as_ref().and_then(|whole| whole.get(field)).cloned().unwrap_or_else(|| Value::Array(vec![]))
    };
    lists
        .iter()
        .flat_map(|field| {
            let mut path = difference.path.clone();
            path.push(Segment::Field((*field).to_owned()));
            difference::below(path, &list(&difference.before, *field), &list(&difference.after, *field))
        })
        .flat_map(|difference| {
            let inside = inside(&difference);
            std::iter::once(difference).chain(inside)
        })
        .collect()
}

/// Whether the model wants its label for any of these.
pub fn needs_label(review: &Review, sentences: &[Sentence]) -> bool {
    sentences.iter().any(|sentence| review.asked_for.contains(&sentence.class))
}

/// What must be waved through by which label: what the later model asks for, and the earlier one too, so that a change
/// cannot wave itself through.
pub fn rule(before: &Value, review: &Review) -> Review {
    let mut rule = review.clone();
    // The model's texts live as long as the program.
    let earlier: &'static Value = Box::leak(Box::new(before.get("review").cloned().unwrap_or_default()));
    if let Ok(earlier) = Review::deserialize(earlier) {
        rule.label = earlier.label;
        let more = earlier.asked_for.into_iter().filter(|class| !review.asked_for.contains(class));
        rule.asked_for.extend(more);
    }
    rule
}

/// As a page, such as the summary of a job; `labels` are those that are set, where that is known.
pub fn page(review: &Review, against: &str, sentences: &[Sentence], labels: Option<&[String]>) -> String {
    let mut blocks = vec![Block::Heading(2, "Changes of the platform".to_owned())];
    let count = sentences.len();
    let about = match (count, needs_label(review, sentences)) {
        (0, _) => format!("None against {}.", code(against)),
        (_, false) => format!("{count} against {}; none needs a label.", code(against)),
        (_, true) => {
            let marked =
                sentences.iter().filter(|sentence| review.asked_for.contains(&sentence.class)).count();
            format!(
                "{count} against {}; for {marked} of them a reviewer sets the label {}.",
                code(against),
                code(review.label)
            )
        }
    };
    blocks.push(Block::Paragraph(about));
    if let (true, Some(labels)) = (needs_label(review, sentences), labels) {
        let set = labels.iter().any(|label| label == review.label);
        let told = if set { "The label is set." } else { "**The label is not set: the check fails.**" };
        blocks.push(Block::Paragraph(told.to_owned()));
    }
    if count > 0 {
        let row = |sentence: &Sentence| vec![sentence.class.words().to_owned(), sentence.text.clone()];
        blocks.push(Block::Table {
            headers: vec!["class", "change"],
            rows: sentences.iter().map(row).collect(),
        });
    }
    write(&blocks)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};
    use vocabulary::model::{
        ChangeClass, Destination, Edge, Evidence, Exposure, Identity, Image, Need, Platform, Protocol,
        SecretUse, Service,
    };

    use super::{Sentence, needs_label, page, rule, sentences};
    use crate::review::ablation::{Model, without};
    use crate::review::part::{Part, Step};
    use second_platform::platform;

    use ChangeClass::{LoosensLimit, Neutral, NewPermission, WidensReach};

    fn data(platform: &Platform) -> Value {
        serde_json::to_value(platform).unwrap()
    }

    fn service<'a>(platform: &'a mut Platform, id: &str) -> &'a mut Service {
        platform.services.iter_mut().find(|service| service.id.0 == id).unwrap()
    }

    /// What is said of a change of the second platform.
    fn said(change: impl FnOnce(&mut Platform)) -> Vec<(ChangeClass, String)> {
        let mut changed = platform();
        change(&mut changed);
        let sentences = sentences(&data(&platform()), &data(&changed));
        sentences.into_iter().map(|sentence| (sentence.class, sentence.text)).collect()
    }

    #[test]
    fn changes_are_described_in_words() {
        type Change = fn(&mut Platform);
        let table: &[(Change, ChangeClass, &str)] = &[
            (
                |p| {
                    let to = Destination::Port(p.workers.operations);
                    service(p, "oracle").edges.push(Edge { to, need: Need::Run, why: "x", scrape: None });
                },
                WidensReach,
                "opens oracle -> flow-engine.control",
            ),
            (
                |p| {
                    service(p, "oracle").edges.push(Edge {
                        to: Destination::Internet,
                        need: Need::Run,
                        why: "x",
                        scrape: None,
                    })
                },
                WidensReach,
                "opens oracle -> the internet",
            ),
            (|p| service(p, "flow-engine").edges.truncate(1), Neutral, "closes flow-engine -> ledger.book"),
            (
                |p| service(p, "portal").edges[0].why = "x",
                Neutral,
                "edge portal -> flow-engine.api: why changes \"needs it\" -> \"x\"",
            ),
            (
                |p| service(p, "portal").resources.memory_mib = 512,
                LoosensLimit,
                "raises the memory of portal 256 -> 512 MiB",
            ),
            (
                |p| service(p, "portal").resources.memory_mib = 128,
                Neutral,
                "lowers the memory of portal 256 -> 128 MiB",
            ),
            (
                |p| service(p, "portal").resources.memory_mib = 0,
                LoosensLimit,
                "removes the memory limit of portal",
            ),
            (
                |p| service(p, "flow-engine").ports[2].number = 2884,
                Neutral,
                "port flow-engine.control 2883 -> 2884",
            ),
            (
                |p| service(p, "flow-engine").ports[0].exposure = Exposure::Public,
                WidensReach,
                "shows port flow-engine.api to public (was internal)",
            ),
            (
                |p| service(p, "portal").ports[0].exposure = Exposure::Internal,
                Neutral,
                "shows port portal.clear to internal (was public)",
            ),
            (
                |p| service(p, "portal").ports[1].protocol = Protocol::Http,
                LoosensLimit,
                "port portal.tls: protocol changes \"https\" -> \"http\"",
            ),
            (
                |p| {
                    let used = SecretUse { secret: p.llm.key, variable: None };
                    service(p, "ledger").secrets.push(used);
                },
                NewPermission,
                "lets ledger read the secret model-key",
            ),
            (
                |p| service(p, "portal").secrets.clear(),
                Neutral,
                "portal no longer reads the secret portal-certificate",
            ),
            (
                |p| p.secrets[0].rotate_after_days = 365,
                LoosensLimit,
                "secret store-root: rotate after days changes 60 -> 365",
            ),
            (
                |p| {
                    service(p, "portal").image = Image::Pinned {
                        reference: "haproxy:3.4.6-alpine3.24",
                        digest: "sha256:7ffdd3845020aa4c97ffaa56c8cab3ad473ecae0b8ea5e55d2378d663755e092",
                    }
                },
                Neutral,
                "pin of haproxy changes haproxy:3.4.5-alpine3.24 -> haproxy:3.4.6-alpine3.24",
            ),
            (
                |p| service(p, "store").process.as_mut().unwrap().identity = Identity::Caller,
                NewPermission,
                "service store, process: identity changes \"notroot\" -> \"caller\"",
            ),
            (|p| p.gates.retain(|gate| gate.id != "berths"), LoosensLimit, "removes gate berths"),
            (|p| p.gates[0].limit_seconds = 30, Neutral, "gate berths: limit seconds changes 60 -> 30"),
            (
                |p| p.gates[0].limit_seconds = 240,
                LoosensLimit,
                "gate berths: limit seconds changes 60 -> 240",
            ),
            (
                |p| service(p, "watch").edges[1].scrape = None,
                LoosensLimit,
                "edge watch -> portal.state: removes scrape",
            ),
            (
                |p| p.services.retain(|service| service.id.0 != "ledger"),
                LoosensLimit,
                "removes service ledger",
            ),
            (
                |p| service(p, "flow-engine").alerts[0].for_minutes = 60,
                LoosensLimit,
                "service flow-engine, alert EngineNotReady: for minutes changes 2 -> 60",
            ),
            (
                |p| service(p, "flow-engine").alerts.clear(),
                LoosensLimit,
                "service flow-engine: removes alert EngineNotReady",
            ),
            (|p| p.gates.swap(0, 1), Neutral, "order of gates changes"),
            (
                |p| service(p, "portal").purpose = "x",
                Neutral,
                "service portal: purpose changes \"the way in\" -> \"x\"",
            ),
            (|p| p.review.asked_for.clear(), LoosensLimit, "review: removes asked for widens-reach"),
            (
                |p| p.gates[0].commands[0].evidence = Evidence::CargoTests,
                Neutral,
                "gate berths, command xtask: evidence changes \"exit-code\" -> \"cargo-tests\"",
            ),
            (
                |p| p.gates[1].commands[0].arguments.push("--quick"),
                LoosensLimit,
                "gate customs, command xtask: adds argument",
            ),
            (|p| p.edge.path = "/", WidensReach, "edge: path changes"),
            (|p| p.edge.max_connections += 1, LoosensLimit, "edge: max connections changes"),
            (|p| p.edge.rate_seconds = 1, LoosensLimit, "edge: rate seconds changes"),
            (|p| p.edge.max_requests_of_address += 1, LoosensLimit, "edge: max requests of address changes"),
            (|p| p.edge.strict_transport_seconds = 1, LoosensLimit, "edge: strict transport seconds changes"),
            (|p| p.queue.concurrency += 1, LoosensLimit, "queue: concurrency changes"),
        ];
        for (change, class, text) in table {
            let said = said(change);
            assert!(
                said.iter().any(|(one, words)| one == class && words.starts_with(text)),
                "expected {class:?} {text}; got {said:#?}"
            );
        }
    }

    #[test]
    fn what_comes_with_a_service_is_described() {
        let mut smaller = platform();
        smaller.services.retain(|service| service.id.0 != "portal");
        let sentences = sentences(&data(&smaller), &data(&platform()));
        let texts: Vec<_> = sentences.iter().map(|one| (one.class, one.text.as_str())).collect();
        for expected in [
            (Neutral, "adds service portal: the way in"),
            (WidensReach, "opens portal -> flow-engine.api"),
            (WidensReach, "opens portal -> the internet"),
            (WidensReach, "opens port portal.tls (18443, https, public)"),
            (Neutral, "opens port portal.state (18404, http, internal)"),
            (NewPermission, "lets portal read the secret portal-certificate"),
        ] {
            assert!(texts.contains(&expected), "{expected:?}: {texts:#?}");
        }
        assert!(texts.is_sorted_by_key(|(class, _)| *class));
    }

    #[test]
    fn a_new_secret_is_described_with_its_readers() {
        let mut before = platform();
        let key = before.llm.key;
        before.secrets.retain(|secret| secret.name != key);
        let sentences = sentences(&data(&before), &data(&platform()));
        assert_eq!(sentences[0].text, "adds the secret model-key, read by flow-engine and oracle");
    }

    #[test]
    fn any_single_change_is_described() {
        let model = Model::new(&platform()).unwrap();
        let before = data(&platform());
        // One value of each kind: what is said of the others goes the same way.
        let mut kinds = BTreeSet::new();
        let kind = |part: &Part| -> Vec<String> {
            let step = |(step, name): (&Step, &String)| match step {
                Step::Field(_) => name.clone(),
                Step::Item(_) => "*".to_owned(),
            };
            part.steps.iter().zip(&part.names).map(step).collect()
        };
        for part in model.root.walk() {
            if kinds.contains(&kind(part)) {
                continue;
            }
            let Some((way, changed)) = without(&model, part) else { continue };
            kinds.insert(kind(part));
            let sentences = sentences(&before, &data(&changed));
            assert!(!sentences.is_empty(), "{} {way:?}", part.address);
            assert!(
                sentences.iter().all(|one| !one.text.contains("not classified")),
                "{} {way:?}",
                part.address
            );
            assert!(sentences.iter().all(|sentence| !sentence.text.is_empty()), "{} {way:?}", part.address);
        }
    }

    #[test]
    fn another_version_of_the_model_can_be_compared_with() {
        let mut before = data(&platform());
        before.as_object_mut().unwrap().remove("review");
        before["services"][0]["resources"].as_object_mut().unwrap().remove("memory_mib");
        before["services"][1]["resources"] = json!(null);
        before["playbooks"] = json!([{ "name": "x" }]);
        let texts: Vec<_> =
            sentences(&before, &data(&platform())).into_iter().map(|sentence| sentence.text).collect();
        for expected in [
            "adds review",
            "sets the memory limit of portal to 256 MiB",
            "service ledger: adds resources",
            "removes playbooks (not classified: counts as loosening)",
        ] {
            assert!(texts.iter().any(|text| text.starts_with(expected)), "{expected}: {texts:#?}");
        }
        let unknown = |all: &[Sentence]| all.iter().find(|one| one.place == "playbooks").unwrap().class;
        assert_eq!(unknown(&sentences(&before, &data(&platform()))), LoosensLimit);
        let back = sentences(&data(&platform()), &before);
        assert_eq!(unknown(&back), LoosensLimit);
        assert!(back.iter().any(
            |one| (one.class, one.text.as_str()) == (LoosensLimit, "removes the memory limit of portal")
        ));
        assert!(
            back.iter()
                .any(|one| (one.class, one.text.as_str())
                    == (LoosensLimit, "service ledger: removes resources"))
        );
    }

    #[test]
    fn the_page_names_the_label_only_where_it_is_needed() {
        let review = platform().review;
        let mut wider = platform();
        service(&mut wider, "flow-engine").ports[0].exposure = Exposure::Public;
        let changes = sentences(&data(&platform()), &data(&wider));
        assert!(needs_label(&review, &changes));
        let text = page(&review, "main", &changes, None);
        assert!(
            text.contains("1 against `main`; for 1 of them a reviewer sets the label `harbour-master`."),
            "{text}"
        );
        assert!(
            text.contains("| widens reach | shows port flow-engine.api to public (was internal) |"),
            "{text}"
        );
        assert!(page(&review, "main", &[], None).contains("None against `main`."));
        let narrower = sentences(&data(&wider), &data(&platform()));
        assert!(!needs_label(&review, &narrower));
        assert!(page(&review, "main", &narrower, None).contains("none needs a label"));
    }

    #[test]
    fn a_change_cannot_wave_itself_through() {
        let before = data(&platform());
        let mut bolder = platform();
        bolder.review.asked_for.clear();
        bolder.review.label = "whatever";
        service(&mut bolder, "flow-engine").ports[0].exposure = Exposure::Public;
        let changes = sentences(&before, &data(&bolder));
        assert!(!needs_label(&bolder.review, &changes));
        let rule = rule(&before, &bolder.review);
        assert!(needs_label(&rule, &changes));
        assert_eq!(rule.label, platform().review.label);
        let first = super::rule(&json!({}), &platform().review);
        assert_eq!(first, platform().review);
    }

    /// What is said of a change of the workflows.
    fn said_of_workflows(change: impl FnOnce(&mut Value)) -> Vec<(ChangeClass, String)> {
        let before = crate::data(&platform()).unwrap();
        let mut after = before.clone();
        change(&mut after);
        let sentences = sentences(&before, &after);
        sentences.into_iter().map(|sentence| (sentence.class, sentence.text)).collect()
    }

    #[test]
    fn permissions_of_workflows_are_described() {
        type Change = fn(&mut Value);
        let table: &[(Change, ChangeClass, &str)] = &[
            (
                |all| all["workflows"][0]["jobs"][0]["permissions"][0]["access"] = "write".into(),
                NewPermission,
                "lets the job ci/changes write contents (was read)",
            ),
            (
                |all| {
                    let more = json!({ "scope": "packages", "access": "write", "why": "x" });
                    all["workflows"][0]["jobs"][0]["permissions"].as_array_mut().unwrap().push(more);
                },
                NewPermission,
                "lets the job ci/changes write packages",
            ),
            (
                |all| all["workflows"][0]["jobs"][0]["permissions"] = json!([]),
                Neutral,
                "the job ci/changes may no longer read contents",
            ),
            (
                |all| {
                    let more =
                        json!({ "id": "extra", "permissions": [{ "scope": "issues", "access": "write" }] });
                    all["workflows"][0]["jobs"].as_array_mut().unwrap().push(more);
                },
                NewPermission,
                "lets the job ci/extra write issues",
            ),
            (
                |all| {
                    let jobs = json!([{ "id": "extra", "permissions": [], "secrets": ["TOKEN"] }]);
                    let more = json!({ "id": "more", "triggers": ["push"], "jobs": jobs });
                    all["workflows"].as_array_mut().unwrap().push(more);
                },
                NewPermission,
                "lets the job more/extra use the secret TOKEN",
            ),
            (
                |all| all["workflows"][0]["triggers"].as_array_mut().unwrap().push("schedule".into()),
                WidensReach,
                "lets schedule start the workflow ci",
            ),
            (
                |all| drop(all["workflows"].as_array_mut().unwrap().remove(0)),
                LoosensLimit,
                "removes workflow ci",
            ),
            (
                |all| {
                    let jobs = all["workflows"][0]["jobs"].as_array_mut().unwrap();
                    jobs.last_mut().unwrap()["needs"].as_array_mut().unwrap().pop();
                },
                LoosensLimit,
                "workflow ci, job required: removes need ",
            ),
            (
                |all| all["actions"][0]["version"] = "v99".into(),
                Neutral,
                "pin of Swatinem/rust-cache changes v1.0.0 -> v99",
            ),
            (
                |all| {
                    let more = json!({ "name": "x/y", "version": "v1", "commit": "0" });
                    all["actions"].as_array_mut().unwrap().push(more);
                },
                NewPermission,
                "adds the action x/y v1",
            ),
        ];
        for (change, class, text) in table {
            let said = said_of_workflows(change);
            assert!(
                said.iter().any(|(one, words)| one == class && words.starts_with(text)),
                "expected {class:?} {text}; got {said:#?}"
            );
        }
    }
}
