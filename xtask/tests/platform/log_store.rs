//! Real VictoriaLogs and a real collector: no line is lost when both are killed, each is read once, and every line carries
//! the right ids.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use foundation::clock::{now_ms, utc};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::checkout::Checkout;
use crate::processes::Pid;
use crate::{until, web};

const STORE: &str = "victoria-logs";
const COLLECTOR: &str = "otel-collector";
const FOLDER: &str = ".flowship/dev/services";

/// Lines that a talkative service writes in 50 ms.
const FLOOD: u64 = 250;
const TASKS: usize = 40;

/// Which process wrote a line, and its number.
type Line = (String, u64);

fn line(fields: &Value) -> Option<Line> {
    let seq = &fields["seq"];
    let seq = seq.as_u64().or_else(|| seq.as_str()?.parse().ok())?;
    Some((fields["start"].as_str()?.to_owned(), seq))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// Without the last line where it is being written.
fn in_files(checkout: &Checkout) -> Vec<Value> {
    let folder = fs::read_dir(checkout.path(FOLDER)).unwrap();
    let texts = folder.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    texts.flat_map(|text| lines(&text[..text.rfind('\n').map_or(0, |end| end + 1)])).collect()
}

fn distinct<'a>(lines: impl IntoIterator<Item = &'a Value>) -> BTreeSet<Line> {
    lines.into_iter().map(|fields| line(fields).unwrap_or_else(|| panic!("no number: {fields}"))).collect()
}

/// What the store answers; none while it is away.
fn in_store(checkout: &Checkout, query: &str) -> Option<Vec<Value>> {
    let query = query.replace(' ', "%20").replace('"', "%22").replace('|', "%7C");
    let url = checkout.url(STORE, "http", &format!("/select/logsql/query?query={query}"));
    Some(lines(&web::get(&url).filter(|answer| answer.status == 200)?.body))
}

/// Submits tasks at once and waits for their ends.
fn tasks(checkout: &Checkout, count: usize) -> Vec<String> {
    thread::scope(|scope| {
        let one = |number: usize| {
            let id = checkout.submit(&format!("Story {number}."));
            checkout.finished(&id);
            id
        };
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || one(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Writes lines as the supervisor does, at an even rate, until nobody wants more; how many.
fn flood(checkout: &Checkout, enough: &AtomicBool) -> u64 {
    let file = checkout.path(FOLDER).join("flood.log");
    let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
    let begin = Instant::now();
    for tick in 0.. {
        // What waits for them may have failed.
        if enough.load(Ordering::Relaxed) || begin.elapsed() > 3 * crate::PATIENCE {
            return tick * FLOOD;
        }
        let due = Duration::from_millis(tick * 50);
        thread::sleep(due.saturating_sub(begin.elapsed()));
        let now = now_ms();
        let time = format!("{}.{:03}Z", utc(now / 1000).trim_end_matches('Z'), now % 1000);
        let text: String = (1..=FLOOD)
            .map(|number| {
                let seq = tick * FLOOD + number;
                format!(
                    r#"{{"seq":{seq},"start":"flood.1","time":"{time}","level":"info","component":"flood","environment":"dev","workflow_id":"","node_id":"","task_id":"","message":"line {seq}"}}"#
                ) + "\n"
            })
            .collect();
        file.write_all(text.as_bytes()).unwrap();
    }
    unreachable!()
}

/// Of a service that restarts now and then.
fn running(checkout: &Checkout, service: &str) -> Pid {
    until(&format!("{service} runs"), || {
        let status = checkout.status();
        let one = status.as_array()?.iter().find(|one| one["name"] == service)?;
        Some(Pid(one["pid"].as_i64()?.try_into().unwrap()))
    })
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn no_line_is_lost_each_is_read_once_and_has_the_right_ids() {
    let checkout = Checkout::new();
    checkout.done(&["dev", "--detach", "--no-watch", "--with", "monitoring"]);
    let enough = AtomicBool::new(false);
    let (flooded, ids) = thread::scope(|scope| {
        let writer = scope.spawn(|| flood(&checkout, &enough));
        let submitter = scope.spawn(|| tasks(&checkout, TASKS));
        for killed in [STORE, COLLECTOR, STORE, COLLECTOR] {
            // What it has by now is in its memory alone, or sent and not yet known to be saved.
            let before =
                until("lines arrive", || in_store(&checkout, "component:=flood | fields start, seq"));
            until("more lines arrive", || {
                let now = in_store(&checkout, "component:=flood | fields start, seq")?;
                (now.len() > before.len() + 2_000).then_some(())
            });
            running(&checkout, killed).signal(Signal::KILL);
        }
        enough.store(true, Ordering::Relaxed);
        (writer.join().unwrap(), submitter.join().unwrap())
    });

    let all = in_files(&checkout);
    let written = distinct(&all);
    let mut missing = written.len();
    let give_up = Instant::now() + crate::PATIENCE;
    let stored = loop {
        if let Some(stored) = in_store(&checkout, "environment:=dev | fields start, seq") {
            missing = written.difference(&distinct(&stored)).count();
            if missing == 0 {
                break stored;
            }
        }
        assert!(Instant::now() < give_up, "{missing} of {} lines never arrived", written.len());
        thread::sleep(Duration::from_millis(500));
    };
    eprintln!("{} lines written, all are stored, {} again", written.len(), stored.len() - written.len());

    // The files no longer have what the store has.
    fs::write(checkout.path(FOLDER).join("flood.log"), "").unwrap();
    let found = |option: &str, value: &str| {
        let lines = lines(&checkout.done(&["logs", option, value, "--json"]).out);
        assert_eq!(lines.len(), distinct(&lines).len(), "{option} {value}: each line once");
        lines
    };
    let lines_of_flood = found("--component", "flood");
    let numbers: Vec<_> = lines_of_flood.iter().filter_map(|fields| fields["seq"].as_u64()).collect();
    assert!(numbers.iter().copied().eq(1..=flooded), "{} lines, in order", numbers.len());

    // Each label finds its lines and no others, in the store too.
    let node = all.iter().find_map(|fields| fields["node_id"].as_str().filter(|id| !id.is_empty())).unwrap();
    let mut asked = vec![
        ("--workflow", "workflow_id", "describe-text"),
        ("--node", "node_id", node),
        ("--component", "component", "mcp-tools"),
        ("--component", "component", COLLECTOR),
    ];
    asked.extend(ids.iter().map(|id| ("--task", "task_id", id.as_str())));
    for (option, label, value) in asked {
        let has = |fields: &&Value| fields[label] == value;
        let expected = distinct(all.iter().filter(has));
        let lines = found(option, value);
        let own = distinct(lines.iter().filter(has));
        assert!(!expected.is_empty() && expected.is_subset(&own), "{option} {value}");
        // A task's story also has what the database says of it, which has no task of its own.
        let others =
            lines.iter().filter(|fields| !has(fields) && (label != "task_id" || fields[label] != ""));
        assert_eq!(others.count(), 0, "{option} {value}");
        let stored = in_store(&checkout, &format!("{label}:=\"{value}\"")).unwrap();
        assert!(stored.iter().all(|record| record[label] == value), "{label}={value}");
        assert!(expected.is_subset(&distinct(&stored)), "{label}={value} in the store");
        if label == "task_id" {
            let components: BTreeSet<_> =
                lines.iter().filter_map(|fields| fields["component"].as_str()).collect();
            assert!(components.is_superset(&["node-red", "mcp-tools"].into()), "{value}: {components:?}");
            assert_eq!((&expected, &distinct(&stored)), (&own, &own), "{value}");
        }
    }
    let environment = in_store(&checkout, "NOT environment:=dev").unwrap();
    assert!(environment.is_empty(), "{environment:?}");

    // The files are the source of truth: nothing is missing while the collector is away, and it catches up.
    checkout.control().stop(COLLECTOR);
    let id = tasks(&checkout, 1).remove(0);
    let of_task = format!("task_id:=\"{id}\"");
    assert_eq!(in_store(&checkout, &of_task).unwrap().len(), 0);
    assert!(found("--task", &id).len() >= 3);
    checkout.control().ask(&json!({ "ask": "restart", "name": COLLECTOR }));
    until("the collector catches up", || {
        (in_store(&checkout, &of_task)?.len() >= found("--task", &id).len()).then_some(())
    });
    checkout.control().stop(STORE);
    let without = checkout.done(&["logs", "--task", &id]);
    without.says(&["the log store does not answer", "which keep only the newest"]);
    assert!(without.out.contains("the task is completed"), "{without:#?}");
    checkout.done(&["down"]);
    checkout.nothing_runs();
}
