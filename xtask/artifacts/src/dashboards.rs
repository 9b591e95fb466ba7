//! `ops/monitoring/dashboards`: the dashboards of Grafana, which asks for its source of metrics when they are imported. And what
//! an environment's own Grafana reads.

use serde_json::{Value, json};
use vocabulary::formats::json::pretty;
use vocabulary::model::{Dashboard, Panel, Platform, Viewer};

use super::artifact::{Artifact, Committed, Made};

pub const FAMILY: Committed = Committed {
    name: "dashboards",
    what: "ops/monitoring/dashboards: the dashboards of Grafana",
    source: file!(),
    make: generate,
};

pub const FOLDER: &str = "ops/monitoring/dashboards";

/// The version of the schema that the judge knows.
const SCHEMA: u32 = 42;
/// Of a panel, in units of the grid, which is 24 wide.
const WIDTH: usize = 12;
const HEIGHT: usize = 8;

fn generate(platform: &Platform) -> Made {
    let file = |dashboard: &Dashboard| {
        Artifact::file(format!("{FOLDER}/{}.json", dashboard.id), pretty(&page(platform, dashboard), 2))
    };
    Ok(platform.dashboards.iter().map(file).collect())
}

/// What Grafana reads in its configuration's folder, which it finds at `folder`: paths below it, and texts. The dashboards
/// choose a source of the type Prometheus by themselves, and this is the only one. JSON is YAML too.
///
/// <https://grafana.com/docs/grafana/v13.1/administration/provisioning/>
#[must_use]
pub fn provisioned(platform: &Platform, folder: &str) -> Vec<(String, String)> {
    let source = json!({ "apiVersion": 1, "prune": true, "datasources": [{
        "name": "Prometheus", "uid": format!("{}-metrics", platform.name), "type": "prometheus", "access": "proxy",
        "url": format!("${}", Viewer::SOURCE), "isDefault": true, "editable": false, "jsonData": { "httpMethod": "POST" },
    }] });
    let pages = json!({ "apiVersion": 1, "providers": [{
        "name": platform.name, "type": "file", "disableDeletion": false, "allowUiUpdates": false,
        "options": { "path": format!("{folder}/pages") },
    }] });
    let page = |one: &Dashboard| (format!("pages/{}.json", one.id), pretty(&page(platform, one), 2));
    [("datasources", source), ("dashboards", pages)]
        .into_iter()
        .map(|(kind, value)| (format!("provisioning/{kind}/{kind}.yaml"), pretty(&value, 2)))
        .chain(platform.dashboards.iter().map(page))
        .collect()
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${source}" })
}

fn page(platform: &Platform, dashboard: &Dashboard) -> Value {
    let panels: Vec<_> = dashboard.panels.iter().enumerate().map(|(at, one)| panel(at, one)).collect();
    json!({
        "uid": format!("{}-{}", platform.name, dashboard.id),
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": [platform.name],
        "schemaVersion": SCHEMA,
        "editable": false,
        "time": { "from": "now-6h", "to": "now" },
        "refresh": "30s",
        "annotations": { "list": [] },
        "templating": { "list": [
            { "name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus" }
        ] },
        "panels": panels,
    })
}

fn panel(at: usize, panel: &Panel) -> Value {
    let query = |(at, query): (usize, &vocabulary::model::Query)| {
        json!({
            "refId": char::from(b'A' + u8::try_from(at).unwrap_or(25).min(25)).to_string(),
            "datasource": source(),
            "expr": query.expression,
            "legendFormat": query.legend,
        })
    };
    let place = json!({
        "h": HEIGHT, "w": WIDTH, "x": at % (24 / WIDTH) * WIDTH, "y": at / (24 / WIDTH) * HEIGHT
    });
    json!({
        "id": at + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "gridPos": place,
        "datasource": source(),
        "fieldConfig": {
            "defaults": { "unit": panel.unit.grafana(), "custom": { "fillOpacity": 10, "showPoints": "never" } },
            "overrides": [],
        },
        "options": {
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
            "tooltip": { "mode": "multi", "sort": "desc" },
        },
        "targets": panel.queries.iter().enumerate().map(query).collect::<Vec<_>>(),
    })
}
