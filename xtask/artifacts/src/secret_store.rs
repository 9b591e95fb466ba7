//! What the server of the secret store reads when it starts. It is written where the server runs: the places are its engine's.

use serde_json::{Value, json};
use vocabulary::formats::json::pretty;

/// Where the server of an environment is.
#[derive(Debug)]
pub struct Place<'a> {
    /// Host and port that it listens on.
    pub listens: &'a str,
    /// Host and port at which its clients find it.
    pub answers: &'a str,
    /// The folder of what it stores.
    pub data: &'a str,
    /// One PEM file with its certificate and its key.
    pub certificate: &'a str,
    /// Its name in the cluster of which it is the only member.
    pub node: &'a str,
}

/// Raft is the only storage that can take a snapshot of itself. The audit device stands here because `OpenBao` lets nobody add or
/// remove one by its API; what it writes goes where the log goes, every secret hashed.
#[must_use]
pub fn configuration(place: &Place<'_>) -> String {
    let value = json!({
        "ui": false,
        "api_addr": format!("https://{}", place.answers),
        // Nobody else is in the cluster: any port will do.
        "cluster_addr": "https://127.0.0.1:0",
        "storage": { "raft": { "path": place.data, "node_id": place.node } },
        "listener": [{ "tcp": {
            "address": place.listens,
            "cluster_address": "127.0.0.1:0",
            "tls_cert_file": place.certificate,
            "tls_key_file": place.certificate,
            "tls_min_version": "tls13",
            // They hold counts and times, and nothing but this machine reaches the port.
            "telemetry": { "unauthenticated_metrics_access": true },
            // No root token is kept: whoever changes policies makes one with the unseal keys, and revokes it.
            "disable_unauthed_generate_root_endpoints": false,
        } }],
        "telemetry": { "prometheus_retention_time": "5m", "disable_hostname": true },
        "audit": [{ "type": "file", "path": "log", "options": { "file_path": "stdout" } }],
    });
    pretty(&value, 2)
}

/// Host and port at which clients find the server that has this configuration.
#[must_use]
pub fn answers(configuration: &str) -> Option<String> {
    let value: Value = serde_json::from_str(configuration).ok()?;
    Some(value["api_addr"].as_str()?.strip_prefix("https://")?.to_owned())
}
