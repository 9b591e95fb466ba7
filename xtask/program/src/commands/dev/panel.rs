//! What is shown once a platform is up: where everything is, and what to try.

use vocabulary::model::{Port, PortRef, Protocol};

use crate::engines::process::editor_link::editor_link;
use crate::engines::process::instance::{ADDRESS, is_open, socket};
use crate::session::opened::Opened;
use foundation::program_name::PROGRAM;

/// Several lines for people.
pub fn text(opened: &Opened, duration_ms: u64, detached: bool, inspects: bool) -> String {
    let seconds = std::time::Duration::from_millis(duration_ms).as_secs_f64();
    let mut out = format!("\nFlowship {} is up ({seconds:.1} s)\n\n", opened.environment.name);
    let mut row = |name: String, address: String, purpose: &str| {
        out.push_str(&format!("  {name:<26} {address:<28} {purpose}\n"));
    };
    let workers = &opened.platform.workers;
    for unit in opened.units() {
        let open = |port: &&Port| is_open(port.exposure, &opened.environment);
        for port in unit.service.ports.iter().filter(open) {
            if workers.editor == (PortRef { service: unit.service.id, name: port.name }) {
                continue;
            }
            let Some(number) = opened.instance.ports.get(&socket(&unit, port.name)) else { continue };
            let address = match port.protocol {
                Protocol::Tcp => format!("{ADDRESS}:{number}"),
                web => format!("{}://{ADDRESS}:{number}", web.scheme()),
            };
            row(format!("{}.{}", unit.name(), port.name), address, port.purpose);
        }
    }
    let first = opened.units().into_iter().find(|unit| opened.platform.is_worker(unit));
    if let (Some(unit), Some(port)) = (first, opened.debugger(inspects)) {
        let purpose = "the Node.js debugger: chrome://inspect, or \"attach\" in an editor";
        row(format!("{}.inspect", unit.name()), format!("{ADDRESS}:{port}"), purpose);
    }
    for link in editor_links(opened) {
        out.push_str(&format!("\n  editor     {link}\n"));
    }
    let folder = relative(opened, &opened.instance.folder);
    let provider = match &opened.environment.llm {
        Some(llm) => format!("{} at {}", llm.model, llm.base_url),
        None => "the local stand-in; set [llm] in ops/environments to use a real one".to_owned(),
    };
    let key = relative(opened, &opened.instance.secret(workers.api_key));
    let units = opened.units();
    let (api, trust) = match opened.instance.port(opened.platform.edge.https, &units) {
        Some(port) => {
            let pem = relative(opened, &opened.instance.secret(opened.platform.edge.certificate));
            (format!("https://{ADDRESS}:{port}"), format!("--cacert {pem} "))
        }
        None => {
            let port = opened.instance.port(workers.flows, &units).unwrap_or_default();
            (format!("http://{ADDRESS}:{port}"), String::new())
        }
    };
    out.push_str(&format!("\n  model      {provider}\n  state      {folder} (data, secrets, logs)\n"));
    out.push_str(&format!(
        "\n  try        curl {trust}-H \"Authorization: Bearer $(cat {key})\" -H 'Content-Type: application/json' \\\n        \
                \
         -d '{{\"input\":{{\"text\":\"Flowship ships this.\"}}}}' {api}/api/v1/workflows/describe-text/tasks\n"
    ));
    out.push_str(&format!(
        "  check      {PROGRAM} smoke\n  watch      {PROGRAM} status | logs [SERVICE] -f\n"
    ));
    out.push_str(&if detached {
        format!("  stop       {PROGRAM} down\n")
    } else {
        "  stop       Ctrl-C\n\nFlows, nodes and migrations take effect when you save them.\n\n".to_owned()
    });
    out
}

fn editor_links(opened: &Opened) -> Vec<String> {
    let workers = &opened.platform.workers;
    let token = opened.instance.secret(workers.operations_token);
    let ports = opened
        .units()
        .into_iter()
        .filter(|unit| opened.platform.is_worker(unit))
        .filter_map(|unit| opened.instance.ports.get(&socket(&unit, workers.editor.name)).copied());
    ports.map(|port| editor_link(port, &token).unwrap_or_else(|error| format!("{error:#}"))).collect()
}

fn relative(opened: &Opened, path: &std::path::Path) -> String {
    path.strip_prefix(&opened.instance.root).unwrap_or(path).display().to_string()
}
