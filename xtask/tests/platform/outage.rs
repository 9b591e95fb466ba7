//! PostgreSQL killed under load: refused politely, named, and nothing that was acknowledged is lost.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::checkout::Checkout;
use crate::until;
use crate::web::get;

/// What the clients met.
#[derive(Default)]
struct Met {
    acknowledged: Mutex<Vec<String>>,
    refused: AtomicUsize,
    wrong: Mutex<Vec<String>>,
    enough: AtomicBool,
}

impl Met {
    fn submit_until_enough(&self, checkout: &Checkout) {
        while !self.enough.load(Ordering::SeqCst) {
            let answer = checkout.api(
                "POST",
                "/workflows/describe-text/tasks",
                Some(r#"{"input":{"text":"Under load."}}"#),
            );
            let Some(answer) = answer else {
                self.wrong.lock().unwrap().push("no answer".to_owned());
                continue;
            };
            let retry_after = answer.retry_after.as_deref().and_then(|value| value.parse::<u32>().ok());
            match (answer.status, retry_after) {
                (202, _) => {
                    let task = answer.json()["task_id"].as_str().unwrap().to_owned();
                    self.acknowledged.lock().unwrap().push(task);
                }
                (503, Some(1..)) => {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                }
                _ => self.wrong.lock().unwrap().push(format!("{answer:?}")),
            }
        }
    }

    fn await_acknowledged(&self, more: usize) {
        let count = || self.acknowledged.lock().unwrap().len();
        let enough = count() + more;
        until("tasks are acknowledged", || {
            let wrong = self.wrong.lock().unwrap();
            assert!(wrong.is_empty(), "{wrong:#?}");
            (count() >= enough).then_some(())
        });
    }
}

#[test]
fn a_killed_database_loses_nothing() {
    let checkout = Checkout::new();
    checkout.up();
    let met = Met::default();
    std::thread::scope(|scope| {
        let clients = [(); 2].map(|()| scope.spawn(|| met.submit_until_enough(&checkout)));
        let rest = scope.spawn(|| kill_and_recover(&checkout, &met));
        let rest = rest.join();
        met.enough.store(true, Ordering::SeqCst);
        clients.into_iter().for_each(|client| client.join().unwrap());
        rest.unwrap();
    });
    let wrong = met.wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
    every_task_has_one_result(&checkout, &met.acknowledged.into_inner().unwrap());
    assert_eq!(checkout.failed_checks(), [""; 0]);
}

fn kill_and_recover(checkout: &Checkout, met: &Met) {
    met.await_acknowledged(20);
    let first = checkout.pid("postgres");
    first.kill();
    let again = until("PostgreSQL is started again", || {
        let status = checkout.status();
        let found = status
            .as_array()?
            .iter()
            .find(|one| one["name"] == "postgres" && one["health"] == "healthy")?
            .clone();
        (found["pid"] != first.0).then_some(found)
    });
    assert_eq!(again["restarts"], 1, "{again:#}");
    met.await_acknowledged(20);

    checkout.pid("postgres").kill();
    checkout.control().stop("postgres");
    let refused = met.refused.load(Ordering::SeqCst);
    until("requests are refused", || (met.refused.load(Ordering::SeqCst) >= refused + 5).then_some(()));
    let ready = get(&checkout.url("node-red-a", "ready", "/readyz")).unwrap();
    assert_eq!(ready.status, 200, "{ready:?}");
    let degraded = ready.json()["degraded"].clone();
    let names: Vec<_> = degraded.as_array().unwrap().iter().map(|one| &one["dependency"]).collect();
    assert_eq!(names, ["database"], "{degraded:#}");
    assert_eq!(checkout.failed_checks(), ["database", "queue", "end_to_end"]);
    assert_eq!(checkout.run(&["status"]).code, Some(1));

    let node_red = checkout.pid("node-red-a");
    checkout.up();
    assert_eq!(checkout.pid("node-red-a"), node_red, "`dev` starts what is stopped and nothing else");
    met.await_acknowledged(10);
}

fn every_task_has_one_result(checkout: &Checkout, acknowledged: &[String]) {
    let open = "SELECT count(*) FROM flowship.tasks WHERE status IN ('queued', 'running')";
    until("every task ends", || (checkout.sql(open) == ["0"]).then_some(()));
    let rows = checkout.sql(
        "SELECT t.task_id, t.status, (SELECT count(*) FROM flowship.task_results r WHERE r.task_id = t.task_id), \
         (SELECT string_agg(h.status, ' ' ORDER BY h.position) FROM flowship.task_transitions h WHERE h.task_id = t.task_id) \
         FROM flowship.tasks t",
    );
    for task in acknowledged {
        let expected = format!("{task}|completed|1|queued running completed");
        assert!(rows.contains(&expected), "{task}: {:?}", rows.iter().find(|row| row.contains(task)));
    }
}
