//! The revision of the flows that Node-RED will name once it runs them: SHA-256 of what JavaScript's `JSON.stringify`
//! makes of the assembled list.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use foundation::digest;

/// Of the flow files in the order in which they are assembled.
///
/// # Errors
/// A text is no JSON list, or holds a number that is not written here as JavaScript writes it.
pub fn of(files: &[(&str, &[u8])]) -> Result<String> {
    let mut all = Vec::new();
    for (name, bytes) in files {
        match serde_json::from_slice(bytes).with_context(|| (*name).to_owned())? {
            Value::Array(nodes) => all.extend(nodes),
            _ => bail!("{name}: expected a list of nodes"),
        }
    }
    let value = as_javascript_has_it(Value::Array(all))?;
    Ok(digest::sha256(value.to_string().as_bytes()))
}

/// What parsing changes in JavaScript: keys that are numbers come first, in order, and `1.0` is `1`.
fn as_javascript_has_it(value: Value) -> Result<Value> {
    Ok(match value {
        Value::Array(items) => {
            Value::Array(items.into_iter().map(as_javascript_has_it).collect::<Result<_>>()?)
        }
        Value::Object(fields) => {
            let (mut numbers, others): (Vec<_>, Vec<_>) =
                fields.into_iter().partition(|(key, _)| index(key).is_some());
            numbers.sort_by_key(|(key, _)| index(key));
            let fields = numbers.into_iter().chain(others);
            Value::Object(
                fields.map(|(key, value)| Ok((key, as_javascript_has_it(value)?))).collect::<Result<_>>()?,
            )
        }
        Value::Number(number) => {
            let float = number.as_f64().context("not a number")?;
            let exact = 9_007_199_254_740_992.0;
            if float.fract() == 0.0 && float.abs() < exact {
                Value::from(float as i64)
            } else if number.is_f64() && float.abs() < exact && float.abs() >= 1e-6 {
                Value::Number(number)
            } else {
                bail!(
                    "the number {number}: write it as text, or use a smaller one; JavaScript would change it"
                );
            }
        }
        other => other,
    })
}

fn index(key: &str) -> Option<u32> {
    let number: u32 = key.parse().ok()?;
    (number.to_string() == key && number < u32::MAX).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_numbers_are_as_javascript_has_them() {
        let value: Value = serde_json::from_str(
            r#"[{"b":1.0,"10":"\u00e4\u0007","2":[0.5,-3,1e3],"01":null,"a":"</script>"}]"#,
        )
        .unwrap();
        assert_eq!(
            as_javascript_has_it(value).unwrap().to_string(),
            r#"[{"2":[0.5,-3,1000],"10":"ä\u0007","b":1,"01":null,"a":"</script>"}]"#
        );
        let huge: Value = serde_json::from_str("[12345678901234567890]").unwrap();
        assert!(as_javascript_has_it(huge).is_err());
    }

    #[test]
    fn the_files_are_one_list() {
        let one = of(&[("flows.json", br#"[{"id":"a"}, {"id":"b"}]"#)]).unwrap();
        assert_eq!(one, of(&[("a", br#"[{"id":"a"}]"#), ("b", br#"[{"id":"b"}]"#)]).unwrap());
        assert_eq!(one, digest::sha256(br#"[{"id":"a"},{"id":"b"}]"#));
        assert!(of(&[("x.json", b"{}")]).unwrap_err().to_string().contains("x.json: expected a list"));
    }
}
