//! Releases that are deployed to an environment, and what goes wrong.

mod canary;
mod certificate;
mod clock;
mod contract;
mod edge;
mod faults;
mod guide;
mod host;
mod in_flight;
mod monitoring;
mod refused;
mod restart;
mod secrets;
mod settings;
mod site;
mod sizes;
mod story;
mod tools;
