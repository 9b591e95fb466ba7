//! No value of a secret is written down, whatever is logged, refused or crashes: every secret of a deployed environment is
//! looked for, as it is and encoded, in everything that the environment and its commands leave.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::{Value, json};

use super::site::Site;
use super::story::path_of_the_migrations;
use crate::control::Control;
use crate::processes::told;
use crate::web::{self, Provider};

/// In lower case: the provider compares so.
const PROVIDER_KEY: &str = r#"canary-zq/+="&%\'x7d-of-the-provider"#;
const NEXT_PROVIDER_KEY: &str = r#"canary-wk/+="&%\'y8e-of-the-provider"#;
/// Of whoever calls; no program of the environment needs it.
const CALLERS_TOKEN: &str = "canary-caller-2f9c4e77b1d05a63";

/// Shorter than any step of a deploy that starts a program.
const LOOK: Duration = Duration::from_millis(20);

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn no_secret_is_written_down() {
    let mut site = Site::new();
    leaking_flow(&site);
    site.model = Provider::serve(PROVIDER_KEY);
    site.environment("qa", "staging");
    fs::write(site.path("provider-key"), PROVIDER_KEY).unwrap();
    site.variables =
        ["OPENAI_API_KEY", "GH_TOKEN", "PGPASSWORD"].map(|name| (name, CALLERS_TOKEN.to_owned())).into();
    let core_limit = getrlimit(Resource::Core).maximum;
    setrlimit(Resource::Core, Rlimit { current: core_limit, maximum: core_limit }).unwrap();

    let first = site.package("first", "1.0.0");
    let (printed, seen) = watched_deploy(&site, &first);
    let values = Values::of(&site);
    values.are_not_in("what processes were given", &seen);
    values.are_not_in("what deploy prints", &printed);
    let planted = Command::new("sleep")
        .arg0(site.of("qa").to_str().unwrap())
        .arg("60")
        .env("KEY", PROVIDER_KEY)
        .stdin(Stdio::null())
        .spawn();
    let mut planted = planted.unwrap();
    assert!(
        values.found_in(&told(&site.of("qa"), "environ").join("\n")),
        "it finds what a process was given"
    );
    planted.kill().unwrap();
    planted.wait().unwrap();

    push(&site, &values, &first);
    let mut shown = commands(&site);
    crash(&site);
    shown += &commands(&site);
    values.are_not_in("what commands print and metrics say", &shown);
    site.package("second", "1.1.0");
    let down = site.done(&["down", "qa"]);
    values.are_not_in("what down prints", &down.out);

    let archives = unpacked(&site, "second");
    for place in [site.state(), site.path("first"), site.path("second"), archives] {
        assert_eq!(values.files_in(&place), [""; 0]);
    }
    assert_eq!(cores_in(&site.path("")), Vec::<PathBuf>::new());
    the_search_finds(&site, &values);
}

/// Logs, shows and throws what it is sent.
fn leaking_flow(site: &Site) {
    let mut flows: Vec<Value> = serde_json::from_str(&site.read("flows/flows.json")).unwrap();
    let code = "for (const value of msg.payload.values) {\n  node.warn(value);\n  node.log({ value });\n  \
                node.error(new Error(`refused: ${value}`));\n  \
                node.warn(Buffer.from(`user:${value}`).toString('base64'));\n  \
                node.warn(encodeURIComponent(value) + Buffer.from(value).toString('hex') + JSON.stringify({ value }));\n}\n\
                if (msg.payload.crash) Promise.reject(new Error(`planted: ${msg.payload.values.join()}`));\nreturn msg;";
    flows.extend([
        json!({ "id": "leak", "type": "tab", "label": "Leak", "disabled": false, "info": "" }),
        json!({ "id": "leak-in", "type": "http in", "z": "leak", "name": "", "url": "/api/v1/leak", "method": "post",
                "upload": false, "skipBodyParsing": false, "swaggerDoc": "", "x": 100, "y": 80, "wires": [["leak-auth"]] }),
        json!({ "id": "leak-auth", "type": "api-auth", "z": "leak", "name": "key", "database": "postgres", "x": 300, "y": 80,
                "wires": [["leak-log", "leak-debug"], ["leak-out"]] }),
        json!({ "id": "leak-log", "type": "function", "z": "leak", "name": "log", "func": code, "outputs": 1, "timeout": 0,
                "noerr": 0, "initialize": "", "finalize": "", "libs": [], "x": 500, "y": 80, "wires": [["leak-answer"]] }),
        json!({ "id": "leak-debug", "type": "debug", "z": "leak", "name": "debug", "active": true, "tosidebar": false,
                "console": true, "tostatus": false, "complete": "true", "targetType": "full", "statusVal": "",
                "statusType": "auto", "x": 500, "y": 160, "wires": [] }),
        json!({ "id": "leak-answer", "type": "change", "z": "leak", "name": "", "rules": [{ "t": "set", "p": "payload",
                "pt": "msg", "to": "logged", "tot": "str" }], "x": 650, "y": 80, "wires": [["leak-out"]] }),
        json!({ "id": "leak-catch", "type": "catch", "z": "leak", "name": "", "scope": null, "uncaught": false, "x": 500,
                "y": 240, "wires": [["leak-out"]] }),
        json!({ "id": "leak-out", "type": "http response", "z": "leak", "name": "", "statusCode": "", "headers": {}, "x": 800,
                "y": 80, "wires": [] }),
    ]);
    site.write("flows/flows.json", &serde_json::to_string_pretty(&flows).unwrap());
}

/// What it prints, and the variables and arguments of everything that runs meanwhile.
fn watched_deploy(site: &Site, files: &Path) -> (String, String) {
    let deploy = site.begin(&site.deploy("qa", files));
    let mut seen = BTreeSet::new();
    let mut deployer_seen = false;
    let running = deploy.pid();
    while running.runs() {
        seen.extend(told(&site.of("qa"), "environ"));
        seen.extend(told(&site.of("qa"), "cmdline"));
        std::thread::sleep(LOOK);
        deployer_seen |= seen.iter().any(|words| words.contains(" deploy qa --installed "));
    }
    let printed = deploy.ends(0);
    assert!(deployer_seen, "the process that deploys was looked at");
    (printed, seen.into_iter().collect::<Vec<_>>().join("\n"))
}

/// Each value goes into the log of the flows and of the database, and a refusal of the provider repeats its key.
fn push(site: &Site, values: &Values, files: &Path) {
    let plan = site.done(&[&site.deploy("qa", files)[..], &["--dry-run", "--json"]].concat());
    values.are_not_in("the plan", &plan.out);
    // Rotated a moment before it is logged.
    fs::write(site.path("provider-key"), NEXT_PROVIDER_KEY).unwrap();
    assert_eq!(leak(site, &values.whole, false), Some(200));
    let database = site.service("qa", "postgres");
    let statement: String = values.whole.iter().map(|value| format!("-- {value}\n")).collect();
    let password = fs::read_to_string(site.of("qa").join("secrets/postgres-superuser-password")).unwrap();
    let refused = Command::new("psql")
        .env("PATH", path_of_the_migrations(&plan.json()))
        .env("PGPASSWORD", password.trim())
        .args([
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-d",
            "flowship",
            "-p",
            &database["ports"]["sql"].to_string(),
        ])
        .args(["-c", &format!("SELECT 1 FROM nowhere {statement}")])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:#?}");
    let log = || fs::read_to_string(site.of("qa").join("services/postgres.log")).unwrap_or_default();
    crate::until("the database logs the statement", || log().contains("FROM nowhere").then_some(()));

    let smoke = site.run(&["smoke", "qa"]);
    assert_eq!(smoke.code, Some(1), "{smoke:#?}");
    assert!(smoke.out.contains("no such key"), "{smoke:#?}");
    values.are_not_in("what smoke prints", &(smoke.out + &smoke.errors));
    assert_eq!(
        web::ask("GET", &format!("{}/v1/models", site.model_url()), Some("no-key"), None).unwrap().status,
        401
    );
}

fn leak(site: &Site, values: &[String], crash: bool) -> Option<u16> {
    let edge = site.edge("qa");
    let body = json!({ "values": values, "crash": crash }).to_string();
    let url = format!("{}/api/v1/leak", edge.url);
    Some(web::ask_with(&web::trusting(&edge.certificate), "POST", &url, Some(&edge.key), Some(&body))?.status)
}

/// One replica by an error that nobody catches, one by a signal, and the supervisor by another.
fn crash(site: &Site) {
    let replicas = || site.processes("qa").into_iter().filter(|(name, _)| name.starts_with("node-red"));
    let before: Vec<_> = replicas().collect();
    let secret = fs::read_to_string(site.of("qa").join("secrets/ops-token")).unwrap();
    leak(site, &[secret.trim().to_owned()], true);
    crate::until("a replica crashes", || replicas().any(|one| !before.contains(&one)).then_some(()));
    let runs_again =
        || crate::until("it runs again", || site.run(&["status", "qa"]).code.filter(|code| *code == 0));
    for (name, _) in &before {
        runs_again();
        let pid = site.pid("qa", name);
        limit_is_one_byte(pid.0);
        pid.signal(Signal::SEGV);
        crate::until("it has crashed", || (!pid.runs()).then_some(()));
    }
    runs_again();
    let supervisor = Control::of(&site.of("qa").join("supervisor")).pid();
    limit_is_one_byte(supervisor.0);
    supervisor.signal(Signal::ABORT);
    crate::until("the supervisor has crashed", || (!supervisor.runs()).then_some(()));
    site.done(&["start", "qa"]);
}

fn limit_is_one_byte(pid: i32) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert!(core.split_whitespace().skip(4).take(2).eq(["1", "1"]), "{core}");
}

/// What operators see.
fn commands(site: &Site) -> String {
    let mut shown = String::new();
    for arguments in [
        &["status", "qa", "--json"][..],
        &["status", "qa"],
        &["history", "qa", "--json"],
        &["logs", "qa", "-n", "100000"],
        &["logs", "qa", "-n", "100000", "--json"],
        &["secrets", "audit", "qa", "--json"],
        &["releases", "list", "qa", "--json"],
    ] {
        let ended = site.run(arguments);
        shown += &(ended.out + &ended.errors);
    }
    for (name, _) in site.processes("qa") {
        let ports = site.service("qa", &name)["ports"].clone();
        if let Some(port) = ports["ops"].as_u64() {
            shown += &web::get(&format!("http://127.0.0.1:{port}/metrics")).unwrap().body;
        }
    }
    assert!(shown.contains("flowship_log_lines_total") && shown.contains("***"), "{shown}");
    shown
}

fn unpacked(site: &Site, package: &str) -> PathBuf {
    let to = site.path("unpacked");
    let mut archives = 0;
    for entry in fs::read_dir(site.path(package)).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if !name.ends_with(".tar.gz") {
            continue;
        }
        let folder = to.join(&name);
        fs::create_dir_all(&folder).unwrap();
        let status =
            Command::new("tar").arg("-xzf").arg(entry.path()).arg("-C").arg(&folder).status().unwrap();
        assert!(status.success(), "{name}");
        archives += 1;
    }
    assert!(archives > 0, "{package} has archives");
    to
}

fn cores_in(folder: &Path) -> Vec<PathBuf> {
    let files =
        walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let is_core = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name == "core"
            || name.strip_prefix("core.").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    files.map(walkdir::DirEntry::into_path).filter(is_core).collect()
}

/// Planted, each is found; and without the limit a crash leaves a core here, unless the machine puts it elsewhere.
fn the_search_finds(site: &Site, values: &Values) {
    let log = site.of("qa").join("services/node-red-a.log");
    assert!(log.is_file());
    for form in forms(NEXT_PROVIDER_KEY) {
        let kept = fs::read(&log).unwrap();
        fs::write(&log, [&kept[..], b"before ", form.as_bytes(), b" after\n"].concat()).unwrap();
        assert_eq!(values.files_in(&site.state()), [log.to_str().unwrap()], "{form}");
        fs::write(&log, kept).unwrap();
    }
    let folder = site.path("crashed");
    fs::create_dir(&folder).unwrap();
    let crashed = Command::new("sh").args(["-c", "kill -SEGV $$"]).current_dir(&folder).status().unwrap();
    assert!(!crashed.success());
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    // `cargo xtask ci` gives what it runs the limit that is tested here.
    let limited = getrlimit(Resource::Core).current.is_some_and(|bytes| bytes <= 1);
    if !pattern.starts_with(['/', '|', '@']) && !limited {
        assert_eq!(cores_in(&folder).len(), 1, "{pattern}");
    }
}

/// The values of all secrets.
struct Values {
    whole: Vec<String>,
    needles: BTreeSet<String>,
    file: PathBuf,
}

impl Values {
    fn of(site: &Site) -> Self {
        let mut whole: Vec<String> =
            [PROVIDER_KEY, NEXT_PROVIDER_KEY, CALLERS_TOKEN].map(str::to_owned).into();
        let mut lines = BTreeSet::new();
        for entry in fs::read_dir(site.of("qa").join("secrets")).unwrap().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap();
            match text.split_once("PRIVATE KEY-----\n") {
                None => whole.push(text.trim().to_owned()),
                Some((_, key)) => {
                    lines.extend(key.lines().take_while(|line| !line.starts_with('-')).map(str::to_owned));
                }
            }
        }
        assert!(whole.len() > 5 && !lines.is_empty(), "{whole:?}");
        let needles: BTreeSet<String> = whole.iter().flat_map(|value| forms(value)).chain(lines).collect();
        assert!(needles.iter().all(|needle| needle.len() >= 16), "{needles:?}");
        let file = site.path("needles");
        fs::write(&file, needles.iter().map(|needle| format!("{needle}\n")).collect::<String>()).unwrap();
        whole.retain(|value| value != CALLERS_TOKEN);
        Self { whole, needles, file }
    }

    fn found_in(&self, text: &str) -> bool {
        self.needles.iter().any(|needle| text.contains(needle))
    }

    #[track_caller]
    fn are_not_in(&self, what: &str, text: &str) {
        assert!(!text.is_empty(), "{what}");
        let lines: Vec<&str> = text.lines().filter(|line| self.found_in(line)).collect();
        assert!(lines.is_empty(), "{what}: {lines:#?}");
    }

    /// The files with one of them, except those that hold the secrets.
    #[track_caller]
    fn files_in(&self, folder: &Path) -> Vec<String> {
        let found = Command::new("grep")
            .env("LC_ALL", "C")
            .args([
                "--recursive",
                "--text",
                "--fixed-strings",
                "--files-with-matches",
                "--exclude-dir=secrets",
            ])
            .args(["--devices=skip", "--file"])
            .args([&self.file, folder])
            .output()
            .unwrap();
        assert!(matches!(found.status.code(), Some(0 | 1)), "{found:#?}");
        String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

/// The value, and as it is in JSON, URLs, dumps and, wherever it begins, in base64.
fn forms(value: &str) -> BTreeSet<String> {
    let json = Value::from(value).to_string();
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let url = |byte: u8| match char::from(byte) {
        letter if letter.is_ascii_alphanumeric() || "-_.~".contains(letter) => letter.to_string(),
        _ => format!("%{byte:02X}"),
    };
    let base64 = (0..3).map(|before| {
        let whole = base64(&[&b"\0\0\0"[..before], value.as_bytes()].concat());
        whole[(before * 8).div_ceil(6)..(before + value.len()) * 8 / 6].to_owned()
    });
    let plain = [value.to_owned(), json[1..json.len() - 1].to_owned(), hex, value.bytes().map(url).collect()];
    plain.into_iter().chain(base64).collect()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let letter =
        |six: &[u8]| LETTERS[six.iter().fold(0, |sum, bit| sum << 1 | usize::from(*bit)) << (6 - six.len())];
    bits.chunks(6).map(|six| char::from(letter(six))).collect()
}
