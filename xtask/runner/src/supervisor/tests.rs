//! The supervisor, through real processes. It runs in a process of its own: this very test program, told by
//! [`STATE`] to supervise.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::children::{self, RecordedChild};
use super::protocol::{Event, EventKind, HealthState, ServiceStatus, State};
use super::{Client, Link, Recovered, recover, supervise};
use crate::plan::action::{Action, Probe, ServiceRequest, Supervise, WaitFor};
use crate::plan::argument::Arg;
use crate::plan::lock;
use crate::plan::report::{Outcome, Status};
use crate::plan::runner::Runner;
use crate::plan::service::{
    Health, LogFile, ProcessSpec, Restart, RestartPolicy, ServiceName, Stop, StopSignal, Watch, WatchAction,
};
use crate::plan::show::{OutputStyle, Show};
use crate::plan::step::{OnFailure, Plan, Step};
use crate::plan::target::Target;
use foundation::interrupt::Interrupt;
use foundation::processes::{self, ProcessIdentity};

/// Names the state folder that a child of a test supervises.
const STATE: &str = "FLOWSHIP_TEST_SUPERVISE";
/// Names the file of a spec that a child of a test starts as a client of [`STATE`].
const SPEC: &str = "FLOWSHIP_TEST_SPEC";
const LIMIT: Duration = Duration::from_secs(20);
const NEVER: &dyn Fn() -> bool = &|| false;

/// Not a test of its own: the body of the processes that other tests start.
#[test]
fn supervises_for_another_test() {
    let Some(state) = std::env::var_os(STATE).map(PathBuf::from) else { return };
    let outcome = match std::env::var_os(SPEC) {
        None => supervise(&state),
        Some(spec) => {
            let spec: ProcessSpec = serde_json::from_str(&fs::read_to_string(spec).unwrap()).unwrap();
            Client::start_with(&state, supervisor(&state)).unwrap().start(&spec).unwrap();
            loop {
                std::thread::park();
            }
        }
    };
    if let Err(error) = &outcome {
        eprintln!("error: {error:#}");
    }
    std::process::exit(i32::from(outcome.is_err()));
}

fn supervisor(state: &std::path::Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = "supervisor::tests::supervises_for_another_test";
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(STATE, state).env_remove(SPEC);
    command
}

/// A folder with a supervisor in it; nothing is left of either when it is dropped.
struct Place {
    folder: tempfile::TempDir,
    state: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(Some(client)) = Client::connect(&self.state) {
            let _ = client.shutdown();
        }
        if let Ok(Some(holder)) = lock::holder(&lock::path_in(&self.state)) {
            processes::signal_process(holder.process.pid, Signal::KILL);
            await_that("the supervisor is killed", || !processes::is_alive(&holder.process));
        }
        let _ = recover(&self.state);
    }
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("supervisor");
        Self { folder, state }
    }

    fn client(&self) -> Client {
        Client::start_with(&self.state, supervisor(&self.state)).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A shell script as a service.
    fn sh(&self, name: &str, script: &str) -> ProcessSpec {
        ProcessSpec {
            name: name.into(),
            argv: vec!["sh".into(), "-c".into(), script.into()],
            cwd: self.folder.path().to_owned(),
            log: LogFile { path: self.path(&format!("log/{name}.log")), ..LogFile::default() },
            stop: Stop { signal: StopSignal::Term, grace_ms: 2_000 },
            ..ProcessSpec::default()
        }
    }

    /// Healthy while the file exists.
    fn health(&self, file: &str) -> Option<Health> {
        let probe = Probe::File { path: self.path(file) };
        Some(Health { interval_ms: 20, start_period_ms: 60_000, retries: 2, ..Health::of(probe) })
    }

    fn supervisor_pid(&self) -> u32 {
        lock::holder(&lock::path_in(&self.state)).unwrap().unwrap().process.pid
    }

    fn kill_supervisor(&self) {
        let supervisor = lock::holder(&lock::path_in(&self.state)).unwrap().unwrap().process;
        processes::signal_process(supervisor.pid, Signal::KILL);
        await_that("the supervisor is killed", || !processes::is_alive(&supervisor));
    }

    fn await_file(&self, name: &str) -> String {
        await_that(name, || self.text(name).ends_with('\n'));
        self.text(name)
    }
}

/// A child of the test itself.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn await_that(what: &str, holds: impl Fn() -> bool) {
    let give_up = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < give_up, "{what}: did not come true");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The first event of the kind after `since`.
fn await_event(client: &Client, since: u64, service: &str, kind: EventKind) -> Event {
    let give_up = Instant::now() + LIMIT;
    let mut found = None;
    let stop = || Instant::now() >= give_up;
    client
        .events(since, true, &stop, &mut |event| {
            if event.kind == kind && event.service.as_ref().is_some_and(|name| name.0 == service) {
                found = Some(event);
            }
            found.is_none()
        })
        .unwrap();
    found.unwrap_or_else(|| panic!("no {kind:?} of {service}"))
}

fn all_events(client: &Client) -> Vec<Event> {
    let mut events = Vec::new();
    client
        .events(0, false, NEVER, &mut |event| {
            events.push(event);
            true
        })
        .unwrap();
    events
}

fn status(client: &Client, name: &str) -> ServiceStatus {
    client.status().unwrap().0.into_iter().find(|status| status.name.0 == name).unwrap()
}

fn alive(pid: u32) -> bool {
    processes::identify(pid).is_some()
}

fn pids(text: &str) -> Vec<u32> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn a_service_is_started_looked_after_restarted_and_stopped() {
    let place = Place::new();
    fs::write(place.path("secret"), "swordfish-9000\n").unwrap();
    let client = place.client();
    let mut spec =
        place.sh("web", "echo \"hello $1 from $WHO\"; echo $KEY >&2; echo ready > ready; sleep 1000 & wait");
    spec.argv
        .extend(["sh".into(), Arg::Joined(vec!["key=".into(), Arg::secret("key", place.path("secret"))])]);
    spec.env =
        [("WHO".into(), "web".into()), ("KEY".into(), Arg::secret("key", place.path("secret")))].into();
    spec.health = place.health("ready");
    spec.ports = [("flows".to_owned(), 1880)].into();
    let started = client.start(&spec).unwrap();
    let first = started.pid.unwrap();
    let healthy = client.wait_healthy(&spec.name, LIMIT, NEVER).unwrap();
    assert_eq!(
        (healthy.state, healthy.health, healthy.pid),
        (State::Running, HealthState::Healthy, Some(first))
    );
    assert_eq!(healthy.ports["flows"], 1880);
    await_that("its output is in its log", || place.text("log/web.log").lines().count() == 2);
    assert_eq!(place.text("log/web.log"), "hello key=*** from web\n***\n");
    assert_eq!(client.start(&spec).unwrap().pid, Some(first), "the same spec changes nothing");
    let later = ProcessSpec { after: vec!["other".into()], ..spec.clone() };
    assert_eq!(client.start(&later).unwrap().pid, Some(first), "nor does another order of ending");
    assert_eq!(client.spec(&later.name).unwrap().after, later.after);

    let second = client.restart(&spec.name).unwrap().pid.unwrap();
    assert!(second != first && !alive(first) && alive(second));
    let other = ProcessSpec { env: [("WHO".into(), "another".into())].into(), ..spec.clone() };
    let third = client.start(&other).unwrap().pid.unwrap();
    assert!(third != second && !alive(second), "another spec replaces it");

    let stopped = client.stop(&spec.name).unwrap();
    assert_eq!((stopped.state, stopped.health, stopped.pid), (State::Stopped, HealthState::None, None));
    assert!(!alive(third));
    client.remove(&spec.name).unwrap();
    assert_eq!(client.status().unwrap().0, []);
    let said: String = all_events(&client).into_iter().map(|event| event.text + "\n").collect();
    assert!(!said.contains("swordfish") && !place.text("supervisor/supervisor.log").contains("swordfish"));
    assert!(!place.text("supervisor/children.json").contains("swordfish"));
}

#[test]
fn children_get_only_the_variables_they_should() {
    let place = Place::new();
    let mut command = supervisor(&place.state);
    command.env("FLOWSHIP_STRAY", "x");
    let client = Client::start_with(&place.state, command).unwrap();
    client.start(&place.sh("env", "env > env; echo > done; sleep 1000")).unwrap();
    place.await_file("done");
    let env = place.text("env");
    assert!(env.contains("PATH=") && env.contains("FLOWSHIP_SUPERVISED=") && !env.contains("STRAY"), "{env}");
}

#[test]
fn a_program_that_cannot_be_started_is_reported() {
    let place = Place::new();
    let client = place.client();
    let missing = ProcessSpec { argv: vec!["/no/such/program".into()], ..place.sh("missing", "") };
    let error = format!("{:#}", client.start(&missing).unwrap_err());
    assert!(error.contains("cannot start /no/such/program in "), "{error}");
    assert_eq!(status(&client, "missing").state, State::Failed);
    let wrong = ProcessSpec { cwd: PathBuf::from("here"), argv: Vec::new(), ..place.sh("wrong", "") };
    let error = client.start(&wrong).unwrap_err().to_string();
    assert!(error.contains("no program") && error.contains("not absolute"), "{error}");
    let error = client.restart(&"mising".into()).unwrap_err().to_string();
    assert_eq!(error, "no service `mising`; known here: missing");
}

#[test]
fn a_crash_restarts_it_until_it_is_given_up() {
    let place = Place::new();
    let client = place.client();
    let mut spec = place.sh("crashes", "echo x >> count; echo no database; exit 7");
    spec.health = place.health("never");
    spec.restart = Restart { backoff_ms: 10, max_restarts: 3, ..Restart::default() };
    client.start(&spec).unwrap();
    let error = client.wait_healthy(&spec.name, LIMIT, NEVER).unwrap_err().to_string();
    for part in ["exit code 7", "given up after 3 restarts", "| no database", "log: "] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    assert_eq!(place.text("count").lines().count(), 4);
    let status = status(&client, "crashes");
    assert_eq!((status.state, status.restarts, status.pid), (State::Failed, 3, None));
    let crashes: Vec<_> =
        all_events(&client).into_iter().filter(|event| event.kind == EventKind::Crashed).collect();
    assert_eq!(crashes.len(), 3);
    assert!(crashes[0].text.starts_with("exit code 7 after "), "{}", crashes[0].text);
}

#[test]
fn the_policy_decides_what_an_end_means() {
    let place = Place::new();
    let client = place.client();
    let with = |name: &str, policy, script: &str| ProcessSpec {
        restart: Restart { policy, backoff_ms: 10, ..Restart::default() },
        ..place.sh(name, script)
    };
    for (spec, kind, state) in [
        (with("a", RestartPolicy::Never, "exit 0"), EventKind::Ended, State::Ended),
        (with("b", RestartPolicy::Never, "exit 1"), EventKind::Failed, State::Failed),
        (with("c", RestartPolicy::OnFailure, "exit 0"), EventKind::Ended, State::Ended),
        (
            with("d", RestartPolicy::Always, "[ -e d ] && exec sleep 1000; touch d"),
            EventKind::Crashed,
            State::Running,
        ),
    ] {
        client.start(&spec).unwrap();
        let name = spec.name.0.clone();
        await_event(&client, 0, &name, kind);
        await_that(&name, || status(&client, &name).state == state);
    }
    assert_eq!(
        client.stop(&"a".into()).unwrap().state,
        State::Ended,
        "stopping what has ended changes nothing"
    );
}

#[test]
fn health_changes_are_events() {
    let place = Place::new();
    let client = place.client();
    fs::write(place.path("well"), "").unwrap();
    let spec = ProcessSpec { health: place.health("well"), ..place.sh("patient", "sleep 1000") };
    client.start(&spec).unwrap();
    let first = await_event(&client, 0, "patient", EventKind::Healthy);
    fs::remove_file(place.path("well")).unwrap();
    let ill = await_event(&client, first.id, "patient", EventKind::Unhealthy);
    assert!(ill.text.contains("well does not exist"), "{}", ill.text);
    assert_eq!(status(&client, "patient").health, HealthState::Unhealthy);
    let error = client.wait_healthy(&spec.name, Duration::from_millis(50), NEVER).unwrap_err().to_string();
    assert!(error.contains("is not healthy after 50ms"), "{error}");
    fs::write(place.path("well"), "").unwrap();
    assert_eq!(await_event(&client, ill.id, "patient", EventKind::Healthy).text, "healthy again");
    assert_eq!(status(&client, "patient").restarts, 0);
}

#[test]
fn a_stop_ends_the_whole_group_when_it_resists_and_what_has_left_it() {
    let place = Place::new();
    let client = place.client();
    let mut spec = place.sh(
        "stubborn",
        "trap '' TERM; sh -c \"trap '' TERM; sleep 1000\" & echo $$ $! > pids; setsid sh -c 'echo $$ > away; exec sleep 1000' & while :; do sleep 1; done",
    );
    spec.stop.grace_ms = 100;
    client.start(&spec).unwrap();
    let mut pids = pids(&place.await_file("pids"));
    await_that("what left the group runs", || place.text("away").ends_with('\n'));
    pids.extend(self::pids(&place.text("away")));
    assert!(pids.len() == 3 && pids.iter().all(|pid| alive(*pid)));
    client.stop(&spec.name).unwrap();
    assert!(pids.iter().all(|pid| !alive(*pid)));
    assert!(await_event(&client, 0, "stubborn", EventKind::Stopped).text.contains("was killed"));
}

#[test]
fn two_that_remove_the_same_service_both_succeed() {
    let place = Place::new();
    let client = place.client();
    // It takes its time, so that both wait for its end.
    let slow = "trap 'sleep 0.5; exit 0' TERM; echo > ready; while :; do sleep 0.05; done";
    client.start(&place.sh("slow", slow)).unwrap();
    place.await_file("ready");
    let removed = std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| place.client().remove(&"slow".into())));
        both.map(|one| one.join().unwrap())
    });
    assert!(removed.iter().all(Result::is_ok), "{removed:?}");
}

#[test]
fn a_shutdown_stops_users_first_and_leaves_nothing() {
    for by_signal in [false, true] {
        let place = Place::new();
        let client = place.client();
        let service = |name: &str, after: &[&str]| {
            let script = format!(
                "trap 'sleep 0.1; echo {name} >> order; exit 0' TERM; echo $$ >> pids; sleep 1000 & wait"
            );
            ProcessSpec {
                after: after.iter().map(|name| (*name).into()).collect(),
                ..place.sh(name, &script)
            }
        };
        for spec in
            [service("node-red", &["postgres"]), service("postgres", &[]), service("edge", &["node-red"])]
        {
            client.start(&spec).unwrap();
        }
        await_that("all run", || place.text("pids").lines().count() == 3);
        let supervisor = place.supervisor_pid();
        if by_signal {
            processes::signal_process(supervisor, Signal::TERM);
            await_that("the supervisor ends", || !alive(supervisor));
        } else {
            client.shutdown().unwrap();
        }
        assert_eq!(place.text("order"), "edge\nnode-red\npostgres\n");
        assert!(pids(&place.text("pids")).into_iter().all(|pid| !alive(pid)));
        await_that("the supervisor ends", || !alive(supervisor));
        let mut left: Vec<_> =
            fs::read_dir(&place.state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["lock", "supervisor.log"]);
        assert_eq!(recover(&place.state).unwrap(), Recovered::Clean);
        assert!(Client::connect(&place.state).unwrap().is_none());
    }
}

#[test]
fn what_a_killed_supervisor_left_is_ended_and_nothing_else() {
    let place = Place::new();
    let client = place.client();
    // One that left its group and session: only its mark tells of it.
    let script = "setsid sh -c 'echo $$ > away; exec sleep 1000' & sleep 1001 & echo $$ $! > group; wait";
    client.start(&place.sh("a", script)).unwrap();
    client.start(&place.sh("b", "trap '' TERM; echo $$ > b; while :; do sleep 1; done")).unwrap();
    let mut left = pids(&(place.await_file("away") + &place.await_file("group") + &place.await_file("b")));
    place.kill_supervisor();
    assert!(left.iter().all(|pid| alive(*pid)), "they outlive it");
    assert!(Client::connect(&place.state).unwrap().is_none());

    // A process that has the id of a recorded one, but started at another time.
    let bystander = Killed(Command::new("sleep").arg("1000").spawn().unwrap());
    let mut record = children::read(&place.state).unwrap().unwrap();
    let reused = ProcessIdentity { start_ticks: 1, ..processes::identify(bystander.0.id()).unwrap() };
    let mut stop = Stop::default();
    for child in record.children.values_mut() {
        child.stop.grace_ms = 100;
        stop = child.stop;
    }
    record.children.insert("reused".into(), RecordedChild { process: reused, stop });
    fs::write(children::path_in(&place.state), serde_json::to_string(&record).unwrap()).unwrap();

    let Recovered::Ended(names) = recover(&place.state).unwrap() else { panic!("nothing was found") };
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].starts_with("a (process ") && names[1].starts_with("b (process "), "{names:?}");
    left.retain(|pid| alive(*pid));
    assert_eq!(left, Vec::<u32>::new());
    assert!(alive(bystander.0.id()), "a reused id is not touched");
    assert_eq!(recover(&place.state).unwrap(), Recovered::Clean, "once");
}

#[test]
fn the_next_start_recovers_and_says_so() {
    let place = Place::new();
    let spec = place.sh("a", "echo $$ >> pids; exec sleep 1000");
    let old = place.client().start(&spec).unwrap().pid.unwrap();
    place.kill_supervisor();
    let client = place.client();
    assert!(!alive(old));
    let events = all_events(&client);
    assert_eq!(events[0].kind, EventKind::Recovered);
    assert!(events[0].text.contains(&format!("a (process {old})")), "{}", events[0].text);
    assert_eq!(recover(&place.state).unwrap(), Recovered::Running);
    assert!(client.start(&spec).unwrap().pid.is_some());
}

#[test]
fn a_record_that_is_not_ours_is_refused() {
    let place = Place::new();
    fs::create_dir(&place.state).unwrap();
    fs::write(children::path_in(&place.state), "{}").unwrap();
    let error = recover(&place.state).unwrap_err();
    assert!(
        error.downcast_ref::<foundation::exit::Refused>().is_some()
            && error.to_string().contains("children.json")
    );
    let error = Client::start_with(&place.state, supervisor(&place.state)).unwrap_err().to_string();
    assert!(error.contains("expected the record of a supervisor"), "{error}");
    fs::remove_file(children::path_in(&place.state)).unwrap();
}

#[test]
fn a_killed_client_takes_nothing_with_it() {
    use std::os::unix::process::CommandExt as _;
    let place = Place::new();
    let spec = place.sh("a", "echo up; exec sleep 1000");
    fs::write(place.path("spec.json"), serde_json::to_string(&spec).unwrap()).unwrap();
    let client = supervisor(&place.state)
        .env(SPEC, place.path("spec.json"))
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut client = Killed(client);
    await_that("the supervisor listens", || matches!(Client::connect(&place.state), Ok(Some(_))));
    await_event(&place.client(), 0, "a", EventKind::Started);
    let (supervisor, pid) = (place.supervisor_pid(), status(&place.client(), "a").pid.unwrap());
    // Ctrl-C reaches the whole group of the client; the kill is for the client itself.
    processes::signal_group(client.0.id(), Signal::INT);
    client.0.kill().unwrap();
    client.0.wait().unwrap();
    assert!(alive(supervisor) && alive(pid));
    assert_eq!(status(&place.client(), "a").pid, Some(pid));
    assert_eq!(place.supervisor_pid(), supervisor);
}

#[test]
fn paths_of_any_length_will_do() {
    let mut place = Place::new();
    place.state = place.path(&"a-rather-long-folder-name/".repeat(6)).join("supervisor");
    assert!(place.state.as_os_str().len() > 150);
    fs::create_dir_all(&place.state).unwrap();
    let client = place.client();
    assert!(client.start(&place.sh("a", "exec sleep 1000")).unwrap().pid.is_some());
    client.shutdown().unwrap();
}

#[test]
fn of_many_that_start_a_supervisor_all_get_the_same() {
    let place = Place::new();
    let pids: Vec<u32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let place = &place;
                scope.spawn(move || {
                    let client = place.client();
                    client.start(&place.sh(&format!("s{number}"), "exec sleep 1000")).unwrap();
                    place.supervisor_pid()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(pids.windows(2).all(|pair| pair[0] == pair[1]), "{pids:?}");
    assert_eq!(place.client().status().unwrap().0.len(), 4);
    let mut second = supervisor(&place.state).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    second.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!second.wait().unwrap().success());
    assert!(said.contains(&format!("process {}", pids[0])) && said.contains("is held by"), "{said}");
}

#[test]
fn the_socket_speaks_json_lines() {
    let place = Place::new();
    let client = place.client();
    client.start(&place.sh("a", "exec sleep 1000")).unwrap();
    let stream = super::control::connect(&place.state).unwrap().unwrap();
    let mut answers = BufReader::new(&stream).lines();
    for (line, answer) in [
        (r#"{"ask":"ping"}"#, r#"{"pong":{"pid":"#),
        (r#"{"ask":"dance"}"#, r#"{"error":"unknown request"#),
        ("no json", r#"{"error":"unknown request"#),
        (r#"{"ask":"stop","name":"a"}"#, r#"{"service":{"name":"a","state":"stopped""#),
        (r#"{"ask":"remove","name":"unknown"}"#, r#""done""#),
    ] {
        writeln!(&stream, "{line}").unwrap();
        let said = answers.next().unwrap().unwrap();
        assert!(said.starts_with(answer), "{said}");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |name: &str| fs::metadata(place.state.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("ctl.sock"), mode(".")), (0o600, 0o700));
}

#[test]
fn a_changed_file_is_acted_upon_however_it_is_saved() {
    let place = Place::new();
    let client = place.client();
    fs::write(place.path("flows.json"), "one").unwrap();
    fs::write(place.path("key"), "letmein-please").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/flows", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for status in ["204 No Content", "204 No Content", "500 Oh"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            requests.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        }
        requests
    });
    fs::create_dir(place.path("src")).unwrap();
    let mut spec = place.sh("web", "echo started >> starts; exec sleep 1000");
    let secret = |file: PathBuf| crate::plan::argument::Secret { name: "key".into(), file };
    spec.watch = vec![Watch {
        paths: vec![place.path("flows.json"), place.path("src/nodes")],
        ignore: vec!["node_modules".into()],
        debounce_ms: 50,
        actions: vec![
            WatchAction::Exec {
                argv: vec![
                    "sh".into(),
                    "-c".into(),
                    "cat flows.json; basename \"$FLOWSHIP_CHANGED\" >> changed; ! [ -e break ]".into(),
                ],
                env: [].into(),
                cwd: place.folder.path().to_owned(),
                log: place.path("log/assemble.log"),
                time_limit_ms: 20_000,
            },
            WatchAction::Http { method: "POST".into(), url, bearer: Some(secret(place.path("key"))) },
            WatchAction::Restart { service: "web".into() },
        ],
    }];
    client.start(&spec).unwrap();
    let save = |text: &str| {
        fs::write(place.path(".tmp"), text).unwrap();
        fs::rename(place.path(".tmp"), place.path("flows.json")).unwrap();
    };

    // By rename, twice: the second replaces the file that the first put there.
    let mut last = 0;
    for (round, text) in ["two", "three"].into_iter().enumerate() {
        save(text);
        let event = await_event(&client, last, "web", EventKind::Reloaded);
        assert!(event.text.starts_with("flows.json changed: ran assemble ("), "{}", event.text);
        assert!(
            event.text.contains("/flows: 204 (") && event.text.contains("restarted web ("),
            "{}",
            event.text
        );
        await_that("it has restarted", || place.text("starts").lines().count() == round + 2);
        last = event.id;
    }
    // The same contents again are no change; the next real one, in a folder that was not there, is the next event.
    save("three");
    fs::create_dir_all(place.path("src/nodes/node_modules")).unwrap();
    fs::write(place.path("src/nodes/node_modules/x.js"), "x").unwrap();
    fs::write(place.path("src/nodes/llm.js"), "x").unwrap();
    let event = await_event(&client, last, "web", EventKind::ReloadFailed);
    assert!(event.text.starts_with("llm.js changed: ran assemble ("), "{}", event.text);
    assert!(
        event.text.contains("; then FAILED: POST ") && event.text.ends_with("/flows answered 500: "),
        "{}",
        event.text
    );
    assert_eq!(place.text("starts").lines().count(), 3, "the first failure ends the list");
    assert_eq!(place.text("changed"), "flows.json\nflows.json\nllm.js\n");
    assert!(place.text("log/assemble.log").starts_with("two"));
    assert!(server.join().unwrap().iter().all(|request| request.contains("Bearer letmein-please")));

    // In a folder that appeared after the watch began. Nothing tells that the watch has done with the notices of the
    // changes before; once it has, only a notice of this one can wake it.
    std::thread::sleep(Duration::from_millis(600));
    fs::write(place.path("src/nodes/llm.js"), "y").unwrap();
    let event = await_event(&client, event.id, "web", EventKind::ReloadFailed);
    assert!(event.text.starts_with("llm.js changed: ran assemble ("), "{}", event.text);

    // In place, and the first action fails.
    fs::write(place.path("break"), "").unwrap();
    fs::write(place.path("flows.json"), "four").unwrap();
    let event = await_event(&client, event.id, "web", EventKind::ReloadFailed);
    assert!(event.text.starts_with("flows.json changed: FAILED: assemble: exit code 1"), "{}", event.text);

    assert_eq!(place.text("starts").lines().count(), 3, "nothing was done after a failure");

    // What is stopped is not watched.
    client.stop(&spec.name).unwrap();
    let since = client.status().unwrap().1;
    fs::remove_file(place.path("break")).unwrap();
    save("five");
    client.start(&place.sh("other", "exit 0")).unwrap();
    await_event(&client, since, "other", EventKind::Ended);
    assert_eq!(status(&client, "web").state, State::Stopped);
}

/// A restarted service is given a minute to be healthy: one whose source is mended meanwhile is restarted at once.
#[test]
fn a_change_ends_the_waiting_for_what_the_change_before_it_broke() {
    let place = Place::new();
    let client = place.client();
    fs::write(place.path("node.js"), "good").unwrap();
    let script = "echo started >> starts; grep -q good node.js && echo > ready; exec sleep 1000";
    let mut spec = ProcessSpec { health: place.health("ready"), ..place.sh("web", script) };
    spec.watch = vec![Watch {
        paths: vec![place.path("node.js")],
        ignore: vec![],
        debounce_ms: 50,
        actions: vec![WatchAction::Restart { service: "web".into() }],
    }];
    client.start(&spec).unwrap();
    await_event(&client, 0, "web", EventKind::Healthy);
    let begun = std::time::Instant::now();
    let mut since = client.status().unwrap().1;
    for (round, text) in ["broken", "broken still", "good"].into_iter().enumerate() {
        fs::remove_file(place.path("ready")).ok();
        fs::write(place.path("node.js"), text).unwrap();
        await_that("it has restarted", || place.text("starts").lines().count() == round + 2);
        if text != "good" && round > 0 {
            let event = await_event(&client, since, "web", EventKind::ReloadFailed);
            assert_eq!(event.text, "node.js changed, and again before web was healthy");
            since = event.id;
        }
    }
    let event = await_event(&client, since, "web", EventKind::Reloaded);
    assert!(event.text.starts_with("node.js changed: restarted web ("), "{}", event.text);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

/// Somebody saves and takes it back while the first save is still judged: the judge read the second one.
#[test]
fn what_is_taken_back_while_it_is_judged_is_judged_again() {
    let place = Place::new();
    let client = place.client();
    fs::write(place.path("flows.json"), "good").unwrap();
    let mut spec = place.sh("web", "exec sleep 1000");
    let save = |text: &str| format!("echo {text} > .tmp; mv .tmp flows.json;");
    let judge = format!(
        "[ -e judged ] || {{ {} read saved < flows.json; {} }}; : ${{saved:=$(cat flows.json)}}; echo $saved >> judged; [ $saved != bad ]",
        save("bad"),
        save("better"),
    );
    spec.watch = vec![Watch {
        paths: vec![place.path("flows.json")],
        ignore: vec![],
        debounce_ms: 50,
        actions: vec![WatchAction::Exec {
            argv: vec!["sh".into(), "-c".into(), judge.as_str().into()],
            env: [].into(),
            cwd: place.folder.path().to_owned(),
            log: place.path("log/judge.log"),
            time_limit_ms: 20_000,
        }],
    }];
    client.start(&spec).unwrap();
    fs::write(place.path("flows.json"), "better\n").unwrap();
    let refused = await_event(&client, 0, "web", EventKind::ReloadFailed);
    await_event(&client, refused.id, "web", EventKind::Reloaded);
    assert_eq!(place.text("judged"), "bad\nbetter\n");
}

#[test]
fn steps_of_a_plan_reach_the_supervisor() {
    let place = Place::new();
    drop(place.client());
    let spec = ProcessSpec {
        health: place.health("ready"),
        ..place.sh("web", "echo up; echo > ready; exec sleep 1000")
    };
    let failing = ProcessSpec {
        health: place.health("never"),
        restart: Restart { policy: RestartPolicy::Never, ..Restart::default() },
        ..place.sh("bad", "echo no port; exit 1")
    };
    let ask = |id: &str, needs: &[&str], request| Step {
        needs: needs.iter().map(|need| (*need).into()).collect(),
        ..Step::new(id, id, Action::Supervise(Supervise { state: place.state.clone(), request }))
    };
    let wait = |id: &str, need: &str, service: &str| Step {
        action: Action::WaitFor(WaitFor {
            probe: Probe::Supervised { state: place.state.clone(), service: service.into() },
            time_limit_ms: 20_000,
            interval_ms: 100,
        }),
        ..ask(id, &[need], ServiceRequest::Shutdown)
    };
    let run = |steps: Vec<Step>| {
        let target = Target::Here { state: place.path("state") };
        let runner = Runner {
            keep_going: true,
            grace_ms: 500,
            show: Show::to(OutputStyle::Plain, Box::new(std::io::sink())),
            supervision: Some(&Link),
            ..Runner::without_native(&target, Interrupt::default())
        };
        let plan = Plan { intent: "try".into(), target: "t".into(), on_failure: OnFailure::Keep, steps };
        runner.run(&plan).unwrap()
    };
    let report = run(vec![
        ask("start", &[], ServiceRequest::Start(Box::new(spec))),
        wait("healthy", "start", "web"),
        ask("start-bad", &[], ServiceRequest::Start(Box::new(failing))),
        wait("healthy-bad", "start-bad", "bad"),
    ]);
    let statuses: Vec<_> = report.steps.iter().map(|step| step.status).collect();
    assert_eq!(statuses, [Status::Done, Status::Done, Status::Done, Status::Failed]);
    let pid: u32 = report.steps[0].outputs["pid"].parse().unwrap();
    assert!(alive(pid));
    let error = report.steps[3].error.as_ref().unwrap();
    assert!(error.contains("bad has ended: exit code 1") && error.contains("| no port"), "{error}");
    let stop = |id: &str, need: &[&str], request| ask(id, need, request);
    let report = run(vec![
        stop("stop", &[], ServiceRequest::Stop(ServiceName::from("web"))),
        stop("down", &["stop"], ServiceRequest::Shutdown),
        stop("down-again", &["down"], ServiceRequest::Shutdown),
    ]);
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    assert!(!alive(pid) && Client::connect(&place.state).unwrap().is_none());
}
