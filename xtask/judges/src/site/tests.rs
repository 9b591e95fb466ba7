//! Files as sites write them, right and wrong.

use std::borrow::Cow;

use super::*;
use vocabulary::model::environment::{EngineKind, Tier, Tls};

const SERVICES: &[KnownService] = &[
    KnownService { id: "node-red", ports: Cow::Borrowed(&["flows", "ready"]), scales: true, calls_out: true },
    KnownService { id: "postgres", ports: Cow::Borrowed(&["sql"]), scales: false, calls_out: false },
    KnownService { id: "migrate", ports: Cow::Borrowed(&[]), scales: false, calls_out: false },
];

fn known() -> Known {
    Known {
        services: SERVICES.to_vec(),
        groups: vec!["monitoring", "pages"],
        only_in_containers: vec!["pages"],
        gates: Some(vec!["tests", "smoke"]),
    }
}

const DEVELOPMENT: &str = "tier = 'development'\nengine = 'process'\n";

/// A good production environment; the tests change one thing of it.
const PRODUCTION: &str = "\
tier = 'production'
engine = 'compose'
domain = 'flowship.example.com'
hosts = [{ name = 'one', address = '10.0.0.1' }]
[contacts]
on_call = 'Platform'
email = 'platform@example.com'
[retention]
logs_days = 90
metrics_days = 90
backups_days = 35
[llm]
base_url = 'https://llm.example.com/v1'
model = 'large'
api_key_file = '/etc/key'
[tls]
acme_contact = 'platform@example.com'
";

fn file(stem: &str, text: &str) -> SiteFile {
    SiteFile { path: format!("e/{stem}.toml"), bytes: text.as_bytes().to_vec() }
}

fn good(stem: &str, text: &str) -> Environment {
    match judge(&[file(stem, text)], &known()) {
        Ok((mut environments, _)) => environments.remove(0),
        Err(problems) => panic!("{}\n{text}", listing(&problems)),
    }
}

fn problems(stem: &str, text: &str) -> Vec<String> {
    let found = judge(&[file(stem, text)], &known()).err().unwrap_or_default();
    found.iter().map(|problem| problem.to_string().replacen("e/", "", 1)).collect()
}

/// Production with `from` replaced; `from` must be there.
fn production(from: &str, to: &str) -> String {
    assert!(PRODUCTION.contains(from), "{from}");
    PRODUCTION.replacen(from, to, 1)
}

#[test]
fn two_lines_make_a_development_environment() {
    let environment = good("dev", DEVELOPMENT);
    assert_eq!(environment.name, "dev");
    assert_eq!((environment.tier, environment.engine), (Tier::Development, EngineKind::Process));
    assert_eq!(environment.domain, "localhost");
    assert_eq!(environment.hosts.len(), 1);
    assert_eq!(environment.hosts[0].address, "127.0.0.1");
    assert_eq!(environment.hosts[0].ssh_user, "flowship");
    assert_eq!((environment.llm, environment.contacts), (None, None));
    assert_eq!(environment.retention.logs_days, 7);
    assert_eq!(environment.objectives.rto_seconds, 60);
}

#[test]
fn everything_can_be_set() {
    let environment = good(
        "dev",
        "name = 'dev'\ntier = 'development'\nengine = 'process'\npromotes_from = 'ci'\nrequires = ['smoke']\nwith = ['monitoring']\nports.node-red.flows = 1880\nports.postgres.sql = 0x1538\n\
         [sizes.node-red]\nmemory_mib = 1_024\ncpu_millis = 500\npids = 64\nreplicas = 1\n\
         [tls]\ncertificate_file = 'a.pem'\nkey_file = 'b.pem'\n[objectives]\nrpo_seconds = 5\nrto_seconds = 10\n\
         [contacts]\non_call = 'us'\nemail = 'a@b.c'\nslack_channel = '#x'\npagerduty_service = 'y'\n",
    );
    assert_eq!(environment.port("node-red", "flows"), Some(1880));
    assert_eq!(environment.port("postgres", "sql"), Some(5432));
    assert_eq!(environment.port("postgres", "other"), None);
    let size = environment.size("node-red");
    assert_eq!(
        (size.memory_mib, size.cpu_millis, size.pids, size.replicas),
        (Some(1024), Some(500), Some(64), Some(1))
    );
    assert_eq!(environment.size("postgres").pids, None);
    let files = Tls::Files { certificate_file: "a.pem".to_owned(), key_file: "b.pem".to_owned() };
    assert_eq!(environment.tls, files);
    assert_eq!(environment.contacts.unwrap().slack_channel.as_deref(), Some("#x"));
    assert_eq!(environment.objectives.rpo_seconds, 5);
    assert_eq!(environment.promotes_from.as_deref(), Some("ci"));
    assert_eq!(environment.requires, ["smoke"]);
    assert_eq!(environment.with, ["monitoring"]);
}

#[test]
fn what_is_shown_can_be_saved() {
    let asked =
        format!("promotes_from = 'y'\nrequires = ['tests', 'smoke']\nwith = ['monitoring']\n{PRODUCTION}");
    for text in [DEVELOPMENT, PRODUCTION, &asked] {
        let environment = good("x", text);
        assert_eq!(good("x", &toml::to_string(&environment).unwrap()), environment);
    }
}

#[test]
fn each_fault_is_reported_with_place_expectation_and_nearest_name() {
    let dev = |more: &str| format!("{DEVELOPMENT}{more}");
    let table: &[(&str, String, &[&str])] = &[
        (
            "unknown key",
            dev("domian = 'a'"),
            &[
                "dev.toml:3:1: unknown key \"domian\"; expected one of name, tier, engine, domain, promotes_from, requires, with, hosts, sizes, contacts, \
               retention, llm, ports, listen, firewall, egress, tls, secret_store, edge, objectives; did you mean \"domain\"?",
            ],
        ),
        (
            "key of another table",
            dev("logs_days = 3"),
            &[
                "dev.toml:3:1: unknown key \"logs_days\"; expected one of name, tier, engine, domain, promotes_from, requires, with, hosts, sizes, \
               contacts, retention, llm, ports, listen, firewall, egress, tls, secret_store, edge, objectives; did you mean \"retention.logs_days\"?",
            ],
        ),
        (
            "unknown key in a table",
            dev("[retention]\n  logs = 3"),
            &[
                "dev.toml:4:3: unknown key \"logs\" in retention; expected one of logs_days, metrics_days, backups_days; \
               did you mean \"logs_days\"?",
            ],
        ),
        (
            "unknown key in an array",
            dev("[[hosts]]\nname = 'a'\naddress = '10.0.0.1'\nssh-user = 'b'"),
            &["dev.toml:6:1: unknown key \"ssh-user\" in hosts; expected one of name, address, ssh_user; \
               did you mean \"ssh_user\"?"],
        ),
        (
            "an edge that trusts everybody",
            dev("[edge]\ntrusted_proxies = ['10.0.0.1', '::/0']\ntls_profile = 'old'"),
            &[
                "dev.toml:4:19: edge.trusted_proxies: \"::/0\" lets every client choose its address; expected only the addresses of your \
               load balancers",
                "dev.toml:5:15: edge.tls_profile: \"old\"; expected one of \"intermediate\", \"modern\"",
            ],
        ),
        (
            "wrong types",
            dev("domain = 1\nhosts = 'a'\nretention = []\nobjectives.rto_seconds = '5'"),
            &[
                "dev.toml:3:10: domain: found an integer; expected a DNS name such as \"flowship.example.com\"",
                "dev.toml:4:9: hosts: found a string; expected an array of tables, each with name, address, ssh_user",
                "dev.toml:5:13: retention: found an array; expected a table with logs_days, metrics_days, backups_days",
                "dev.toml:6:26: objectives.rto_seconds: found a string; expected a whole number of seconds from 1 to 86400",
            ],
        ),
        (
            "prices that are none",
            dev("[llm]\nbase_url = 'https://a/v1'\nmodel = 'm'\napi_key_file = '/k'\nprompt_price = -0.1\n\
                 completion_price = nan"),
            &[
                "dev.toml:7:16: llm.prompt_price: -0.1 is out of range; expected a number from 0 to 1000000, such as 0.15",
                "dev.toml:8:20: llm.completion_price: nan is out of range; expected a number from 0 to 1000000, such as 0.15",
            ],
        ),
        (
            "a price in quotes",
            dev("[llm]\nbase_url = 'https://a/v1'\nmodel = 'm'\napi_key_file = '/k'\nprompt_price = '1'\n\
                 completion_price = 1e99"),
            &[
                "dev.toml:7:16: llm.prompt_price: found a string; expected a number from 0 to 1000000, such as 0.15",
                "dev.toml:8:20: llm.completion_price: 1e99 is out of range; expected a number from 0 to 1000000, such as 0.15",
            ],
        ),
        (
            "a host that is no table",
            dev("hosts = ['a']"),
            &["dev.toml:3:10: hosts[0]: found a string; expected a table with name, address, ssh_user"],
        ),
        (
            "out of range",
            dev(
                "retention.logs_days = 0\nports.node-red.flows = 65536\nobjectives.rpo_seconds = 99999999999999999999",
            ),
            &[
                "dev.toml:3:23: retention.logs_days: 0 is out of range; expected a whole number of days from 1 to 3650",
                "dev.toml:4:24: ports.node-red.flows: 65536 is out of range; expected a whole number from 1 to 65535",
                "dev.toml:5:26: objectives.rpo_seconds: 99999999999999999999 is out of range; expected a whole number of \
                 seconds from 0 to 86400",
            ],
        ),
        (
            "no such choice",
            "tier = 'prod'\nengine = 'proces'".to_owned(),
            &[
                "dev.toml:1:8: tier: \"prod\"; expected one of \"development\", \"staging\", \"production\"; \
                 did you mean \"production\"?",
                "dev.toml:2:10: engine: \"proces\"; expected one of \"process\", \"compose\", \"kubernetes\"; \
                 did you mean \"process\"?",
            ],
        ),
        (
            "nothing at all",
            String::new(),
            &[
                "dev.toml:1:1: missing engine; expected one of \"process\", \"compose\", \"kubernetes\" (what runs the \
                 services: processes on this machine, containers on one host, or (not yet) Kubernetes on several)",
                "dev.toml:1:1: missing tier; expected one of \"development\", \"staging\", \"production\" (how much the \
                 environment matters: production refuses what is unsafe, development needs next to nothing)",
            ],
        ),
        (
            "a table begun and not finished",
            dev("[llm]\nmodel = 'm'\nbase_url = 'https://a/v1'"),
            &[
                "dev.toml:3:2: missing llm.api_key_file, which [llm] must have; expected the path of a file, absolute or \
               from the repository's root (the file with the provider's key; the key itself is never a setting)",
            ],
        ),
        (
            "unknown service and port",
            dev(
                "sizes.node-rde.pids = 9\nsizes.node-red.pid = 9\n[ports]\nnode-red.flow = 1\npostgress.sql = 2\nmigrate.x = 3",
            ),
            &[
                "dev.toml:3:7: unknown service \"node-rde\"; expected one of node-red, postgres, migrate; \
                 did you mean \"node-red\"?",
                "dev.toml:4:16: unknown key \"pid\" in sizes.<service>; expected one of memory_mib, cpu_millis, pids, \
                 replicas; did you mean \"pids\"?",
                "dev.toml:6:10: unknown port \"flow\" of node-red; expected one of flows, ready; did you mean \"flows\"?",
                "dev.toml:7:1: unknown service \"postgress\"; expected one of node-red, postgres, migrate; \
                 did you mean \"postgres\"?",
                "dev.toml:8:9: unknown port \"x\" of migrate; expected nothing, as migrate has no port",
            ],
        ),
        (
            "quoted service.port",
            dev("[ports]\n'node-red.flows' = 1880"),
            &[
                "dev.toml:4:1: unknown service \"node-red.flows\"; expected service and port joined by a dot without quotes; \
               did you mean \"node-red.flows\"?",
            ],
        ),
        (
            "not TOML, in several places, and a good look at the rest",
            "tier = 'development\nengine = \ndomian = 'x'\nretention.logs_days = 'x'".to_owned(),
            &[
                "dev.toml:1:20: invalid literal string; expected `'`",
                "dev.toml:2:10: string values must be quoted; expected literal string",
                "dev.toml:3:1: unknown key \"domian\"; expected one of name, tier, engine, domain, promotes_from, requires, with, hosts, sizes, contacts, \
                 retention, llm, ports, listen, firewall, egress, tls, secret_store, edge, objectives; did you mean \"domain\"?",
                "dev.toml:4:23: retention.logs_days: found a string; expected a whole number of days from 1 to 3650",
            ],
        ),
        (
            "what a release must have proven",
            dev("promotes_from = 'dev'\nrequires = ['tests', 'tsets', 1]\n"),
            &[
                "dev.toml:3:17: promotes_from: \"dev\" is this environment; expected another environment",
                "dev.toml:4:12: requires: found an integer in it; expected an array of names of gates, such as [\"tests\"]",
            ],
        ),
        (
            "unknown part",
            dev("with = ['monitoring', 'monitring']\n"),
            &[
                "dev.toml:3:8: with: unknown optional part \"monitring\"; expected one of monitoring, pages; did you mean \"monitoring\"?",
            ],
        ),
        (
            "part of another engine",
            dev("with = ['monitoring', 'pages']\n"),
            &[
                "dev.toml:3:8: with: nothing of \"pages\" runs with engine = \"process\"; expected engine = \"compose\", or without it",
            ],
        ),
        (
            "no such gate",
            dev("requires = ['tests', 'tsets']\n"),
            &[
                "dev.toml:3:12: requires: unknown gate \"tsets\"; expected one of tests, smoke; did you mean \"tests\"?",
            ],
        ),
        ("duplicate key", dev("tier = 'staging'"), &["dev.toml:3:1: duplicate key; expected each key once"]),
        (
            "another name than the file's",
            dev("name = 'staging'"),
            &[
                "dev.toml:3:8: name: \"staging\" in dev.toml; expected \"dev\", the name of the file, or no name",
            ],
        ),
        (
            "explicit ports twice",
            dev("ports.node-red = { flows = 1880, ready = 1881 }\nports.postgres.sql = 1880"),
            &[
                "dev.toml:4:22: ports.postgres.sql: 1880 is already the port of node-red.flows; expected another port for each",
            ],
        ),
        (
            "a public address in development",
            dev("listen.address = '0.0.0.0'"),
            &[
                "dev.toml:3:1: listen: set in development; expected listen only in staging and production; remove the table",
            ],
        ),
        (
            "explicit ports elsewhere",
            "tier = 'development'\nengine = 'compose'\nports.postgres.sql = 1880".to_owned(),
            &[
                "dev.toml:3:1: ports: set on the compose engine; expected explicit ports only in development on the process \
               engine; remove the table",
            ],
        ),
        (
            "too many hosts",
            dev("hosts = [{ name = 'a', address = '10.0.0.1' }, { name = 'a', address = '10.0.0.1' }]"),
            &[
                "dev.toml:3:1: hosts: 2 hosts are given; expected at most one on the process engine; compose and \
                 kubernetes use others",
                "dev.toml:3:57: hosts[1].name: \"a\" is already the name of hosts[0]; expected another name for each host",
                "dev.toml:3:72: hosts[1].address: \"10.0.0.1\" is already the address of hosts[0]; expected another address \
                 for each host",
            ],
        ),
        (
            "hosts without their parts",
            dev("[[hosts]]\nname = 'a'\n[[hosts]]\naddress = '10.0.0.1'"),
            &[
                "dev.toml:3:1: missing hosts[0].address; expected an IP address or a DNS name (the host's address)",
                "dev.toml:3:3: hosts: 2 hosts are given; expected at most one on the process engine; compose and \
                 kubernetes use others",
                "dev.toml:5:1: missing hosts[1].name; expected lower-case letters, digits and dashes, beginning with a \
                 letter (the host's name. Without any host, development runs on this machine)",
            ],
        ),
        (
            "replicas",
            dev("sizes.postgres.replicas = 2\nsizes.node-red.replicas = 3"),
            &[
                "dev.toml:3:27: sizes.postgres.replicas: postgres does not scale; expected replicas only for node-red",
            ],
        ),
        (
            "tls both ways",
            dev("[tls]\nacme_contact = 'a@b.c'\nkey_file = 'k'"),
            &["dev.toml:3:2: tls: an ACME contact and files at once; expected either tls.acme_contact, or \
               tls.certificate_file and tls.key_file"],
        ),
        (
            "half a pair",
            dev("tls.key_file = 'k'"),
            &[
                "dev.toml:3:16: tls.key_file: without its certificate; expected both tls.certificate_file and tls.key_file",
            ],
        ),
        (
            "ACME for localhost",
            dev("tls.acme_contact = 'a@b.c'"),
            &[
                "dev.toml:3:20: tls.acme_contact: no authority certifies \"localhost\"; expected a domain that the authority \
               can reach, or no tls",
            ],
        ),
    ];
    for (what, text, expected) in table {
        assert_eq!(problems("dev", text), *expected, "{what}:\n{text}");
    }
}

#[test]
fn production_and_staging_are_strict() {
    good("production", PRODUCTION);
    let table: &[(&str, String, &[&str])] = &[
        ("process", production("'compose'", "'process'"), &["2:10: engine: process cannot run production"]),
        (
            "kubernetes on one host",
            production("'compose'", "'kubernetes'"),
            &["4:1: hosts: one host is given"],
        ),
        (
            "no host",
            production("hosts = [{ name = 'one', address = '10.0.0.1' }]", ""),
            &["1:1: hosts: no host is given"],
        ),
        (
            "no domain",
            production("domain = 'flowship.example.com'\n", ""),
            &["1:1: missing domain, which production must"],
        ),
        (
            "a local domain",
            production("flowship.example.com", "localhost"),
            &["3:10: domain: \"localhost\" in production", "17:16: tls.acme_contact: no authority certifies"],
        ),
        (
            "no backups",
            production("backups_days = 35", "backups_days = 0"),
            &["11:16: retention.backups_days: production without backups"],
        ),
        (
            "backups not mentioned",
            production("backups_days = 35", ""),
            &["8:2: missing retention.backups_days, which"],
        ),
        (
            "its key unencrypted",
            production("https://", "http://"),
            &["13:12: llm.base_url: production would send"],
        ),
        (
            "ports",
            production("[tls]", "[ports]\nnode-red.flows = 1\n[tls]"),
            &["16:2: ports: set in production"],
        ),
        (
            "one port for both",
            production("[tls]", "[listen]\naddress = '0.0.0.0'\nhttp = 443\n[tls]"),
            &["18:8: listen.http: 443 is the port of both"],
        ),
        (
            "a port without its address",
            production("[tls]", "[listen]\nhttps = 8443\n[tls]"),
            &["16:2: missing listen.address, which [listen] must have"],
        ),
        (
            "whom to let in",
            production("[tls]", "[firewall]\nssh_port = 22\n[tls]"),
            &["16:2: missing firewall.ssh_from, which [firewall] must have"],
        ),
        (
            "nobody to let in",
            production("[tls]", "[firewall]\nssh_from = []\n[tls]"),
            &[
                "17:12: firewall.ssh_from: found an empty array; expected an array, not empty, each of it an IP",
            ],
        ),
        (
            "a network by another address",
            production("[tls]", "[firewall]\nssh_from = ['192.0.2.0/24', '192.0.2.1/24']\n[tls]"),
            &["17:12: firewall.ssh_from: \"192.0.2.1/24\"; expected an array"],
        ),
        (
            "egress of what stays inside",
            production("[tls]", "[egress]\npostgres = ['a.example.com:443']\n[tls]"),
            &[
                "17:12: egress.postgres: postgres connects to nothing outside; expected egress only for node-red",
            ],
        ),
        (
            "one replica",
            production("[tls]", "[sizes]\nnode-red.replicas = 1\n[tls]"),
            &["17:21: sizes.node-red.replicas: one replica in production"],
        ),
        (
            "no tls",
            production("[tls]\nacme_contact = 'platform@example.com'", ""),
            &["1:1: missing tls, which production"],
        ),
        (
            "bare",
            "tier = 'production'\nengine = 'process'\n".to_owned(),
            &[
                "1:1: missing contacts, which production must set; expected a table [contacts] with on_call, email",
                "1:1: missing domain, which production must set",
                "1:1: missing llm, which production must set; expected a table [llm] with base_url, model, api_key_file",
                "1:1: missing retention, which production must set; expected a table [retention] with logs_days, \
             metrics_days, backups_days",
                "1:1: missing tls, which production must set",
                "2:10: engine: process cannot run production",
            ],
        ),
        (
            "the stand-in in staging",
            "tier = 'staging'\nengine = 'process'\ndomain = 'localhost'\n".to_owned(),
            &["1:1: missing llm, which staging must set"],
        ),
    ];
    for (what, text, expected) in table {
        let found = problems("x", text);
        assert_eq!(found.len(), expected.len(), "{what}: {found:#?}");
        for (found, expected) in found.iter().zip(*expected) {
            assert!(found.starts_with(&format!("x.toml:{expected}")), "{what}: {found}");
        }
    }
}

#[test]
fn all_problems_of_all_files_come_at_once() {
    let files = [
        file("dev", "tier = 1\nengine = 2\n"),
        file("Staging", DEVELOPMENT),
        SiteFile { path: "e/latin.toml".to_owned(), bytes: b"tier = '\xe4'".to_vec() },
        file("fine", DEVELOPMENT),
    ];
    let found: Vec<(String, usize, usize)> = judge(&files, &known())
        .unwrap_err()
        .into_iter()
        .map(|found| (found.place.file, found.place.line, found.place.column))
        .collect();
    let place = |file: &str, line, column| (file.to_owned(), line, column);
    assert_eq!(
        found,
        [
            place("e/dev.toml", 1, 8),
            place("e/dev.toml", 2, 10),
            place("e/Staging.toml", 1, 1),
            place("e/latin.toml", 1, 9)
        ]
    );
}

/// Whatever is cut off or put in, reading ends with an environment or with problems inside the file.
#[test]
fn damaged_files_never_panic() {
    for at in (0..PRODUCTION.len()).filter(|&at| PRODUCTION.is_char_boundary(at)) {
        for damaged in [
            PRODUCTION[..at].to_owned(),
            PRODUCTION[at..].to_owned(),
            format!("{}[[{}", &PRODUCTION[..at], &PRODUCTION[at..]),
            format!("{}'ä\n{}", &PRODUCTION[..at], &PRODUCTION[at..]),
        ] {
            let lines = damaged.matches('\n').count() + 1;
            for problem in judge(&[file("production", &damaged)], &known()).err().unwrap_or_default() {
                assert!((1..=lines).contains(&problem.place.line), "{problem}\n{damaged}");
            }
        }
    }
}
