//! The commands as users run them, on small trees of their own: the quick tests, by which coverage is measured.

mod architecture;
mod as_workflow;
mod compliance;
mod containers;
mod dashboards;
mod deployed;
mod edge;
mod environments;
mod firewall;
mod flow_gate;
#[path = "../fixtures/free_ports.rs"]
mod free_ports;
mod generate;
#[allow(dead_code, reason = "each binary reads its part")]
#[path = "../fixtures/hostile.rs"]
mod hostile;
mod measures;
mod monitoring;
#[path = "../fixtures/namespaces.rs"]
mod namespaces;
mod people;
mod review;
mod second_platform;
mod secret_policies;
mod selection;
mod supervisor;
mod systemd;
mod tools;
