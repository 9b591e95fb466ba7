//! Expressions with one fault: what a test of a rule must notice. Pure.

use super::{Aggregation, Expression, Match, Operator, Selector};

/// An expression that differs from a right one in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutant {
    /// The kind of fault, such as `threshold`.
    pub kind: &'static str,
    /// Such as `0.1 becomes 0.11`.
    pub what: String,
    pub expression: Expression,
}

impl Expression {
    /// One for each fault that somebody could make: another threshold, comparison, label, aggregation, or one condition
    /// less.
    #[must_use]
    pub fn mutants(&self) -> Vec<Mutant> {
        match self {
            Self::Time | Self::Vector(_) => vec![],
            Self::Number(number) => thresholds(*number),
            Self::Select(selector) => of_selector(selector, Self::Select),
            Self::Over(function, selector, minutes) => {
                of_selector(selector, |selector| Self::Over(*function, selector, *minutes))
            }
            Self::Absent(selector) => of_selector(selector, Self::Absent),
            Self::Quantile(quantile, of) => within(of, |of| Self::Quantile(*quantile, Box::new(of))),
            Self::Aggregate(how, by, of) => {
                let mut mutants = within(of, |of| Self::Aggregate(*how, by.clone(), Box::new(of)));
                mutants.extend(aggregations(*how, by, of));
                mutants
            }
            Self::Binary(operator, left, right) => {
                let mut mutants = operators(*operator, left, right);
                mutants.extend(within(left, |left| Self::Binary(*operator, Box::new(left), right.clone())));
                mutants.extend(within(right, |right| Self::Binary(*operator, left.clone(), Box::new(right))));
                mutants
            }
        }
    }
}

/// The mutants of a part, in the whole.
fn within(part: &Expression, whole: impl Fn(Expression) -> Expression) -> Vec<Mutant> {
    let put = |mutant: Mutant| Mutant { expression: whole(mutant.expression), ..mutant };
    part.mutants().into_iter().map(put).collect()
}

fn thresholds(number: f64) -> Vec<Mutant> {
    let others = match number {
        0.0 => vec![1.0],
        // Of few, the next ones are those that somebody could have written.
        few if few.fract() == 0.0 && few <= 10.0 => vec![few - 1.0, few + 1.0],
        // Without the noise of floating point.
        many => [0.9, 1.1].map(|by| (many * by * 1e9).round() / 1e9).to_vec(),
    };
    let mutant = |other: f64| Mutant {
        kind: "threshold",
        what: format!("{number} becomes {other}"),
        expression: Expression::Number(other),
    };
    others.into_iter().map(mutant).collect()
}

fn of_selector(selector: &Selector, whole: impl Fn(Selector) -> Expression) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (at, matcher) in selector.matchers.iter().enumerate() {
        let mut without = selector.clone();
        without.matchers.remove(at);
        let mut opposite = selector.clone();
        opposite.matchers[at].operator = match matcher.operator {
            Match::Is => Match::Not,
            Match::Not => Match::Is,
            Match::Matches => Match::NotMatches,
            Match::NotMatches => Match::Matches,
        };
        mutants.push(Mutant {
            kind: "label",
            what: format!("{selector} loses {matcher}"),
            expression: whole(without),
        });
        mutants.push(Mutant {
            kind: "label",
            what: format!("{selector} becomes {opposite}"),
            expression: whole(opposite),
        });
    }
    mutants
}

fn aggregations(how: Aggregation, by: &[&'static str], of: &Expression) -> Vec<Mutant> {
    let other = match how {
        Aggregation::Sum | Aggregation::Min | Aggregation::Average => Aggregation::Max,
        Aggregation::Max => Aggregation::Min,
        Aggregation::Count => Aggregation::Sum,
    };
    let mut mutants = vec![Mutant {
        kind: "aggregation",
        what: format!("{} becomes {}", how.word(), other.word()),
        expression: of.clone().aggregate(other, by),
    }];
    for (at, label) in by.iter().enumerate().filter(|(_, label)| **label != "le") {
        let mut by = by.to_vec();
        by.remove(at);
        mutants.push(Mutant {
            kind: "aggregation",
            what: format!("{} loses {label}", how.word()),
            expression: of.clone().aggregate(how, &by),
        });
    }
    mutants
}

fn operators(operator: Operator, left: &Expression, right: &Expression) -> Vec<Mutant> {
    let compared = |others: &[Operator]| {
        let mutant = |other: &Operator| Mutant {
            kind: "comparison",
            what: format!("{} becomes {}", operator.word(), other.word()),
            expression: left.clone().binary(*other, right.clone()),
        };
        others.iter().map(mutant).collect()
    };
    let alone = |sides: &[&Expression]| {
        let mutant = |side: &&Expression| Mutant {
            kind: "condition",
            what: format!("{} loses a side: {side} is left", operator.word()),
            expression: (*side).clone(),
        };
        sides.iter().map(mutant).collect()
    };
    match operator {
        Operator::Above => compared(&[Operator::AtLeast, Operator::Below]),
        Operator::AtLeast => compared(&[Operator::Above, Operator::AtMost]),
        Operator::Below => compared(&[Operator::AtMost, Operator::Above]),
        Operator::AtMost => compared(&[Operator::Below, Operator::AtLeast]),
        Operator::Equal => compared(&[Operator::NotEqual]),
        Operator::NotEqual => compared(&[Operator::Equal]),
        Operator::And | Operator::Or => alone(&[left, right]),
        Operator::Unless => alone(&[left]),
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::Selector;

    #[test]
    fn each_place_of_an_expression_gets_its_faults() {
        let errors = Selector::of("errors").is("code", "5xx").rate(5).sum(&["job"]);
        let rule = errors.above(0.5).unless(Selector::of("draining").now().equals(0.0));
        let found: Vec<_> = rule.mutants().into_iter().map(|mutant| (mutant.kind, mutant.what)).collect();
        let found: Vec<_> = found.iter().map(|(kind, what)| (*kind, what.as_str())).collect();
        assert_eq!(
            found,
            [
                (
                    "condition",
                    "unless loses a side: sum by (job) (rate(errors{code=\"5xx\"}[5m])) > 0.5 is left"
                ),
                ("comparison", "> becomes >="),
                ("comparison", "> becomes <"),
                ("label", "errors{code=\"5xx\"} loses code=\"5xx\""),
                ("label", "errors{code=\"5xx\"} becomes errors{code!=\"5xx\"}"),
                ("aggregation", "sum becomes max"),
                ("aggregation", "sum loses job"),
                ("threshold", "0.5 becomes 0.45"),
                ("threshold", "0.5 becomes 0.55"),
                ("comparison", "== becomes !="),
                ("threshold", "0 becomes 1"),
            ]
        );
        assert!(rule.mutants().iter().all(|mutant| mutant.expression != rule));
    }
}
