//! `ops/monitoring/otel-collector.yaml`: how the collector reads the services' log files and sends their lines to the log store.
//!
//! One file for every environment: what differs is in variables of the collector. No line is lost: the receiver tells a
//! file's position only after the store has answered (no queue between them, and it tries without end), and the extension
//! `saved_positions` (ops/ci/tools/otel-collector) writes a position only after the store has saved what was read. Its other
//! extension, `served_certificate`, has metrics of the certificate that the edge presents.

use vocabulary::formats::yaml::{Yaml, write};
use vocabulary::model::{Fact, Health, LogStore, Platform, PortRef, Service, Value, VolumeRef};
use vocabulary::problem::Problem;

use crate::artifact::{Artifact, Committed, Made, banner};

pub const FAMILY: Committed = Committed {
    name: "log-collector",
    what: "ops/monitoring/otel-collector.yaml: the configuration of the log collector",
    source: file!(),
    make: generate,
};

/// Of the log store's fields, those that tell lines of a stream from others: few values each.
const STREAM: [&str; 2] = ["component", "environment"];
/// Fields that the store indexes besides the labels. The whole line is the message.
const FIELDS: [&str; 3] = ["level", "start", "seq"];
/// Three times as long as the store keeps lines in memory alone.
const SETTLE: &str = "15s";
const MAX_LINE: &str = "1MiB";

fn generate(platform: &Platform) -> Made {
    let Some(store) = platform.log_store else { return Ok(vec![]) };
    let collector = platform
        .service(store.collector)
        .ok_or_else(|| vec![Problem::new("log_store", format!("there is no service {}", store.collector))])?;
    let document = document(platform, &store, collector).map_err(|problem| vec![problem])?;
    let mut header = banner(file!());
    header.push("The variables are those of the collector's service.".to_owned());
    Ok(vec![Artifact::file(LogStore::CONFIGURATION, write(&header, &document))])
}

fn document(platform: &Platform, store: &LogStore, collector: &Service) -> Result<Yaml, Problem> {
    let variable = |value: &Value| collector.variable(value).map(|name| format!("${{env:{name}}}"));
    let logs = variable(&Value::Fact(Fact::LogFolder))?;
    let url = variable(&Value::Url { port: store.api, path: "" })?;
    let edge = variable(&Value::Url { port: platform.edge.https, path: "" })?;
    let positions =
        collector.volumes.first().map(|volume| VolumeRef { service: collector.id, name: volume.name });
    let positions = positions.ok_or_else(|| {
        Problem::new(collector.id.to_string(), "has no volume; give it one for how far it has read")
    })?;
    let positions = variable(&Value::Folder(positions))?;
    let Some(Health::Http { port, path }) = &collector.health else {
        return Err(Problem::new(collector.id.to_string(), "has no health over HTTP; give it one"));
    };
    let health = format!("{}:{}", variable(&Value::BindAddress(*port))?, variable(&Value::BindPort(*port))?);
    let own = collector.ports.iter().find(|own| own.name != port.name).ok_or_else(|| {
        Problem::new(
            collector.id.to_string(),
            "has no port of its metrics; give it one beside that of its health",
        )
    })?;
    let own = PortRef { service: collector.id, name: own.name };
    let reader = Yaml::mapping([
        ("host", Yaml::Text(variable(&Value::BindAddress(own))?)),
        ("port", Yaml::Text(variable(&Value::BindPort(own))?)),
    ]);
    let reader = ["prometheus", "exporter", "pull"]
        .into_iter()
        .fold(reader, |inner, name| Yaml::mapping([(name, inner)]));
    let texts = |texts: Vec<String>| Yaml::Sequence(texts.into_iter().map(Yaml::Text).collect());
    let text = |text: &str| Yaml::text(text);
    let attribute = |name: &str| format!("attributes.{name}");
    let kept = platform.labels.iter().map(|label| label.name).chain(FIELDS).map(attribute).collect();
    let parser = Yaml::mapping([
        ("type", text("json_parser")),
        (
            "timestamp",
            Yaml::mapping([
                ("parse_from", Yaml::Text(attribute("time"))),
                ("layout_type", text("gotime")),
                ("layout", text("2006-01-02T15:04:05.999999999Z07:00")),
            ]),
        ),
        ("severity", Yaml::mapping([("parse_from", Yaml::Text(attribute("level")))])),
        ("on_error", text("send_quiet")),
    ]);
    let retain = Yaml::mapping([("type", text("retain")), ("fields", texts(kept))]);
    Ok(Yaml::mapping([
        (
            "receivers",
            Yaml::mapping([(
                "file_log",
                Yaml::mapping([
                    ("include", texts(vec![format!("{logs}/*.log"), format!("{logs}/*.log.*")])),
                    ("include_file_name", Yaml::Boolean(false)),
                    ("start_at", text("beginning")),
                    ("max_log_size", text(MAX_LINE)),
                    ("storage", text("saved_positions")),
                    ("operators", Yaml::Sequence(vec![parser, retain])),
                ]),
            )]),
        ),
        (
            "exporters",
            Yaml::mapping([(
                "otlp_http",
                Yaml::mapping([
                    ("logs_endpoint", Yaml::Text(format!("{url}/insert/opentelemetry/v1/logs"))),
                    ("headers", Yaml::mapping([("VL-Stream-Fields", Yaml::Text(STREAM.join(",")))])),
                    ("sending_queue", Yaml::mapping([("enabled", Yaml::Boolean(false))])),
                    (
                        "retry_on_failure",
                        Yaml::mapping([
                            ("enabled", Yaml::Boolean(true)),
                            ("initial_interval", text("200ms")),
                            ("max_interval", text("5s")),
                            ("max_elapsed_time", text("0s")),
                        ]),
                    ),
                ]),
            )]),
        ),
        (
            "extensions",
            Yaml::mapping([
                ("served_certificate", Yaml::mapping([("url", Yaml::Text(edge))])),
                (
                    "saved_positions",
                    Yaml::mapping([
                        ("directory", Yaml::Text(positions)),
                        ("metrics", Yaml::Text(format!("{url}/metrics"))),
                        ("settle", text(SETTLE)),
                    ]),
                ),
                ("health_check", Yaml::mapping([("endpoint", Yaml::Text(health)), ("path", text(path))])),
            ]),
        ),
        (
            "service",
            Yaml::mapping([
                (
                    "extensions",
                    texts(vec!["served_certificate".into(), "saved_positions".into(), "health_check".into()]),
                ),
                (
                    "telemetry",
                    Yaml::mapping([
                        (
                            "logs",
                            Yaml::mapping([
                                ("encoding", text("json")),
                                ("output_paths", texts(vec!["stdout".into()])),
                                ("error_output_paths", texts(vec!["stdout".into()])),
                            ]),
                        ),
                        (
                            "metrics",
                            Yaml::mapping([
                                ("level", text("basic")),
                                ("readers", Yaml::Sequence(vec![reader])),
                            ]),
                        ),
                    ]),
                ),
                (
                    "pipelines",
                    Yaml::mapping([(
                        "logs",
                        Yaml::mapping([
                            ("receivers", texts(vec!["file_log".into()])),
                            ("exporters", texts(vec!["otlp_http".into()])),
                        ]),
                    )]),
                ),
            ]),
        ),
    ]))
}
