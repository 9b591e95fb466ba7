//! A certificate from an ACME authority: a real one, which the edge asks by itself.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::restart::free;
use super::site::{Edge, Site};
use crate::load::{Ended, Load};
use crate::{until, web};

const FILE: &str = "ops/environments/qa.toml";
const DOMAIN: &str = "flows.example.com";

/// Pebble, and the DNS server that it asks. Dropping it ends both.
struct Authority {
    children: [Child; 2],
    folder: PathBuf,
    directory: u16,
    management: u16,
    names: u16,
}

impl Authority {
    /// It asks for its challenges on this port.
    fn start(site: &Site, http: u16) -> Self {
        let folder = site.path("authority");
        fs::create_dir(&folder).unwrap();
        let found = site.done(&["doctor", "--install", "pebble", "--json"]).json();
        let pebble = found.as_array().unwrap().iter().find(|one| one["program"] == "pebble").unwrap();
        let pebble = PathBuf::from(pebble["path"].as_str().unwrap());
        // HAProxy compares an address with names only.
        let names = "subjectAltName=DNS:127.0.0.1,IP:127.0.0.1";
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-subj", "/CN=127.0.0.1", "-addext", names, "-keyout", "server.key", "-out", "server.pem"])
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:#?}");
        let (directory, management, dns, names) = (free(), free(), free(), free());
        let settings = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{directory}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": "server.pem",
            "privateKey": "server.key",
            "httpPort": http,
            "tlsPort": 1,
        } });
        fs::write(folder.join("pebble.json"), settings.to_string()).unwrap();
        let mut server = Command::new(pebble.with_file_name("pebble-challtestsrv"));
        let none = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", ""];
        server.args(none).args(["-dnsserver", &format!("127.0.0.1:{dns}")]);
        server.args(["-management", &format!("127.0.0.1:{names}")]);
        let mut authority = Command::new(pebble);
        authority.args(["-config", "pebble.json", "-dnsserver", &format!("127.0.0.1:{dns}")]);
        // It waits at random, and refuses sound requests at random.
        authority.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0");
        let begin = |mut command: Command, log: &str| {
            let log = fs::File::create(folder.join(log)).unwrap();
            command.current_dir(&folder).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            command.spawn().unwrap()
        };
        let children = [begin(server, "names.log"), begin(authority, "pebble.log")];
        let started = Self { children, folder, directory, management, names };
        until("the authority answers", || {
            web::ask_with(&web::unchecked(), "GET", &started.root(), None, None)
        });
        started
    }

    fn root(&self) -> String {
        format!("https://127.0.0.1:{}/roots/0", self.management)
    }

    /// Where all names lead.
    fn leads_to(&self, address: &str) {
        let url = format!("http://127.0.0.1:{}/set-default-ipv4", self.names);
        let body = json!({ "ip": address }).to_string();
        until("names lead elsewhere", || {
            web::ask("POST", &url, None, Some(&body)).filter(|one| one.status == 200)
        });
    }

    /// The serial number of the certificate that is served, for the right name and with its whole chain.
    fn serial(&self, port: u16) -> String {
        let root = web::ask_with(&web::unchecked(), "GET", &self.root(), None, None).unwrap();
        fs::write(self.folder.join("root.pem"), root.body).unwrap();
        let shown = Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", DOMAIN])
            .args(["-verify_hostname", DOMAIN, "-verify_return_error", "-CAfile", "root.pem"])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(shown.status.success(), "{shown:#?}");
        let file = self.folder.join("served.txt");
        fs::write(&file, shown.stdout).unwrap();
        let said =
            Command::new("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(&file).output().unwrap();
        String::from_utf8(said.stdout).unwrap()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.folder.join("pebble.log")).unwrap_or_default());
        }
    }
}

/// What the edge says to a command.
fn runtime(site: &Site, command: &str) -> String {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    let found = walkdir::WalkDir::new(site.of("qa").join("data"));
    let socket = found.into_iter().flatten().find(|entry| entry.file_name() == "runtime.sock").unwrap();
    let mut stream = UnixStream::connect(socket.path()).unwrap();
    writeln!(stream, "{command}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_edge_fetches_its_certificate_and_keeps_one_that_it_has_renewed() {
    let site = Site::new();
    let (http, https) = (free(), free());
    let authority = Authority::start(&site, http);
    let release = site.package("first", "1.0.0");
    let own = site.read(FILE);
    let listen = format!("\n[listen]\naddress = \"127.0.0.1\"\nhttp = {http}\nhttps = {https}\n");
    let acme = format!(
        "\n[tls]\nacme_contact = \"a@example.com\"\nacme_directory = \"https://127.0.0.1:{}/dir\"\nacme_ca_file = \"{}\"\n",
        authority.directory,
        authority.folder.join("server.pem").display()
    );

    // The authority must be able to ask this machine.
    site.write(FILE, &format!("{own}{acme}"));
    site.ends(2, &site.deploy("qa", &release))
        .says(&["acme_contact under [tls]", "expected a table [listen]"]);
    site.write(FILE, &format!("{own}{listen}"));
    site.done(&site.deploy("qa", &release));

    site.write(FILE, &format!("{own}{listen}{acme}"));
    authority.leads_to("127.0.0.9");
    let before = site.processes("qa");
    let ended = site.ends(1, &site.deploy("qa", &release));
    assert!(ended.out.contains("was rolled back") && ended.out.contains("challenge error"), "{ended:#?}");
    let workers = |all: std::collections::BTreeMap<String, (Value, Value, Value)>| {
        all.into_iter().filter(|(name, _)| name.starts_with("node-red")).collect::<Vec<_>>()
    };
    assert_eq!(workers(site.processes("qa")), workers(before));

    authority.leads_to("127.0.0.1");
    site.done(&site.deploy("qa", &release));
    let fetched = authority.serial(https);
    let smoke = site.done(&["smoke", "qa"]);
    assert!(smoke.out.contains("6 of 6 checks passed"), "{smoke:#?}");

    // Read again, it is the same; the edge serves while it fetches the next one.
    let edge = Edge { certificate: String::new(), ..site.edge("qa") };
    let load = Load::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            load.send(|| {
                let url = format!("{}/api/v1/queues", edge.url);
                let answer = web::ask_with(&web::unchecked(), "GET", &url, Some(&edge.key), None);
                answer.filter(|answer| answer.status == 200).map(|_| ()).ok_or_else(|| "no answer".to_owned())
            });
        });
        let _ended = Ended(&load.ended);
        site.write(FILE, &format!("{own}{listen}{acme}\n[sizes]\nnode-red.replicas = 3\n"));
        site.done(&site.deploy("qa", &release)).says(&["reads its new configuration"]);
        assert_eq!(authority.serial(https), fetched);
        runtime(&site, &format!("acme renew {}", site.of("qa").join("secrets/edge-tls-pem").display()));
        until("it is renewed", || (authority.serial(https) != fetched).then_some(()));
        load.goes_on(20);
    });
    let failed = load.failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), load.sent.into_inner());
    let renewed = authority.serial(https);
    site.done(&["down", "qa"]);
    site.done(&["start", "qa"]);
    assert_eq!(authority.serial(https), renewed);
    let audit = site.run(&["secrets", "audit", "qa", "--json"]).json();
    let row = audit.as_array().unwrap().iter().find(|one| one["name"] == "edge-tls-pem").unwrap();
    assert_eq!(row["problem"], Value::Null, "{row:#}");
}
