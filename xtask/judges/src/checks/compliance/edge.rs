//! Rows on the edge: HAProxy's configuration.

use super::haproxy::{self, Section};
use super::row::{Inspection, Place, Row, Source, Subject, Verdict};
use super::tree::Tree;

pub fn rows() -> Vec<Row> {
    let row = |id, what, sources, judge| Row {
        id,
        what,
        sources,
        subject: Subject::Edge,
        also: &["containers"],
        judge,
    };
    vec![
        row(
            "E1",
            "TLS 1.2 or newer with sound ciphers alone, HSTS for two years, and nothing routed in clear text",
            &[Source::MozillaTls],
            tls,
        ),
        row(
            "E2",
            "whoever sends slowly, much or often is limited: times, connections, body, streams of a connection, requests \
             of an address",
            &[Source::EnvoyEdge],
            limits,
        ),
    ]
}

const NONE: &str = "configuration of HAProxy that serves TLS in ops/edge";
/// What Mozilla's profile "intermediate" (5.7) names for TLS 1.2.
const CIPHERS: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-CHACHA20-POLY1305",
];
/// Two years, as the profile has it.
const HSTS_SECONDS: u64 = 63_072_000;
/// Streams of one connection, as Envoy's guide has it.
const STREAMS: u32 = 100;

/// Each file, as its sections.
fn configurations(tree: &Tree) -> Vec<Vec<Section>> {
    tree.paths()
        .filter(|path| path.starts_with("ops/edge/") && path.ends_with(".cfg"))
        .map(|path| haproxy::read(path, &tree.text(path).unwrap_or_default()))
        .collect()
}

fn of_kind<'a>(sections: &'a [Section], kinds: &'a [&str]) -> impl Iterator<Item = &'a Section> {
    sections.iter().filter(move |section| kinds.contains(&section.kind.as_str()))
}

fn serves_tls(section: &Section) -> bool {
    section.all(&["bind"]).any(|bind| bind.has("ssl"))
}

/// Whether requests go on to servers from here.
fn routes(section: &Section) -> bool {
    ["default_backend", "use_backend", "server"].iter().any(|word| section.last(&[word]).is_some())
}

fn first(sections: &[Section]) -> Option<&Place> {
    sections.first().map(|section| &section.place)
}

fn tls(tree: &Tree) -> Verdict {
    let mut look = Inspection::default();
    for sections in configurations(tree) {
        let fronts = || of_kind(&sections, &["frontend", "listen"]);
        let Some(top) = first(&sections).filter(|_| fronts().any(serves_tls)) else { continue };
        let global = of_kind(&sections, &["global"]).next();
        let options = global.and_then(|global| global.last(&["ssl-default-bind-options"]));
        let place = options.map_or(top, |options| &options.place);
        let lowest = options.and_then(|options| options.after("ssl-min-ver"));
        if !lowest.is_some_and(|version| ["TLSv1.2", "TLSv1.3"].contains(&version)) {
            look.find(
                place,
                "versions of TLS are spoken that are broken",
                "give ssl-default-bind-options ssl-min-ver TLSv1.2",
            );
        }
        if !options.is_some_and(|options| options.has("no-tls-tickets")) {
            look.find(
                place,
                "a ticket's key, once lost, opens what was recorded before",
                "give ssl-default-bind-options no-tls-tickets",
            );
        }
        let ciphers = global.and_then(|global| global.last(&["ssl-default-bind-ciphers"]));
        match ciphers.and_then(|line| line.words.get(1)) {
            None if lowest != Some("TLSv1.3") => {
                look.find(
                    top,
                    "the library chooses the ciphers",
                    "give ssl-default-bind-ciphers Mozilla's list",
                );
            }
            Some(list) => {
                for weak in list.split(':').filter(|cipher| !CIPHERS.contains(cipher)) {
                    look.find(
                        ciphers.map_or(top, |line| &line.place),
                        format!("{weak} is not on Mozilla's list"),
                        "leave it out of ssl-default-bind-ciphers",
                    );
                }
            }
            None => {}
        }
        for front in fronts() {
            look.saw();
            for bind in front.all(&["bind"]) {
                for weaker in ["ssl-min-ver", "ciphers", "force-tlsv10", "force-tlsv11", "force-sslv3"] {
                    if bind.has(weaker) && bind.after(weaker) != Some("TLSv1.3") {
                        look.find(
                            &bind.place,
                            format!("{weaker} here says other than for all"),
                            "leave it out",
                        );
                    }
                }
                if !bind.has("ssl") && routes(front) {
                    look.find(
                        &bind.place,
                        format!("{} routes what comes in clear text", front.name),
                        "redirect it: http-request redirect scheme https code 308",
                    );
                }
            }
            if serves_tls(front) && routes(front) && !is_strict(front) {
                look.find(
                    &front.place,
                    format!("browsers may come to {} in clear text next time", front.name),
                    format!("http-response set-header strict-transport-security max-age={HSTS_SECONDS}"),
                );
            }
        }
    }
    look.verdict(NONE)
}

fn is_strict(front: &Section) -> bool {
    let of = |phase: &'static str| front.lines.iter().filter(move |line| line.begins(&[phase, "set-header"]));
    of("http-response").chain(of("http-after-response")).any(|line| {
        let header =
            line.words.get(2).is_some_and(|name| name.eq_ignore_ascii_case("strict-transport-security"));
        let age = line.words.get(3).and_then(|value| {
            value.split(';').find_map(|part| part.trim().strip_prefix("max-age="))?.parse::<u64>().ok()
        });
        header && age.is_some_and(|age| age >= HSTS_SECONDS)
    })
}

fn limits(tree: &Tree) -> Verdict {
    let mut look = Inspection::default();
    for sections in configurations(tree) {
        let fronts = || of_kind(&sections, &["frontend", "listen"]);
        let Some(top) = first(&sections).filter(|_| fronts().any(serves_tls)) else { continue };
        let global = of_kind(&sections, &["global"]).next();
        let number = |name: &str| global?.last(&[name])?.words.get(1)?.parse::<u32>().ok();
        if number("maxconn").is_none_or(|limit| limit == 0) {
            look.find(top, "connections are not limited", "give global a maxconn");
        }
        let h2 = fronts()
            .flat_map(|front| front.all(&["bind"]))
            .any(|bind| bind.after("alpn").is_some_and(|names| names.split(',').any(|name| name == "h2")));
        let streams =
            number("tune.h2.fe.max-concurrent-streams").or(number("tune.h2.max-concurrent-streams"));
        if h2 && streams.is_none_or(|streams| streams > STREAMS) {
            look.find(
                top,
                "a connection may open any number of streams",
                format!("give global tune.h2.max-concurrent-streams {STREAMS} or less"),
            );
        }
        for front in fronts().filter(|front| serves_tls(front) && routes(front)) {
            look.saw();
            front_limits(&mut look, &sections, front);
        }
        for back in of_kind(&sections, &["backend", "listen"]).filter(|back| routes(back)) {
            timeouts(&mut look, &sections, back, &["connect", "server", "queue"]);
        }
    }
    look.verdict(NONE)
}

/// Times that a section does not set, nor the defaults for it.
fn timeouts(look: &mut Inspection, sections: &[Section], section: &Section, names: &[&str]) {
    for name in names {
        let set = |section: &Section| {
            section.last(&["timeout", name]).is_some_and(|line| line.words.get(2).is_some())
        };
        if !set(section) && !of_kind(sections, &["defaults"]).any(set) {
            look.find(
                &section.place,
                format!("{} waits without end: no timeout {name}", section.name),
                format!("give defaults a timeout {name}"),
            );
        }
    }
}

fn front_limits(look: &mut Inspection, sections: &[Section], front: &Section) {
    timeouts(look, sections, front, &["client", "http-request", "http-keep-alive"]);
    let denies = |status: &str, of: &[&str]| {
        front.all(&["http-request", "deny"]).any(|line| {
            line.after("deny_status") == Some(status)
                && line.words.iter().any(|word| of.iter().any(|sample| word.starts_with(sample)))
        })
    };
    if !denies("413", &["req.body_size", "req.hdr_val(content-length)", "req.hdr(content-length)"]) {
        look.find(
            &front.place,
            format!("a body sent to {} may have any size", front.name),
            "http-request deny deny_status 413 if { req.body_size gt LIMIT }",
        );
    }
    let counts = of_kind(sections, &["frontend", "backend", "listen"]).any(|section| {
        section
            .last(&["stick-table"])
            .is_some_and(|table| table.words.iter().any(|word| word.contains("http_req_rate(")))
    });
    let tracks = front.lines.iter().any(|line| {
        line.begins(&["http-request"])
            && line.words.get(1).is_some_and(|word| word.starts_with("track-sc"))
            && line.words.iter().any(|word| word.split(',').next() == Some("src"))
    });
    let refuses =
        denies("429", &["sc_http_req_rate(", "sc0_http_req_rate", "sc1_http_req_rate", "src_http_req_rate"]);
    if !(counts
        && refuses
        && (tracks
            || front
                .lines
                .iter()
                .any(|line| line.words.iter().any(|word| word.starts_with("src_http_req_rate")))))
    {
        look.find(
            &front.place,
            format!("one address may send {} any number of requests", front.name),
            "count them in a stick-table with http_req_rate, track src, and deny with 429",
        );
    }
}
