//! A CommonJS module that exports one object, computed from the process's environment.

/// A JavaScript expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    Text(&'static str),
    Boolean(bool),
    /// `process.env.NAME`
    Environment(&'static str),
    /// A path relative to the folder that the variable names, or to the module's own folder without one.
    Path {
        folder: &'static str,
        relative: &'static str,
    },
    /// One of two, by whether the variable is set.
    IfSet {
        variable: &'static str,
        then: Box<Expression>,
        otherwise: Box<Expression>,
    },
    Array(Vec<Expression>),
    Object(Vec<(&'static str, Expression)>),
}

/// `header` becomes comment lines at the top.
#[must_use]
pub fn module(header: &[String], exported: &Expression) -> String {
    let comments: String = header.iter().map(|line| format!("// {line}\n")).collect();
    format!(
        "{comments}'use strict';\n\nconst path = require('node:path');\n\nmodule.exports = {};\n",
        expression(exported, 0)
    )
}

fn expression(value: &Expression, depth: usize) -> String {
    match value {
        Expression::Text(text) => quoted(text),
        Expression::Boolean(flag) => flag.to_string(),
        Expression::Environment(name) => format!("process.env.{name}"),
        Expression::Path { folder, relative } => {
            format!("path.join(process.env.{folder} || __dirname, {})", quoted(relative))
        }
        Expression::IfSet { variable, then, otherwise } => {
            format!("process.env.{variable} ? {} : {}", expression(then, depth), expression(otherwise, depth))
        }
        Expression::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| expression(item, depth)).collect();
            format!("[{}]", items.join(", "))
        }
        Expression::Object(entries) => {
            let inner = "  ".repeat(depth + 1);
            let lines: String = entries
                .iter()
                .map(|(name, value)| format!("{inner}{}: {},\n", key(name), expression(value, depth + 1)))
                .collect();
            format!("{{\n{lines}{}}}", "  ".repeat(depth))
        }
    }
}

fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_identifier =
        name.chars().all(plain) && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_identifier { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\r', "\\r");
    // Line breaks too, to engines older than ECMAScript 2019.
    format!("'{}'", escaped.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"))
}

#[cfg(test)]
mod tests {
    use super::{Expression, module};

    #[test]
    fn texts_and_keys_cannot_break_out() {
        let object = Expression::Object(vec![
            ("content-type", Expression::Text("a'\\b\n\r\u{2028}")),
            ("2nd", Expression::Array(vec![Expression::Boolean(true), Expression::Environment("HOME")])),
            ("it's", Expression::Path { folder: "FLOWS", relative: "a'b" }),
        ]);
        let text = module(&[], &object);
        let (_, exported) = text.split_once("module.exports = ").unwrap();
        assert_eq!(
            exported,
            "{\n  'content-type': 'a\\'\\\\b\\n\\r\\u2028',\n  '2nd': [true, process.env.HOME],\n  'it\\'s': \
             path.join(process.env.FLOWS || __dirname, 'a\\'b'),\n};\n"
        );
    }

    #[test]
    fn writes_nested_values() {
        let text = module(
            &["made".to_owned()],
            &Expression::Object(vec![
                ("title", Expression::Text("it's")),
                (
                    "root",
                    Expression::IfSet {
                        variable: "PORT",
                        then: Box::new(Expression::Text("/admin")),
                        otherwise: Box::new(Expression::Boolean(false)),
                    },
                ),
                ("inner", Expression::Object(vec![("on", Expression::Boolean(true))])),
            ]),
        );
        assert_eq!(
            text,
            "// made\n'use strict';\n\nconst path = require('node:path');\n\nmodule.exports = {\n  \
             title: 'it\\'s',\n  root: process.env.PORT ? '/admin' : false,\n  inner: {\n    on: true,\n  },\n};\n"
        );
    }
}
