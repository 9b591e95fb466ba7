//! JSON files for people: indented, with a newline at the end.

use serde::Serialize as _;
use serde_json::Value;

/// `indent` spaces for each level. Objects keep the order of their keys.
///
/// # Panics
/// Never: a [`Value`] always has a JSON text.
#[must_use]
pub fn pretty(value: &Value, indent: usize) -> String {
    let spaces = " ".repeat(indent);
    let formatter = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value.serialize(&mut serializer).expect("a JSON value serialises");
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("JSON is UTF-8")
}
