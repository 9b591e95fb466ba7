//! Every pin, one constant each.

use vocabulary::model::Image;

pub const NODE: Image = Image::Pinned {
    reference: "node:24-bookworm-slim",
    digest: "sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d",
};
pub const POSTGRES: Image = Image::Pinned {
    reference: "postgres:18-bookworm",
    digest: "sha256:1961f96e6029a02c3812d7cb329a3b03a3ac2bb067058dec17b0f5596aca9296",
};
pub const HAPROXY: Image = Image::Pinned {
    reference: "haproxy:3.4.5-alpine3.24",
    digest: "sha256:7ffdd3845020aa4c97ffaa56c8cab3ad473ecae0b8ea5e55d2378d663755e092",
};
pub const PROMETHEUS: Image = Image::Pinned {
    reference: "prom/prometheus:v3.13.0",
    digest: "sha256:c6b27ea434f8389bfe233fbc7be381cf50587c286e871bc842008f5a1b1908a7",
};
pub const ALERTMANAGER: Image = Image::Pinned {
    reference: "prom/alertmanager:v0.33.0",
    digest: "sha256:af26fbe4dd1886ac0efd7bd55cd9027da262e105b137a376522b7c14c3626e4a",
};
pub const NODE_EXPORTER: Image = Image::Pinned {
    reference: "prom/node-exporter:v1.11.1",
    digest: "sha256:fbd8062b4529e166e902bd62cd93de2f48b36d50af942620d419657265bc20b1",
};
pub const POSTGRES_EXPORTER: Image = Image::Pinned {
    reference: "prometheuscommunity/postgres-exporter:v0.19.1",
    digest: "sha256:e96064f876226d94bb6ce48a4c4b3dd76edba91168ec1ab024e5c4b959310b0f",
};
pub const GRAFANA: Image = Image::Pinned {
    reference: "grafana/grafana:13.1.0",
    digest: "sha256:121a7a9ece6dc10b969f1f96eed64b4f07dfac0d0b8abc070f7cb83bbde86f63",
};
pub const VICTORIA_LOGS: Image = Image::Pinned {
    reference: "victoriametrics/victoria-logs:v1.52.0",
    digest: "sha256:47b820890d64c4575a2a0a46415dcd8a4fd59a0f1fcd6a377693d7aea639442e",
};
/// What a program of ours that needs nothing runs in.
pub const BUSYBOX: Image = Image::Pinned {
    reference: "busybox:1.37.0-musl",
    digest: "sha256:5cec3fc171c87218698e85a52af7087de727372aae264a787b8112901a5b0092",
};
pub const OPENBAO: Image = Image::Pinned {
    reference: "ghcr.io/openbao/openbao:2.5.3",
    digest: "sha256:fdc6da21ca6963560c32336fd7feb9cf2d5e52668f1a1647205a4b41171f0806",
};
