//! Ports that services listen on.

use serde::{Deserialize, Serialize};

/// One port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Unique within its service; with the service's id it makes a [`super::PortRef`].
    pub name: &'static str,
    /// The number inside the service's own network namespace. On the process engine, where all services share
    /// one, the engine assigns another.
    pub number: u16,
    pub protocol: Protocol,
    pub exposure: Exposure,
    pub purpose: &'static str,
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http,
    Https,
    Tcp,
}

impl Protocol {
    /// The word that URLs use.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::Tcp => "tcp",
        }
    }
}

/// Who may reach a port besides the services whose edges lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// Nobody.
    Internal,
    /// An operator, from the host itself.
    Operator,
    /// A developer, from the host itself, and only in development: elsewhere the port is not opened.
    Development,
    /// Everybody.
    Public,
}
