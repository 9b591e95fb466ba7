//! What people look at: dashboards of Grafana.

use serde::{Deserialize, Serialize};

use crate::model::expression::Expression;

/// One page of panels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dashboard {
    /// Of its file and its address: lower case, with hyphens.
    pub id: &'static str,
    pub title: &'static str,
    /// What one sees there.
    pub about: &'static str,
    pub panels: Vec<Panel>,
}

/// One or several curves over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// Unique on its dashboard.
    pub title: &'static str,
    /// What is good, and what is not.
    pub about: &'static str,
    pub unit: DisplayUnit,
    pub queries: Vec<Query>,
}

/// The series of one expression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Query {
    pub expression: Expression,
    /// What the legend says of each series; `{{label}}` stands for the value of a label.
    pub legend: &'static str,
}

/// How numbers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisplayUnit {
    Number,
    /// Of 1, shown as a percentage.
    Ratio,
    PerSecond,
    Seconds,
    Bytes,
    /// Seconds until it happens; negative afterwards.
    SecondsUntil,
}

impl DisplayUnit {
    /// Its name in Grafana: <https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts>.
    #[must_use]
    pub const fn grafana(self) -> &'static str {
        match self {
            Self::Number => "short",
            Self::Ratio => "percentunit",
            Self::PerSecond => "cps",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::SecondsUntil => "dtdurations",
        }
    }
}

impl Query {
    /// The labels that its legend names.
    pub fn labels(&self) -> impl Iterator<Item = &'static str> {
        self.legend.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0))
    }
}
