//! Reads the PromQL that the writer writes, so that an expression can be had back from its text.

use super::{Aggregation, Expression, Function, Match, Matcher, Operator, Selector};

/// # Errors
/// What was expected, and the rest of the text.
pub fn expression(text: &'static str) -> Result<Expression, String> {
    let mut reader = Reader(text.trim());
    let read = reader.binary(0)?;
    if reader.0.is_empty() { Ok(read) } else { reader.expected("an operator or the end") }
}

/// Labels as they stand between braces: `a="1",b="2"`.
///
/// # Errors
/// What was expected, and the rest of the text.
pub fn labels(text: &'static str) -> Result<Vec<(&'static str, &'static str)>, String> {
    let mut reader = Reader(text.trim());
    let read = reader.matchers()?;
    if !reader.0.is_empty() || read.iter().any(|matcher| matcher.operator != Match::Is) {
        return Err(format!("expected labels such as a=\"1\",b=\"2\", found {text:?}"));
    }
    Ok(read.into_iter().map(|matcher| (matcher.label, matcher.value)).collect())
}

/// What is left to read.
struct Reader(&'static str);

impl Reader {
    fn expected<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("expected {what}, found {:?}", self.0))
    }

    fn take(&mut self, word: &str) -> bool {
        let rest = self.0.strip_prefix(word).map(str::trim_start);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn need(&mut self, word: &str) -> Result<(), String> {
        if self.take(word) { Ok(()) } else { self.expected(word) }
    }

    fn take_while(&mut self, allowed: impl Fn(char) -> bool) -> &'static str {
        let end = self.0.find(|c: char| !allowed(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        word
    }

    fn number(&mut self) -> Result<f64, String> {
        let word = self.take_while(|c| c.is_ascii_digit() || ".e-".contains(c));
        word.parse().or_else(|_| self.expected("a number"))
    }

    fn name(&mut self) -> Result<&'static str, String> {
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || "_:.".contains(c));
        if word.is_empty() { self.expected("a name") } else { Ok(word) }
    }

    fn binary(&mut self, least: u8) -> Result<Expression, String> {
        let mut left = self.operand()?;
        while let Some(operator) = self.operator(least) {
            left = left.binary(operator, self.binary(operator.strength() + 1)?);
        }
        Ok(left)
    }

    fn operator(&mut self, least: u8) -> Option<Operator> {
        let fits = |operator: &&Operator| self.0.starts_with(operator.word());
        let operator = *Operator::ALL.iter().find(fits)?;
        (operator.strength() >= least && self.take(operator.word())).then_some(operator)
    }

    fn operand(&mut self) -> Result<Expression, String> {
        if self.take("(") {
            let inside = self.binary(0)?;
            return self.need(")").map(|()| inside);
        }
        if self.0.starts_with(|c: char| c.is_ascii_digit()) {
            return self.number().map(Expression::Number);
        }
        let name = self.name()?;
        if let Some(how) = Aggregation::ALL.iter().find(|how| how.word() == name) {
            let by = if self.take("by") { self.names()? } else { vec![] };
            return self.inside(|reader| reader.binary(0)).map(|of| of.aggregate(*how, &by));
        }
        if !self.0.starts_with('(') {
            return self.selector(name).map(Expression::Select);
        }
        if let Some(function) = Function::ALL.iter().find(|function| function.word() == name) {
            return self.inside(|reader| {
                let name = reader.name()?;
                let selector = reader.selector(name)?;
                Ok(Expression::Over(*function, selector, reader.range()?))
            });
        }
        self.inside(|reader| match name {
            "time" => Ok(Expression::Time),
            "vector" => reader.number().map(Expression::Vector),
            "absent" => reader.name().and_then(|name| reader.selector(name)).map(Expression::Absent),
            "histogram_quantile" => {
                let quantile = reader.number()?;
                reader.need(",")?;
                reader.binary(0).map(|of| of.quantile(quantile))
            }
            _ => Err(format!("expected a function that rules use, found {name}")),
        })
    }

    fn inside<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.need("(")?;
        let inside = read(self)?;
        self.need(")").map(|()| inside)
    }

    fn names(&mut self) -> Result<Vec<&'static str>, String> {
        self.inside(|reader| {
            let mut names = vec![reader.name()?];
            while reader.take(",") {
                names.push(reader.name()?);
            }
            Ok(names)
        })
    }

    fn selector(&mut self, metric: &'static str) -> Result<Selector, String> {
        let mut selector = Selector::of(metric);
        if self.take("{") {
            selector.matchers = self.matchers()?;
            self.need("}")?;
        }
        Ok(selector)
    }

    fn matchers(&mut self) -> Result<Vec<Matcher>, String> {
        let mut matchers = Vec::new();
        while !self.0.is_empty() && !self.0.starts_with('}') {
            let label = self.name()?;
            let Some(operator) = Match::ALL.iter().copied().find(|one| self.take(one.word())) else {
                return self.expected("one of =, !=, =~ and !~");
            };
            let quoted = self.0.strip_prefix('"').and_then(|quoted| quoted.split_once('"'));
            let Some((value, rest)) = quoted else { return self.expected("a value in quotation marks") };
            self.0 = rest.trim_start();
            matchers.push(Matcher { label, operator, value });
            if !self.take(",") {
                break;
            }
        }
        Ok(matchers)
    }

    fn range(&mut self) -> Result<u32, String> {
        self.need("[")?;
        let number = self.take_while(|c| c.is_ascii_digit());
        let Ok(number) = number.parse::<u32>() else { return self.expected("a duration") };
        let units = [("m", 1), ("h", 60), ("d", 1440)];
        let Some((_, minutes)) = units.into_iter().find(|(unit, _)| self.take(unit)) else {
            return self.expected("m, h or d");
        };
        self.need("]").map(|()| number * minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Expression, Selector, expression, labels};

    #[test]
    fn what_is_written_is_read_back() {
        let errors = || Selector::of("errors_total").is("code", "5xx").is_not("proxy", "stats");
        let all = || Selector::of("requests_total");
        let ratio = |minutes| errors().rate(minutes).sum(&["a", "b"]) / all().rate(minutes).sum(&[]);
        for (value, text) in [
            (errors().now().equals(0.0), "errors_total{code=\"5xx\",proxy!=\"stats\"} == 0"),
            (
                ratio(5).above(0.25).and(ratio(4320).above(0.0144)),
                "sum by (a, b) (rate(errors_total{code=\"5xx\",proxy!=\"stats\"}[5m])) / \
                 sum(rate(requests_total[5m])) > 0.25 and sum by (a, b) \
                 (rate(errors_total{code=\"5xx\",proxy!=\"stats\"}[3d])) / sum(rate(requests_total[3d])) > 0.0144",
            ),
            (
                Expression::Time - (all().now() - all().increase(90)).max(&[]) * 2.0,
                "time() - max(requests_total - increase(requests_total[90m])) * 2",
            ),
            (
                (Expression::Number(1.0) - all().now() / (all().now() - 3.0)).below(1.0),
                "1 - requests_total / (requests_total - 3) < 1",
            ),
            (
                all().absent().or(all().now().equals(1.0).unless(all().matches("a", "b|c").changes(60))),
                "absent(requests_total) or requests_total == 1 unless changes(requests_total{a=~\"b|c\"}[1h])",
            ),
            (
                all().rate(5).sum(&["le"]).quantile(0.95).above(Expression::Vector(1.0)),
                "histogram_quantile(0.95, sum by (le) (rate(requests_total[5m]))) > vector(1)",
            ),
        ] {
            assert_eq!(value.to_string(), text);
            assert_eq!(expression(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_it_does_not_write_is_refused() {
        for (text, expected) in [
            ("a >", "expected a name, found \"\""),
            ("sum(a", "expected ), found \"\""),
            ("a b", "expected an operator or the end, found \"b\""),
            ("rate(a[5x])", "expected m, h or d, found \"x])\""),
            ("label_replace(a)", "expected a function that rules use, found label_replace"),
            ("a{b~\"c\"}", "expected one of =, !=, =~ and !~, found \"~\\\"c\\\"}\""),
        ] {
            assert_eq!(expression(text), Err(expected.to_owned()), "{text}");
        }
        assert_eq!(labels("a=\"1\", b=\" 2\""), Ok(vec![("a", "1"), ("b", " 2")]));
        assert!(labels("a!=\"1\"").is_err() && labels("a").is_err());
    }
}
