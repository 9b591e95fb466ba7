//! Smoke checks: what a platform proves of itself after each change.

use serde::{Deserialize, Serialize};

use super::ServiceId;

/// The checks of one run, always all, always in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub struct SmokeSuite {
    pub checks: Vec<SmokeCheck>,
    /// Milliseconds after which a check that has not answered has failed.
    pub check_limit_ms: u32,
    /// Milliseconds after which the caller gives the whole run up.
    pub run_limit_ms: u32,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmokeCheck {
    /// Lower-case words joined by underscores.
    pub name: &'static str,
    pub purpose: &'static str,
    /// The services without which it fails.
    pub relies_on: Vec<ServiceId>,
    /// Done one after the other; an error in one fails the check.
    pub steps: Vec<SmokeStep>,
    /// What must hold of the message afterwards.
    pub expects: Vec<Predicate>,
    /// The property of the message that is reported as the check's detail.
    pub detail: &'static str,
}

/// One thing that a check does. `title` is what people see in the editor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmokeStep {
    /// `parameters` are properties of the message.
    Query {
        title: &'static str,
        sql: &'static str,
        parameters: Vec<&'static str>,
    },
    AskModel {
        title: &'static str,
        prompt: &'static str,
        tokens: u16,
        limit_ms: u32,
        retries: u8,
    },
    /// Through the queue that this run makes for itself and removes.
    SendAndTakeJob {
        title: &'static str,
    },
    /// Replaces the payload by this JSON.
    SetPayload {
        title: &'static str,
        json: &'static str,
    },
    /// `leaves_by` is the output by which the message must leave; none is the fallback.
    Route {
        title: &'static str,
        rules: Vec<RouteRule>,
        leaves_by: Option<&'static str>,
    },
    /// With the payload as its arguments.
    CallTool {
        title: &'static str,
        tool: &'static str,
        limit_ms: u32,
    },
    /// Over HTTP through this replica's own API; `input` is JSON.
    TaskThroughApi {
        title: &'static str,
        workflow: &'static str,
        input: &'static str,
    },
}

/// A message for which the condition holds leaves by the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRule {
    pub condition: Predicate,
    pub output: &'static str,
}

/// Something that holds of a message, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicate {
    /// Path into the message, such as `payload.status`.
    pub property: &'static str,
    pub test: Test,
}

/// How a property is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    Equals(&'static str),
    /// The same as another property.
    EqualsProperty(&'static str),
    Above(u32),
    Exists,
    Missing,
}
