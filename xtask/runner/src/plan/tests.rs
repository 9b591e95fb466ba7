//! The runner, through real processes. What only a signal or a kill can show runs in a process of its own: this very
//! test program, told by [`PLAN`] to run one plan.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::action::{Action, Exec, Http, Native, Probe, WaitFor};
use super::argument::Arg;
use super::lock::{Holder, Lock, path_in};
use super::mask::Outputs;
use super::perform::StepContext;
use super::report::{Outcome, Report, Status};
use super::runner::Runner;
use super::show::{OutputStyle, Show};
use super::step::{OnFailure, Plan, Step};
use super::target::{Recording, Target};
use foundation::interrupt::Interrupt;
use foundation::processes;

/// Names the file of the plan that a child of a test runs.
const PLAN: &str = "FLOWSHIP_TEST_PLAN";

struct Place {
    folder: tempfile::TempDir,
    shown: Shown,
    look: OutputStyle,
    jobs: usize,
    keep_going: bool,
    grace_ms: u64,
}

#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            shown: Shown::default(),
            look: OutputStyle::Plain,
            jobs: 4,
            keep_going: false,
            grace_ms: 20_000,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn shown(&self) -> String {
        String::from_utf8(self.shown.0.lock().unwrap().clone()).unwrap()
    }

    fn run(&self, plan: &Plan) -> Report {
        self.run_shown(plan, self.show())
    }

    fn show(&self) -> Show {
        Show::to(self.look, Box::new(self.shown.clone()))
    }

    fn run_shown(&self, plan: &Plan, show: Show) -> Report {
        let target = self.target();
        let runner =
            Runner { show, ..self.configured(Runner::without_native(&target, Interrupt::default())) };
        runner.run(plan).unwrap()
    }

    fn target(&self) -> Target {
        Target::Here { state: self.path("state") }
    }

    fn configured<'a, N>(&self, runner: Runner<'a, N>) -> Runner<'a, N> {
        Runner {
            command: "cargo xtask test".into(),
            jobs: self.jobs,
            keep_going: self.keep_going,
            grace_ms: self.grace_ms,
            ..runner
        }
    }

    /// A step that runs a shell script in the folder.
    fn sh(&self, id: &str, needs: &[&str], script: &str) -> Step {
        Step {
            needs: needs.iter().map(|need| (*need).into()).collect(),
            time_limit_ms: 30_000,
            ..Step::new(id, format!("step {id}"), self.script(script))
        }
    }

    fn script(&self, script: &str) -> Action {
        Action::Exec(Exec {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: Some(self.folder.path().to_owned()),
            ..Exec::default()
        })
    }

    /// Runs the plan in a process of its own.
    fn spawn(&self, plan: &Plan) -> Child {
        std::fs::write(self.path("plan.json"), serde_json::to_string(plan).unwrap()).unwrap();
        Command::new(std::env::current_exe().unwrap())
            .args([
                "plan::tests::runs_the_plan_of_another_test",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(PLAN, self.path("plan.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn await_file(&self, name: &str) -> String {
        await_that(name, || !self.text(name).is_empty());
        self.text(name)
    }
}

/// Native actions.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
enum Deed {
    Roll { replica: String, key: Arg },
    Fall,
}

impl Native for Deed {
    fn args(&self) -> Vec<&Arg> {
        match self {
            Self::Roll { key, .. } => vec![key],
            Self::Fall => vec![],
        }
    }
}

fn plan<N>(steps: Vec<Step<N>>) -> Plan<N> {
    Plan { intent: "try it".into(), target: "t".into(), on_failure: OnFailure::Keep, steps }
}

fn await_that(what: &str, holds: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < give_up, "{what}: did not come true");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn pids(text: &str) -> Vec<u32> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

fn everything_below(folder: &Path) -> String {
    let mut text = String::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            text += &format!("{}:\n", entry.path().display());
            text += &String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap());
        }
    }
    text
}

fn statuses(report: &Report) -> Vec<(&str, Status)> {
    report.steps.iter().map(|step| (step.id.0.as_str(), step.status)).collect()
}

/// Not a test of its own: the body of the processes that other tests start.
#[test]
fn runs_the_plan_of_another_test() {
    let Some(path) = std::env::var_os(PLAN).map(PathBuf::from) else { return };
    let plan: Plan = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let target = Target::Here { state: path.with_file_name("state") };
    let runner = Runner {
        command: "cargo xtask test".into(),
        jobs: 4,
        grace_ms: 500,
        show: Show::to(OutputStyle::Plain, Box::new(std::io::stderr())),
        ..Runner::without_native(&target, Interrupt::listen().unwrap())
    };
    let result = runner.run(&plan).and_then(Report::into_result);
    std::process::exit(result.map_or_else(|error| i32::from(foundation::exit::code(&error)), |()| 0));
}

#[test]
fn independent_steps_run_together_and_no_more_than_allowed() {
    let meeting = |place: &Place, limit: u64| {
        let meet = |me: &str, other: &str| {
            let script = format!("touch {me}; while ! [ -e {other} ]; do sleep 0.01; done");
            Step { time_limit_ms: limit, ..place.sh(me, &[], &script) }
        };
        plan(vec![meet("a", "b"), meet("b", "a")])
    };
    let together = Place { jobs: 2, ..Place::new() };
    assert_eq!(together.run(&meeting(&together, 30_000)).outcome, Outcome::Done);
    let alone = Place { jobs: 1, ..Place::new() };
    let report = alone.run(&meeting(&alone, 300));
    assert_eq!(statuses(&report), [("a", Status::Failed), ("b", Status::NotStarted)]);
    assert!(report.steps[0].error.as_ref().unwrap().contains("time limit"));
}

#[test]
fn a_failed_step_shows_its_tail_its_log_and_the_remedy() {
    let place = Place::new();
    let bad = Step {
        remedy: Some("free some space".into()),
        ..place.sh(
            "bad",
            &["good"],
            "for i in $(seq 1 50); do echo line $i; done; echo the disk is full >&2; exit 3",
        )
    };
    let report =
        place.run(&plan(vec![place.sh("good", &[], "echo fine"), bad, place.sh("after", &["bad"], "true")]));
    let expected = [("good", Status::Done), ("bad", Status::Failed), ("after", Status::NotStarted)];
    assert_eq!(statuses(&report), expected);
    let shown = place.shown();
    assert_eq!(shown.lines().filter(|line| line.starts_with('✓')).count(), 1, "{shown}");
    let tail: Vec<_> = shown.lines().filter(|line| line.starts_with("    | ")).collect();
    assert_eq!(tail.len(), 20, "{shown}");
    assert_eq!((tail[0], tail[19]), ("    | line 32", "    | the disk is full"));
    let log = place.path("state/t/log/bad.log");
    for part in
        ["✗ step bad", "error: sh: exit code 3", &format!("log: {}", log.display()), "to do: free some space"]
    {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    assert_eq!(place.text("state/t/log/bad.log").lines().count(), 52, "the whole output and the command");
    let error = report.into_result().unwrap_err();
    assert_eq!(foundation::exit::code(&error), 1);
}

/// With a real cargo: its words may change.
#[test]
fn a_step_that_waits_for_another_cargo_says_so_at_once() {
    for look in [OutputStyle::Plain, OutputStyle::GitHub] {
        let place = Place { look, ..Place::new() };
        std::fs::create_dir(place.path("src")).unwrap();
        std::fs::write(place.path("src/lib.rs"), "").unwrap();
        std::fs::write(
            place.path("Cargo.toml"),
            "[package]\nname = \"a\"\nedition = \"2024\"\n[workspace]\n",
        )
        .unwrap();
        // The one that is waited for goes on until the other was seen to wait.
        let script = "fn main() { std::fs::write(\"locked\", \"\").unwrap(); for _ in 0..3000 { \
                      if std::path::Path::new(\"go\").exists() { break; } \
                      std::thread::sleep(std::time::Duration::from_millis(10)); } }";
        std::fs::write(place.path("build.rs"), script).unwrap();
        let build = "exec cargo build --offline --target-dir target";
        let mut first =
            Command::new("sh").args(["-c", build]).current_dir(place.folder.path()).spawn().unwrap();
        await_that("the first cargo holds the lock", || place.path("locked").exists());
        let report = std::thread::scope(|scope| {
            let run = scope.spawn(|| place.run(&plan(vec![place.sh("clippy", &[], build)])));
            await_that("the step says why nothing happens", || {
                place.shown().contains("clippy waits for another cargo: Blocking waiting for file lock on ")
            });
            std::fs::write(place.path("go"), "").unwrap();
            run.join().unwrap()
        });
        assert_eq!(report.outcome, Outcome::Done, "{}", place.shown());
        assert!(first.wait().unwrap().success());
    }
}

#[test]
fn a_missing_program_is_reported() {
    let place = Place::new();
    let action = Action::Exec(Exec { program: "no-such-program".into(), ..Exec::default() });
    let report = place.run(&plan(vec![Step { action, ..place.sh("a", &[], "") }]));
    assert!(report.steps[0].error.as_ref().unwrap().contains("cannot start no-such-program"), "{report:?}");
}

#[test]
fn with_keep_going_only_what_needs_the_failed_step_is_left_out() {
    let steps = |place: &Place| {
        plan(vec![
            place.sh("bad", &[], "exit 1"),
            place.sh("on-bad", &["bad"], "true"),
            place.sh("good", &[], "true"),
        ])
    };
    let place = Place { jobs: 1, keep_going: true, ..Place::new() };
    let report = place.run(&steps(&place));
    let expected = [("bad", Status::Failed), ("on-bad", Status::NotStarted), ("good", Status::Done)];
    assert_eq!(statuses(&report), expected);
    let place = Place { jobs: 1, ..Place::new() };
    let report = place.run(&steps(&place));
    assert_eq!(report.steps[2].status, Status::NotStarted);
    assert_eq!(report.outcome_words(), "failed: bad");
}

#[test]
fn outputs_reach_the_steps_that_need_them() {
    let place = Place::new();
    let port = place.sh("port", &[], "echo port=5432 >> $FLOWSHIP_OUTPUT");
    let mut said = place.sh("said", &[], "echo noise >&2; echo hello; echo there");
    if let Action::Exec(exec) = &mut said.action {
        exec.capture_stdout = true;
    }
    let mut uses = place.sh("uses", &["port", "said"], "printf '%s|%s|' \"$PORT\" \"$1\" > out; cat >> out");
    if let Action::Exec(exec) = &mut uses.action {
        exec.args.extend(["sh".into(), Arg::output("said", "stdout")]);
        exec.env.insert("PORT".into(), Arg::Joined(vec!["p".into(), Arg::output("port", "port")]));
        exec.stdin = Some("from stdin".into());
    }
    let report = place.run(&plan(vec![uses, said, port]));
    assert_eq!(report.outcome, Outcome::Done, "{}", place.shown());
    assert_eq!(place.text("out"), "p5432|hello\nthere|from stdin");
}

#[test]
fn secrets_show_nowhere() {
    let place = Place { keep_going: true, ..Place::new() };
    let value = "swordfish-9000";
    std::fs::write(place.path("secret"), format!("{value}\n")).unwrap();
    let secret = Arg::secret("api-key", place.path("secret"));
    let mut prints = place.sh(
        "prints",
        &[],
        "echo \"it is $KEY, $1\"; echo $KEY >&2; echo key=$KEY >> $FLOWSHIP_OUTPUT; exit 4",
    );
    let mut captured = place.sh("captured", &[], "echo $KEY");
    let mut fails = place.sh("fails", &[], "true");
    fails.action = Action::Exec(Exec {
        program: format!("/nowhere/{value}"),
        args: vec![secret.clone()],
        ..Exec::default()
    });
    for step in [&mut prints, &mut captured] {
        if let Action::Exec(exec) = &mut step.action {
            exec.args.extend(["sh".into(), Arg::Joined(vec!["Bearer ".into(), secret.clone()])]);
            exec.env.insert("KEY".into(), secret.clone());
            exec.capture_stdout = true;
        }
        step.journaled = true;
    }
    let uses_it = Step {
        action: Action::Http(Http {
            method: "GET".into(),
            url: Arg::Joined(vec!["http://127.0.0.1:1/?key=".into(), secret.clone()]),
            bearer: Some(secret),
            ..Http::default()
        }),
        ..place.sh("asks", &[], "")
    };
    let hidden = plan(vec![prints, captured, Step { needs: vec!["captured".into()], ..fails }, uses_it]);
    let report = place.run(&hidden);
    assert_eq!(report.steps.iter().filter(|step| step.status == Status::Failed).count(), 3, "{report:?}");
    let everything = [
        place.shown(),
        everything_below(&place.path("state")),
        serde_json::to_string(&report).unwrap(),
        format!("{report:?}"),
        hidden.text().replace(&format!("/nowhere/{value}"), ""),
    ];
    for text in &everything {
        assert!(!text.contains(value), "{text}");
    }
    assert!(everything[0].contains("| it is ***, Bearer ***"), "{}", everything[0]);
    assert!(everything[1].contains("$ sh -c 'echo") || everything[1].contains("Bearer ***"));
}

#[test]
fn a_sensitive_step_keeps_its_outputs_in_memory() {
    let place = Place::new();
    let makes = Step {
        sensitive: true,
        ..place.sh("makes", &[], "echo token=opensesame >> $FLOWSHIP_OUTPUT; echo opensesame")
    };
    let mut uses = place.sh("uses", &["makes"], "echo got $TOKEN; echo $TOKEN > got");
    if let Action::Exec(exec) = &mut uses.action {
        exec.env.insert("TOKEN".into(), Arg::output("makes", "token"));
    }
    let report = place.run(&plan(vec![makes, uses]));
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(place.text("got"), "opensesame\n");
    let written =
        everything_below(&place.path("state")) + &serde_json::to_string(&report).unwrap() + &place.shown();
    assert!(!written.contains("opensesame"), "{written}");
    assert!(written.contains("got ***"));
}

#[test]
fn a_time_limit_ends_the_whole_group() {
    let place = Place { grace_ms: 300, ..Place::new() };
    let slow = Step {
        time_limit_ms: 400,
        ..place.sh("slow", &[], "sleep 1000 & echo $$ $! > pids; trap '' TERM; wait; wait")
    };
    let report = place.run(&plan(vec![slow]));
    assert_eq!(report.steps[0].status, Status::Failed);
    for pid in pids(&place.text("pids")) {
        assert_eq!(processes::identify(pid), None);
    }
}

#[test]
fn what_a_good_step_leaves_behind_is_ended_with_it() {
    let place = Place::new();
    let gentle = "sh -c 'trap \"echo gently > how; exit\" TERM; echo > up; while :; do sleep 0.01; done' &";
    let script = format!("{gentle} sleep 1000 & echo $! > pids; while ! [ -e up ]; do sleep 0.01; done");
    let report = place.run(&plan(vec![place.sh("leaves", &[], &script)]));
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(place.text("how"), "gently\n");
    assert!(report.duration_ms < 5_000, "it does not wait for the output of what is left");
    assert_eq!(processes::identify(pids(&place.text("pids"))[0]), None);
}

#[test]
fn files_are_put_in_place_and_what_is_there_is_left_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let conf = place.path("new/folder/conf");
    let write = |contents: &str| Step {
        action: Action::Write(super::action::Write {
            path: conf.clone(),
            contents: contents.into(),
            mode: 0o640,
        }),
        ..place.sh("write", &[], "")
    };
    let unless_there = |contents| Step { unless_exists: Some(conf.clone()), ..write(contents) };
    for (step, status, found) in [
        (unless_there("one"), Status::Done, "one"),
        (unless_there("two"), Status::AlreadyThere, "one"),
        (write("two"), Status::Done, "two"),
    ] {
        assert_eq!(place.run(&plan(vec![step])).steps[0].status, status);
        assert_eq!(std::fs::read_to_string(&conf).unwrap(), found);
    }
    assert_eq!(std::fs::metadata(&conf).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(place.path("new/folder")).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_request_is_sent_with_its_bearer_and_its_answer_judged() {
    let place = Place::new();
    std::fs::write(place.path("key"), "letmein-please").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for status in ["202 Accepted", "503 Service Unavailable"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            let mut bytes = [0; 4096];
            while !request.contains("{\"a\":1}") {
                let count = stream.read(&mut bytes).unwrap();
                request += std::str::from_utf8(&bytes[..count]).unwrap();
            }
            requests.push(request);
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody")
                .unwrap();
        }
        requests
    });
    let ask = |id: &str, needs: &[&str]| Step {
        action: Action::Http(Http {
            method: "POST".into(),
            url: format!("http://{address}/tasks").into(),
            bearer: Some(Arg::secret("key", place.path("key"))),
            body: Some("{\"a\":1}".into()),
            expect: vec![202],
            ..Http::default()
        }),
        ..place.sh(id, needs, "")
    };
    let report = place.run(&plan(vec![ask("first", &[]), ask("second", &["first"])]));
    let requests = server.join().unwrap();
    assert!(requests[0].starts_with("POST /tasks HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].to_lowercase().contains("authorization: bearer letmein-please"));
    assert_eq!(report.steps[0].outputs["body"], "body");
    assert!(report.steps[1].error.as_ref().unwrap().ends_with("answered 503 instead of [202]"), "{report:?}");
}

#[test]
fn waiting_ends_when_it_is_so_at_its_limit_and_when_another_step_fails() {
    let place = Place::new();
    let wait = |id: &str, file: &str, limit: u64| Step {
        action: Action::WaitFor(WaitFor {
            probe: Probe::File { path: place.path(file) },
            time_limit_ms: limit,
            interval_ms: 10,
        }),
        ..place.sh(id, &[], "")
    };
    let report = place.run(&plan(vec![wait("w", "made", 30_000), place.sh("make", &[], "touch made")]));
    assert_eq!(report.outcome, Outcome::Done);
    let report = place.run(&plan(vec![wait("w", "never", 100)]));
    assert!(report.steps[0].error.as_ref().unwrap().contains("never does not exist"), "{report:?}");
    let report = place.run(&plan(vec![wait("w", "never", 30_000), place.sh("bad", &[], "exit 1")]));
    assert_eq!(statuses(&report), [("w", Status::Interrupted), ("bad", Status::Failed)]);
    assert_eq!(report.outcome, Outcome::Failed);
}

#[test]
fn native_calls_get_their_arguments_and_a_panic_is_a_failure() {
    let place = Place::new();
    std::fs::write(place.path("key"), "letmein-please").unwrap();
    let native = |action: &Deed, step: &StepContext| {
        let Deed::Roll { replica, key } = action else { panic!("{action:?}") };
        assert_eq!(step.resolve(key)?.expose(), "letmein-please");
        step.log.line("the key is letmein-please");
        Ok(Outputs::from([("got".to_owned(), replica.clone())]))
    };
    let target = place.target();
    let runner = Runner {
        show: place.show(),
        ..place.configured(Runner::new(&target, Interrupt::default(), &native))
    };
    let run = |id: &str, action| {
        let plan = plan(vec![Step::new(id, id, Action::Native(action))]);
        (runner.run(&plan).unwrap(), plan)
    };
    let key = Arg::secret("key", place.path("key"));
    let (report, planned) = run("roll", Deed::Roll { replica: "a".into(), key: key.clone() });
    assert_eq!(report.steps[0].outputs["got"], "a");
    assert_eq!(place.text("state/t/log/roll.log"), "the key is ***\n");
    let parameters = serde_json::json!({ "replica": "a", "key": key });
    let written = serde_json::json!({ "native": { "name": "roll", "parameters": parameters } });
    assert_eq!(serde_json::to_value(&planned.steps[0].action).unwrap(), written);
    assert_eq!(planned.steps[0].action.text(), "roll replica=a key='<secret key>'");

    let (report, planned) = run("fall", Deed::Fall);
    assert!(report.steps[0].error.as_ref().unwrap().contains("panicked"), "{report:?}");
    assert_eq!(planned.steps[0].action.text(), "fall");

    let unknown = Deed::Roll { replica: "a".into(), key: Arg::output("earlier", "key") };
    let problems = plan(vec![Step::new("roll", "roll", Action::Native(unknown))]).validate();
    assert_eq!(problems, ["step roll: uses `key` of `earlier`, which is not a step"]);
}

#[test]
fn undoing_takes_back_the_last_first_and_the_half_done_too() {
    let place = Place::new();
    let step = |id: &str, needs: &[&str], script: &str| Step {
        undo: Some(place.script(&format!("echo undo {id} >> undone"))),
        journaled: true,
        ..place.sh(id, needs, script)
    };
    let there = Step { unless_exists: Some(place.path(".")), ..step("there", &[], "true") };
    let steps = vec![
        there,
        step("a", &[], "true"),
        step("b", &["a"], "true"),
        step("c", &["b"], "exit 1"),
        step("d", &["c"], "true"),
    ];
    let undoing = Plan { on_failure: OnFailure::Undo, ..plan(steps) };
    let report = place.run(&undoing);
    assert_eq!(place.text("undone"), "undo c\nundo b\nundo a\n");
    assert_eq!(
        report.steps.iter().map(|step| step.undone).collect::<Vec<_>>(),
        [None, Some(true), Some(true), Some(true), None]
    );
    assert_eq!(place.run(&undoing).steps[1].status, Status::Done, "what was undone is done again");
    let keeping = Place::new();
    keeping.run(&Plan { on_failure: OnFailure::Keep, ..undoing });
    assert_eq!(keeping.text("undone"), "");
}

#[test]
fn a_recorded_plan_goes_as_the_test_says_and_does_nothing() {
    let place = Place::new();
    let step = |id: &str, needs: &[&str]| Step {
        undo: Some(place.script(&format!("touch undone-{id}"))),
        ..place.sh(id, needs, &format!("touch {id}"))
    };
    let mut last = step("c", &["b"]);
    last.action =
        Action::Http(Http { method: "GET".into(), url: Arg::output("a", "url"), ..Http::default() });
    last.needs.push("a".into());
    let results = [
        ("a".into(), Ok(Outputs::from([("url".into(), "http://a".into())]))),
        ("b".into(), Err("out of disk".into())),
    ];
    let recording = Recording::new(results);
    let target = Target::Recorded { state: place.path("state"), recording: Arc::clone(&recording) };
    let runner = Runner {
        show: place.show(),
        ..place.configured(Runner::without_native(&target, Interrupt::default()))
    };
    let steps = vec![step("a", &[]), step("b", &["a"]), last];
    let report = runner.run(&Plan { on_failure: OnFailure::Undo, ..plan(steps) }).unwrap();
    assert_eq!(statuses(&report), [("a", Status::Done), ("b", Status::Failed), ("c", Status::NotStarted)]);
    assert_eq!(report.steps[0].outputs["url"], "http://a");
    assert_eq!(report.steps[1].error.as_deref(), Some("out of disk"));
    let cd = format!("(cd {} && sh -c 'touch ", place.folder.path().display());
    let expected = [("a", "a"), ("b", "b"), ("undo b", "undone-b"), ("undo a", "undone-a")];
    assert_eq!(recording.actions(), expected.map(|(what, made)| format!("{what}: {cd}{made}')")));
    assert!(place.text("state/audit.jsonl").contains("failed: b"), "the state is real");
    assert!(!place.path("a").exists() && !place.path("undone-a").exists());
}

#[test]
fn a_plan_for_a_host_does_not_run_here() {
    let place = Place::new();
    let target = Target::Host { address: "ops@prod-1".into(), state: place.path("state") };
    let runner = Runner::without_native(&target, Interrupt::default());
    let error = runner.run(&plan(vec![place.sh("a", &[], "touch a")])).unwrap_err();
    assert_eq!(error.to_string(), "the plan to try it is for ops@prod-1; run it there");
    assert_eq!(foundation::exit::code(&error), 2);
    assert!(!place.path("state").exists() && !place.path("a").exists(), "no lock and no journal here either");
}

#[test]
fn a_journaled_step_runs_again_when_its_action_changes_or_what_it_makes_is_gone() {
    let place = Place::new();
    let steps = |install: &str| {
        let script = format!("{install} >> made; echo version=$(wc -l < made) >> $FLOWSHIP_OUTPUT");
        let install =
            Step { journaled: true, makes: vec![place.path("made")], ..place.sh("install", &[], &script) };
        let link = Step { journaled: true, ..place.sh("link", &["install"], "echo linked >> links") };
        plan(vec![install, link, place.sh("fails", &["link"], "exit 1")])
    };
    let run = |install| place.run(&steps(install));
    let (ran, known) = (Status::Done, Status::AlreadyDone);
    let ended = |report: &Report| report.steps.iter().map(|step| step.status).take(2).collect::<Vec<_>>();
    assert_eq!(ended(&run("echo x")), [ran, ran]);
    let report = run("echo x");
    assert_eq!(ended(&report), [known, known]);
    assert_eq!(report.steps[0].outputs["version"], "1", "outputs are remembered");
    assert_eq!(ended(&run("echo y")), [ran, ran], "what needs a changed step is done again");
    std::fs::remove_file(place.path("made")).unwrap();
    assert_eq!(ended(&run("echo y")), [ran, known]);
}

#[test]
fn every_run_is_audited() {
    let place = Place::new();
    place.run(&plan(vec![place.sh("a", &[], "true")]));
    place.run(&plan(vec![place.sh("a", &[], "false")]));
    let text = place.text("state/audit.jsonl");
    let entries: Vec<super::audit::Entry> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.iter().map(|entry| entry.outcome.as_str()).collect::<Vec<_>>(), ["done", "failed: a"]);
    assert_eq!((entries[0].intent.as_str(), entries[0].target.as_str()), ("try it", "t"));
    assert_eq!(entries[0].command, "cargo xtask test");
    assert_ne!(entries[0].plan, entries[1].plan);
}

#[test]
fn after_a_silence_a_line_names_what_still_runs_and_for_how_long() {
    for look in [OutputStyle::Plain, OutputStyle::GitHub] {
        let place = Place::new();
        // They go on until what still runs was shown, or until their time limit where it never is.
        let waits = "while [ ! -e go ]; do sleep 0.01; done";
        let ended = place.sh("ended", &[], ":");
        let plan =
            plan(vec![ended, place.sh("one", &["ended"], waits), place.sh("other", &["ended"], waits)]);
        let line = |shown: &str| {
            let mut lines = shown.lines().map(str::to_owned);
            lines
                .find(|line| line.starts_with("still running: step one (") && line.contains(", step other ("))
        };
        let report = std::thread::scope(|scope| {
            scope.spawn(|| {
                await_that("what still runs is shown", || line(&place.shown()).is_some());
                std::fs::write(place.path("go"), "").unwrap();
            });
            let show = Show::to(look, Box::new(place.shown.clone())).silent_for(Duration::from_millis(50));
            place.run_shown(&plan, show)
        });
        assert_eq!(report.outcome, Outcome::Done);
        let line = line(&place.shown()).unwrap();
        assert!(line.ends_with("s)") && !line.contains("step ended"), "{line}");
    }
}

#[test]
fn live_lines_need_no_still_running_message() {
    assert_eq!(Show::to(OutputStyle::Terminal, Box::new(std::io::sink())).silence(), Duration::MAX);
    for look in [OutputStyle::Plain, OutputStyle::GitHub] {
        assert_eq!(Show::to(look, Box::new(std::io::sink())).silence(), Duration::from_secs(30));
    }
}

/// rustfmt, for one, heeds neither `NO_COLOR` nor that nobody reads but a program.
#[test]
fn programs_are_asked_for_no_colours_and_those_that_come_are_left_out() {
    let place = Place::new();
    let colours = r#"printf '\033[31m%s %s\033[0m\n' "$TERM" "${NO_COLOR-none}"; printenv CARGO_TERM_COLOR CLICOLOR; exit 1"#;
    let report = place.run(&plan(vec![place.sh("a", &[], colours)]));
    assert_eq!(report.outcome, Outcome::Failed);
    let log = std::fs::read_to_string(report.steps[0].log.as_ref().unwrap()).unwrap();
    assert!(log.ends_with("\ndumb 1\nnever\n0\n"), "{log}");
    assert!(place.shown().contains("| dumb 1\n"), "{}", place.shown());
    assert!(!place.shown().contains('\u{1b}'), "{}", place.shown());
}

#[test]
fn on_github_each_step_is_a_group() {
    let place = Place { look: OutputStyle::GitHub, ..Place::new() };
    place.run(&plan(vec![
        place.sh("a", &[], "echo ::error::not a command"),
        place.sh("b", &["a"], "echo no; exit 1"),
    ]));
    let shown = place.shown();
    let commands: Vec<_> = shown.lines().filter(|line| line.starts_with("::")).collect();
    assert_eq!(commands.len(), 5, "{shown}");
    assert!(
        commands[0].starts_with("::group::✓ step a") && commands[2].starts_with("::group::✗ step b"),
        "{shown}"
    );
    assert_eq!(commands[4], "::error title=step b::sh: exit code 1");
}

#[test]
fn a_locked_target_is_not_touched() {
    let place = Place::new();
    let folder = place.path("state/t");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = Lock::take(&path_in(&folder), &Holder::this("cargo xtask deploy")).unwrap();
    let mut child = place.spawn(&plan(vec![place.sh("a", &[], "touch ran")]));
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(!place.path("ran").exists());
    drop(lock);
    assert_eq!(place.spawn(&plan(vec![place.sh("a", &[], "touch ran")])).wait().unwrap().code(), Some(0));
}

#[test]
fn after_a_kill_a_rerun_goes_on_from_there() {
    let place = Place::new();
    let once =
        Step { journaled: true, ..place.sh("once", &[], "echo x >> once; echo n=7 >> $FLOWSHIP_OUTPUT") };
    let mut blocks =
        place.sh("blocks", &["once"], "echo $$ > blocked; [ -e go ] || sleep 1000; echo $N > finished");
    blocks.journaled = true;
    if let Action::Exec(exec) = &mut blocks.action {
        exec.env.insert("N".into(), Arg::output("once", "n"));
    }
    let both = plan(vec![once, blocks]);
    let mut child = place.spawn(&both);
    let orphan = pids(&place.await_file("blocked"))[0];
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::write(place.path("go"), "").unwrap();
    let report = place.run(&both);
    processes::signal_group(orphan, rustix::process::Signal::KILL);
    assert_eq!(statuses(&report), [("once", Status::AlreadyDone), ("blocks", Status::Done)]);
    assert_eq!((place.text("once").as_str(), place.text("finished").as_str()), ("x\n", "7\n"));
    assert!(place.shown().contains("an earlier run was interrupted"), "{}", place.shown());
    assert_eq!(statuses(&place.run(&both))[0].1, Status::Done, "a plan that finished starts anew");
}

#[test]
fn a_signal_ends_every_process_undoes_and_releases_the_lock() {
    use rustix::process::Signal;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let place = Place::new();
        let done = Step { undo: Some(place.script("echo done >> undone")), ..place.sh("done", &[], "true") };
        let half = Step {
            undo: Some(place.script("echo half >> undone")),
            ..place.sh("half", &["done"], "sleep 1000 & echo $$ $! > tmp; mv tmp pids; wait")
        };
        let stubborn = place.sh(
            "stubborn",
            &["done"],
            "trap '' TERM INT; echo $$ > tmp2; mv tmp2 pids2; while :; do sleep 1; done",
        );
        let undoing = Plan {
            on_failure: OnFailure::Undo,
            ..plan(vec![done, half, stubborn, place.sh("after", &["half"], "touch after")])
        };
        let mut child = place.spawn(&undoing);
        let all = pids(&(place.await_file("pids") + &place.await_file("pids2")));
        processes::signal_process(child.id(), signal);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        for pid in all {
            assert_eq!(processes::identify(pid), None, "a process is left");
        }
        assert_eq!(place.text("undone"), "half\ndone\n");
        assert!(!place.path("after").exists());
        assert_eq!(place.text("state/t/lock"), "", "released, not reclaimed");
        assert!(place.text("state/audit.jsonl").contains("interrupted by SIG"));
    }
}
