//! Expressions of rules as values, with one writer of PromQL and a reader of what it writes: as much of the language as rules
//! need.
//!
//! The language: <https://prometheus.io/docs/prometheus/latest/querying/basics/>.

mod mutants;
mod read;

use std::borrow::Cow;
use std::fmt;
use std::ops;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use mutants::Mutant;
pub use read::labels;

/// An expression. It serialises as PromQL.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    Number(f64),
    /// Seconds since 1970.
    Time,
    /// One series without labels.
    Vector(f64),
    /// The newest samples of these series.
    Select(Selector),
    /// A function of the samples of the last minutes.
    Over(Function, Selector, u32),
    /// 1 where no such series is, nothing where one is.
    Absent(Selector),
    /// The quantile of a classic histogram.
    Quantile(f64, Box<Expression>),
    Aggregate(Aggregation, Vec<&'static str>, Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

/// Series of one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    pub metric: Cow<'static, str>,
    pub matchers: Vec<Matcher>,
}

/// What a label must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matcher {
    pub label: &'static str,
    pub operator: Match,
    /// Without quotation marks and backslashes.
    pub value: &'static str,
}

/// Variants with the words that PromQL has for them.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($variant),* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

words! {
    /// How a label is compared.
    Match { NotMatches = "!~", Not = "!=", Matches = "=~", Is = "=" }
}

words! {
    /// Functions of a range of samples.
    Function { Rate = "rate", Increase = "increase", Changes = "changes", Highest = "max_over_time" }
}

words! {
    /// Functions of several series at one time.
    Aggregation { Sum = "sum", Max = "max", Min = "min", Average = "avg", Count = "count" }
}

words! {
    /// From those that bind least; the reader takes the first that fits.
    Operator {
        Or = "or", And = "and", Unless = "unless",
        Equal = "==", NotEqual = "!=", AtMost = "<=", Below = "<", AtLeast = ">=", Above = ">",
        Add = "+", Subtract = "-", Multiply = "*", Divide = "/",
    }
}

impl Operator {
    /// Higher binds stronger.
    const fn strength(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Equal | Self::NotEqual | Self::AtMost | Self::Below | Self::AtLeast | Self::Above => 3,
            Self::Add | Self::Subtract => 4,
            Self::Multiply | Self::Divide => 5,
        }
    }

    pub const fn is_comparison(self) -> bool {
        self.strength() == 3
    }
}

impl Selector {
    pub fn of(metric: impl Into<Cow<'static, str>>) -> Self {
        Self { metric: metric.into(), matchers: vec![] }
    }

    fn matching(mut self, label: &'static str, operator: Match, value: &'static str) -> Self {
        self.matchers.push(Matcher { label, operator, value });
        self
    }

    pub fn is(self, label: &'static str, value: &'static str) -> Self {
        self.matching(label, Match::Is, value)
    }

    pub fn is_not(self, label: &'static str, value: &'static str) -> Self {
        self.matching(label, Match::Not, value)
    }

    /// The value is an RE2 expression for the whole label.
    pub fn matches(self, label: &'static str, value: &'static str) -> Self {
        self.matching(label, Match::Matches, value)
    }

    /// Per second.
    pub fn rate(self, minutes: u32) -> Expression {
        Expression::Over(Function::Rate, self, minutes)
    }

    pub fn increase(self, minutes: u32) -> Expression {
        Expression::Over(Function::Increase, self, minutes)
    }

    pub fn changes(self, minutes: u32) -> Expression {
        Expression::Over(Function::Changes, self, minutes)
    }

    pub fn absent(self) -> Expression {
        Expression::Absent(self)
    }

    pub fn now(self) -> Expression {
        Expression::Select(self)
    }
}

impl Expression {
    fn aggregate(self, how: Aggregation, by: &[&'static str]) -> Self {
        Self::Aggregate(how, by.to_vec(), Box::new(self))
    }

    pub fn sum(self, by: &[&'static str]) -> Self {
        self.aggregate(Aggregation::Sum, by)
    }

    pub fn max(self, by: &[&'static str]) -> Self {
        self.aggregate(Aggregation::Max, by)
    }

    pub fn min(self, by: &[&'static str]) -> Self {
        self.aggregate(Aggregation::Min, by)
    }

    pub fn average(self, by: &[&'static str]) -> Self {
        self.aggregate(Aggregation::Average, by)
    }

    pub fn count(self, by: &[&'static str]) -> Self {
        self.aggregate(Aggregation::Count, by)
    }

    /// Of rates of buckets, summed by `le` at least.
    pub fn quantile(self, quantile: f64) -> Self {
        Self::Quantile(quantile, Box::new(self))
    }

    fn binary(self, operator: Operator, right: impl Into<Self>) -> Self {
        Self::Binary(operator, Box::new(self), Box::new(right.into()))
    }

    pub fn above(self, right: impl Into<Self>) -> Self {
        self.binary(Operator::Above, right)
    }

    pub fn at_least(self, right: impl Into<Self>) -> Self {
        self.binary(Operator::AtLeast, right)
    }

    pub fn below(self, right: impl Into<Self>) -> Self {
        self.binary(Operator::Below, right)
    }

    pub fn equals(self, right: impl Into<Self>) -> Self {
        self.binary(Operator::Equal, right)
    }

    pub fn and(self, right: impl Into<Self>) -> Self {
        self.binary(Operator::And, right)
    }

    pub fn or(self, right: impl Into<Self>) -> Self {
        self.binary(Operator::Or, right)
    }

    pub fn unless(self, right: impl Into<Self>) -> Self {
        self.binary(Operator::Unless, right)
    }

    /// Every selector in it.
    pub fn selectors(&self) -> Vec<&Selector> {
        match self {
            Self::Number(_) | Self::Time | Self::Vector(_) => vec![],
            Self::Select(selector) | Self::Over(_, selector, _) | Self::Absent(selector) => vec![selector],
            Self::Quantile(_, of) | Self::Aggregate(_, _, of) => of.selectors(),
            Self::Binary(_, left, right) => [left.selectors(), right.selectors()].concat(),
        }
    }

    /// The labels by which it aggregates, anywhere.
    pub fn grouped_by(&self) -> Vec<&'static str> {
        match self {
            Self::Aggregate(_, by, of) => [by.clone(), of.grouped_by()].concat(),
            Self::Quantile(_, of) => of.grouped_by(),
            Self::Binary(_, left, right) => [left.grouped_by(), right.grouped_by()].concat(),
            _ => vec![],
        }
    }

    /// The labels of the result where an aggregation says them; none where it has those of the series.
    #[must_use]
    pub fn labels_left(&self) -> Option<Vec<&'static str>> {
        match self {
            Self::Aggregate(_, by, _) => Some(by.clone()),
            Self::Quantile(_, of) => {
                of.labels_left().map(|by| by.into_iter().filter(|label| *label != "le").collect())
            }
            Self::Binary(_, left, right) => left.labels_left().or_else(|| right.labels_left()),
            _ => None,
        }
    }
}

impl From<f64> for Expression {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Selector> for Expression {
    fn from(selector: Selector) -> Self {
        Self::Select(selector)
    }
}

macro_rules! arithmetic {
    ($($name:ident $method:ident $operator:ident),*) => {$(
        impl<R: Into<Expression>> ops::$name<R> for Expression {
            type Output = Expression;

            fn $method(self, right: R) -> Expression {
                self.binary(Operator::$operator, right)
            }
        }
    )*};
}

arithmetic!(Add add Add, Sub sub Subtract, Mul mul Multiply, Div div Divide);

/// Minutes as Prometheus writes them: `5m`, `6h`, `3d`.
#[must_use]
pub fn duration(minutes: u32) -> String {
    match minutes {
        0 => "0s".to_owned(),
        whole if whole.is_multiple_of(1440) => format!("{}d", whole / 1440),
        whole if whole.is_multiple_of(60) => format!("{}h", whole / 60),
        minutes => format!("{minutes}m"),
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.metric)?;
        let matchers: Vec<_> = self.matchers.iter().map(Matcher::to_string).collect();
        if matchers.is_empty() { Ok(()) } else { write!(out, "{{{}}}", matchers.join(",")) }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}\"{}\"", self.label, self.operator.word(), self.value)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(out, "{number}"),
            Self::Time => out.write_str("time()"),
            Self::Vector(number) => write!(out, "vector({number})"),
            Self::Select(selector) => write!(out, "{selector}"),
            Self::Over(function, selector, minutes) => {
                write!(out, "{}({selector}[{}])", function.word(), duration(*minutes))
            }
            Self::Absent(selector) => write!(out, "absent({selector})"),
            Self::Quantile(quantile, of) => write!(out, "histogram_quantile({quantile}, {of})"),
            Self::Aggregate(how, by, of) if by.is_empty() => write!(out, "{}({of})", how.word()),
            Self::Aggregate(how, by, of) => write!(out, "{} by ({}) ({of})", how.word(), by.join(", ")),
            Self::Binary(operator, left, right) => {
                let strength = operator.strength();
                operand(left, |inner| inner < strength, out)?;
                write!(out, " {} ", operator.word())?;
                // All that is written here groups from the left.
                operand(right, |inner| inner <= strength, out)
            }
        }
    }
}

/// In parentheses where an operator inside would be taken apart.
fn operand(value: &Expression, is_weak: impl Fn(u8) -> bool, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Expression::Binary(inner, ..) if is_weak(inner.strength()) => write!(out, "({value})"),
        _ => write!(out, "{value}"),
    }
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de: 'static> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::expression(<&'static str>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
