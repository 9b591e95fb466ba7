//! What a platform is: services, ports, edges, secrets, metrics, alerts, gates and smoke checks, and the
//! invariants that hold between them ([`Platform::validate`]).
//!
//! A [`Platform`] can be read back from its own serialisation, so that it can be had with one value left out.

mod access;
mod alert;
mod architecture;
mod container;
mod dashboard;
mod edge;
pub mod environment;
pub mod expression;
mod gate;
mod health;
mod image;
mod label;
mod llm;
mod metric;
mod names;
mod operation;
mod platform;
mod port;
mod process;
mod queue;
mod resources;
mod review;
mod roles;
mod secret;
mod service;
mod smoke;
pub mod topology;
mod unit;
mod validate;
mod value;

pub use access::{Approval, Dashboards, EditorAccess, Role, SecretRight};
pub use alert::{
    Alert, Check, DiskState, Expected, Fault, Recording, RuleTest, Samples, Series, Severity, TestKind,
};
pub use architecture::Architecture;
pub use container::{
    CheckTimes, ConfigurationFile, Container, ContainerPolicy, Draining, EdgePolicy, Folder, ImageLimits,
    Probe, Scratch, Shape, Storage, User,
};
pub use dashboard::{Dashboard, DisplayUnit, Panel, Query};
pub use edge::{Destination, Edge, Need, Scrape};
pub use gate::{
    Evidence, Gate, GateCommand, GateGroup, PlantedArgument, PlantedFault, PlantedFile, Proof, Reads,
    Requirement, Sarif,
};
pub use health::Health;
pub use image::Image;
pub use label::Label;
pub use llm::LlmEndpoint;
pub use metric::{
    DEPLOYS_TOTAL, Metric, MetricKind, SECRET_DUE, command_metrics, deploy_metrics, secret_metrics,
};
pub use names::{Group, MetricRef, PortRef, SecretRef, ServiceId, VolumeRef};
pub use operation::Operation;
pub use platform::Platform;
pub use port::{Exposure, Port, Protocol};
pub use process::{Command, Identity, Initialise, OnChange, Process, Reaction};
pub use queue::QueuePolicy;
pub use resources::Resources;
pub use review::{ChangeClass, Review};
pub use roles::{
    Action, Contract, Database, LogStore, Monitoring, ReleasePolicy, SecretStore, Viewer, Workers,
};
pub use secret::{Secret, SecretKind, SecretSource, SecretUse};
pub use service::{Lifetime, Service, Stop, Volume};
pub use smoke::{Predicate, RouteRule, SmokeCheck, SmokeStep, SmokeSuite, Test};
pub use unit::{Replica, Unit};
pub use value::{Fact, Value, Variable};
