//! From the first `dev` to `reset`, on one platform.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, UNIX_EPOCH};

use crate::background::Background;
use crate::checkout::{Checkout, Ended};
use crate::processes::told;
use crate::web;

/// Among others that an adopter may add.
const CHECKS: [&str; 2] = ["database", "end_to_end"];
const SERVICES: [&str; 3] = ["llm", "node-red-a", "postgres"];

#[test]
fn up_smoke_status_logs_down_and_reset() {
    let checkout = Checkout::new();
    before_it_was_ever_up(&checkout);
    let up = checkout.done(&["dev", "--detach", "--json"]).json();
    assert_eq!(up["record"]["environment"], "dev", "{up:#}");
    assert_eq!(up["report"]["outcome"], "done", "{up:#}");
    smoke(&checkout);
    keys(&checkout);
    secrets(&checkout);
    status(&checkout);
    logs(&checkout);
    a_second_dev_changes_nothing(&checkout);
    what_it_says_to_try_works(&checkout);
    secrets_stay_where_they_are(&checkout);
    data_survive(&checkout);
    reset(&checkout);
}

fn before_it_was_ever_up(checkout: &Checkout) {
    for command in ["status", "logs", "smoke"] {
        let ended = checkout.run(&[command]);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        ended.says(&["cargo xtask dev"]);
    }
    checkout.done(&["down"]);
    let plan = checkout.done(&["dev", "--dry-run"]);
    assert!(plan.out.contains("start node-red-a") && plan.errors.is_empty(), "{plan:#?}");
    let plan = checkout.done(&["dev", "--dry-run", "--json"]).json();
    let ids: Vec<_> =
        plan["steps"].as_array().unwrap().iter().map(|step| step["id"].as_str().unwrap()).collect();
    for service in SERVICES {
        assert!(ids.contains(&format!("{service}.ready").as_str()), "{ids:?}");
    }
    let waits_for_no_edge = plan.to_string().contains(r#""DRAIN_DELAY_MS":"0""#);
    assert!(waits_for_no_edge, "nothing routes to it: {plan:#}");
    assert!(!checkout.path(".flowship/dev/instance.json").exists(), "a dry run does nothing");
    assert!(!checkout.path(".flowship/dev/secrets").exists(), "a dry run does nothing");
    checkout.nothing_runs();
}

fn smoke(checkout: &Checkout) {
    let ended = checkout.done(&["smoke"]);
    let rows: Vec<Vec<_>> = ended.out.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
    let answer = checkout.done(&["smoke", "--json"]).json();
    assert_eq!(answer["status"], "passed");
    let checks = answer["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert!(CHECKS.iter().all(|name| names.contains(name)), "{names:?}");
    let (count, expected) = (names.len(), names.iter().map(|name| vec![*name, "passed"]));
    assert_eq!(rows[1..=count], expected.collect::<Vec<_>>(), "{ended:#?}");
    assert!(ended.out.contains(&format!("{count} of {count} checks passed")), "{ended:#?}");
    for check in checks {
        assert_eq!(
            (&check["status"], &check["error"]),
            (&"passed".into(), &serde_json::Value::Null),
            "{check:#}"
        );
        assert!(check["duration_ms"].is_number() && !check["detail"].is_null(), "{check:#}");
    }
    assert!(answer["run_id"].is_string() && answer["duration_ms"].is_number(), "{answer:#}");
    by_address(checkout);
}

/// Any platform's operations port can be asked, with its token only.
fn by_address(checkout: &Checkout) {
    let url = checkout.url("node-red-a", "ops", "");
    let token = checkout.path(".flowship/dev/secrets/ops-token");
    checkout.done(&["smoke", "--url", &url, "--token-file", token.to_str().unwrap()]);
    let other = checkout.path("another-token");
    fs::write(&other, "not the token\n").unwrap();
    let refused = checkout.run(&["smoke", "--url", &url, "--token-file", other.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    refused.says(&["refuses the operations token"]);
}

fn keys(checkout: &Checkout) {
    let call = |key: &str| {
        let url = checkout.url("node-red-a", "flows", "/api/v1/workflows/describe-text/tasks");
        let body = Some(r#"{"input": {"text": "One. Two."}}"#);
        web::ask("POST", &url, Some(key), body).unwrap().status
    };
    let arguments =
        ["keys", "create", "dev", "web-shop", "--workflow", "describe-text", "--rate", "2", "--days", "9"];
    let created = checkout.done(&arguments);
    created.says(&["web-shop", "cannot be shown again"]);
    let key = created.out.trim();
    assert!(key.starts_with("flowship_") && key.lines().count() == 1, "{created:#?}");
    assert_eq!([call(key), call(key), call(key)], [202, 202, 429]);
    let listed = checkout.done(&["keys", "list", "dev"]).out;
    assert!(
        listed.contains("web-shop") && listed.contains("describe-text") && !listed.contains(key),
        "{listed}"
    );
    assert!(listed.contains("bootstrap") && listed.contains("the platform's own"), "{listed}");
    checkout.done(&["keys", "revoke", "dev", "web-shop"]);
    assert_eq!(call(key), 401);
    let listed = checkout.done(&["keys", "list", "dev", "--json"]).json();
    let revoked = listed.as_array().unwrap().iter().find(|key| key["name"] == "web-shop").unwrap();
    assert!(revoked["revoked_at"].is_string() && revoked["requests_per_minute"] == 2, "{listed:#}");
    for (words, told) in [
        (&["keys", "revoke", "dev", "web-shop"][..], "no API key 'web-shop' is in use"),
        (&["keys", "create", "dev", "other", "--workflow", "no-such"], "there is no no-such; known are"),
        (&["keys", "create", "dev", "No!"], "expected 1 to 64 of a-z"),
        (&["keys", "revoke", "dev", "bootstrap"], "the platform's own key"),
        (&["keys", "list", "nowhere"], "nowhere"),
    ] {
        let refused = checkout.run(words);
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        refused.says(&[told]);
    }
}

fn secrets(checkout: &Checkout) {
    let audit = || checkout.run(&["secrets", "audit"]);
    let ended = audit();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let row = ended.out.lines().find(|line| line.starts_with("ops-token ")).unwrap();
    assert!(row.contains(" node-red ") && row.ends_with("in order"), "{row}");
    let [token, key] =
        ["ops-token", "api-key"].map(|name| checkout.path(&format!(".flowship/dev/secrets/{name}")));
    let value = fs::read_to_string(&token).unwrap();
    assert!(!ended.out.contains(value.trim()), "a value is shown");
    let file = fs::File::options().write(true).open(&token).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    // What starts the platform says to the monitoring what `audit` says.
    let due = written.duration_since(UNIX_EPOCH).unwrap().as_secs() + 30 * 86_400;
    let metrics = fs::read_to_string(checkout.path(".flowship/dev/metrics/secrets.prom")).unwrap();
    let sample = "flowship_secret_due_timestamp_seconds{environment=\"dev\",secret=\"ops-token\"}";
    assert!(metrics.contains(&format!("{sample} {due}\n")), "{due}: {metrics}");
    file.set_modified(written - Duration::from_secs(33 * 86_400)).unwrap();
    fs::rename(&key, key.with_extension("away")).unwrap();
    let ended = audit();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.out.contains("3 days overdue") && ended.out.contains("No such file"), "{ended:#?}");
    fs::rename(key.with_extension("away"), &key).unwrap();
    file.set_modified(written).unwrap();
    assert_eq!(audit().code, Some(0));
    let ended = checkout.run(&["secrets", "audit", "nowhere"]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
}

fn status(checkout: &Checkout) {
    let status = checkout.done(&["status", "--json"]).json();
    let services = status.as_array().unwrap();
    let names: Vec<_> = services.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(SERVICES.iter().all(|name| names.contains(name)), "{names:?}");
    for one in services {
        assert_eq!((&one["state"], &one["health"]), (&"running".into(), &"healthy".into()), "{one:#}");
        assert!(one["pid"].is_u64() && one["ports"].is_object() && one["restarts"] == 0, "{one:#}");
    }
    let table = checkout.done(&["status"]).out;
    let rows = table.lines().take_while(|line| !line.is_empty()).count();
    assert!(rows == names.len() + 1 && table.contains("node-red-a") && table.contains("healthy"), "{table}");
    assert!(table.contains("\neditor  http://127.0.0.1:"), "{table}");
}

fn logs(checkout: &Checkout) {
    let all = checkout.done(&["logs"]).out;
    for service in SERVICES {
        assert!(all.lines().any(|line| line.starts_with(service)), "{service}: {all}");
    }
    let few = checkout.done(&["logs", "node-red", "-n", "2", "--json"]).out;
    assert_eq!(few.lines().count(), 2, "{few}");
    for line in few.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for label in ["workflow_id", "node_id", "task_id", "component", "environment"] {
            assert!(line[label].is_string(), "{label}: {line}");
        }
    }
    let refused = checkout.run(&["logs", "postgers"]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    refused.says(&["did you mean postgres?"]);

    let mut following = Background::start(checkout.command(&["logs", "node-red-a", "--follow", "-n", "1"]));
    following.await_line(0, &[""]);
    let task = checkout.submit("Follow this.");
    following.await_line(0, &["the task is completed", &task]);
    following.interrupt();
    assert_eq!(following.code(), Some(0));
    story(checkout, &task);
}

/// What became of one task, from its submission to its result, over the services that it went through.
fn story(checkout: &Checkout, task: &str) {
    let told = checkout.done(&["logs", "--task", task]).out;
    let at = |words: &str| told.lines().position(|line| line.contains(words)).expect(&told);
    assert!(at("an attempt begins") < at("the task is completed"), "{told}");
    assert!(at("mcp-tools") < at("the task is completed"), "{told}");
    assert!(told.lines().all(|line| line.contains(task)), "{told}");
    let lines = checkout.done(&["logs", "--task", task, "--json"]).out;
    let times: Vec<String> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["time"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(times.len() == told.lines().count() && times.is_sorted(), "{lines}");
    let nothing = checkout.run(&["logs", "--task", "no-such-task"]);
    assert_eq!(nothing.code, Some(1), "{nothing:#?}");
    nothing.says(&["no line of", "node-red-a", "names the task no-such-task"]);
    assert_eq!(checkout.run(&["logs", "--task", task, "-f"]).code, Some(2));
}

fn a_second_dev_changes_nothing(checkout: &Checkout) {
    let before = checkout.pids();
    let again = checkout.up();
    assert_eq!(checkout.pids(), before, "{again:#?}");
    assert!(again.out.contains(&checkout.url("node-red-a", "flows", "")), "{again:#?}");
}

/// The command is run as it is printed, in the checkout.
fn what_it_says_to_try_works(checkout: &Checkout) {
    let panel = checkout.up().out;
    let tried = panel.split_once("  try  ").unwrap().1.split_once("  check ").unwrap().0;
    let shell =
        std::process::Command::new("sh").args(["-c", tried]).current_dir(checkout.root()).output().unwrap();
    let answer = Ended::of(&shell).json();
    assert_eq!(checkout.finished(answer["task_id"].as_str().unwrap())["status"], "completed");
}

fn secrets_stay_where_they_are(checkout: &Checkout) {
    let folder = checkout.path(".flowship/dev/secrets");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut values = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        values.push((
            path.file_name().unwrap().to_owned(),
            fs::read_to_string(&path).unwrap().trim().to_owned(),
        ));
    }
    assert!(values.len() >= 5 && values.iter().all(|(_, value)| value.len() >= 32), "{}", values.len());

    let mut seen = vec![
        ("the plan".to_owned(), checkout.done(&["dev", "--dry-run"]).out),
        ("the plan as JSON".to_owned(), checkout.done(&["dev", "--dry-run", "--json"]).out),
        ("status".to_owned(), checkout.done(&["status", "--json"]).out),
        ("up".to_owned(), checkout.done(&["dev", "--detach", "--json"]).out),
        ("arguments".to_owned(), told(&checkout.root(), "cmdline").concat()),
        ("environments".to_owned(), told(&checkout.root(), "environ").concat()),
    ];
    assert!(seen[4].1.contains("postgres") && seen[5].1.contains("API_KEY_FILE"), "{seen:#?}");
    let places = ["services", "log", "supervisor", "instance.json", "journal.jsonl", "../audit.jsonl"];
    for file in places
        .map(|place| walkdir::WalkDir::new(checkout.path(".flowship/dev").join(place)))
        .into_iter()
        .flatten()
    {
        let file = file.unwrap();
        if file.file_type().is_file() {
            let text = String::from_utf8_lossy(&fs::read(file.path()).unwrap()).into_owned();
            seen.push((file.path().display().to_string(), text));
        }
    }
    assert!(seen.len() > 20, "{}", seen.len());
    for (secret, value) in &values {
        for (place, text) in &seen {
            assert!(!text.contains(value), "{} is shown in {place}", secret.display());
        }
    }
}

fn data_survive(checkout: &Checkout) {
    let task = checkout.submit("Keep this.");
    let before = checkout.finished(&task);
    let key = checkout.read(".flowship/dev/secrets/api-key");
    let ports = checkout.read(".flowship/dev/instance.json");
    checkout.done(&["down"]);
    checkout.nothing_runs();
    assert_eq!(checkout.run(&["status"]).code, Some(2));
    let compiled = std::fs::read_dir(checkout.path(".flowship/node-compile-cache")).unwrap();
    assert_eq!(compiled.count(), 1, "what Node.js compiled is there for the next start");
    checkout.up();
    assert_eq!(checkout.read(".flowship/dev/instance.json"), ports);
    assert_eq!(checkout.read(".flowship/dev/secrets/api-key"), key);
    assert_eq!(checkout.finished(&task), before);
}

fn reset(checkout: &Checkout) {
    let refused = checkout.run(&["reset"]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    refused.says(&["--yes"]);
    checkout.done(&["status"]);
    checkout.done(&["reset", "--yes"]).says(&["removed"]);
    assert!(!checkout.path(".flowship/dev").exists());
    checkout.nothing_runs();
    checkout.done(&["reset", "--yes"]);
}
