//! Typed names. Each is declared once, as a constant beside what it names; a reference to something that has
//! no constant does not compile, and a constant that nothing defines is found by `validate`.

use std::fmt;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A service's name: lower-case letters, digits and hyphens (RFC 1123 label), at most 40 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub &'static str);

/// One port of one service, written `service.port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRef {
    pub service: ServiceId,
    pub name: &'static str,
}

/// A secret's name: lower-case words joined by hyphens. It is the file name under which the secret is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretRef(pub &'static str);

/// A metric's name as Prometheus sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricRef(pub &'static str);

/// An optional part of a platform: services that run where an environment asks for it. Lower-case words joined by hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(pub &'static str);

/// One data folder of one service, written `service/volume`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeRef {
    pub service: ServiceId,
    pub name: &'static str,
}

impl fmt::Display for ServiceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl fmt::Display for PortRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.service, self.name)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl fmt::Display for MetricRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl fmt::Display for VolumeRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.service, self.name)
    }
}

macro_rules! serialize_as_shown {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

serialize_as_shown!(ServiceId, PortRef, SecretRef, MetricRef, VolumeRef, Group);

/// The parts of a name as it is shown, `left` and `right` of the mark.
fn parts<'de: 'static, D: Deserializer<'de>>(
    deserializer: D,
    mark: char,
    shape: &'static str,
) -> Result<(ServiceId, &'static str), D::Error> {
    let text = <&'static str>::deserialize(deserializer)?;
    let (service, name) =
        text.split_once(mark).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(text), &shape))?;
    Ok((ServiceId(service), name))
}

impl<'de: 'static> Deserialize<'de> for PortRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parts(deserializer, '.', "service.port").map(|(service, name)| Self { service, name })
    }
}

impl<'de: 'static> Deserialize<'de> for VolumeRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parts(deserializer, '/', "service/volume").map(|(service, name)| Self { service, name })
    }
}

macro_rules! deserialize_text {
    ($($name:ident),*) => {$(
        impl<'de: 'static> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <&'static str>::deserialize(deserializer).map(Self)
            }
        }
    )*};
}

deserialize_text!(ServiceId, SecretRef, MetricRef, Group);
