//! What a value looks like inside URLs, JSON, headers and dumps, as `flows/runtime/encodings.js` knows it too. Pure.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use foundation::digest;

/// What encodings make of a shorter value would hide ordinary words.
const SHORTEST: usize = 8;
/// So deep is text quoted inside quoted text: an answer in JSON, shown by Node.js, in a line of JSON.
const QUOTED: usize = 4;

/// The value and its encoded forms.
pub fn of(value: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([value.as_bytes().to_vec()]);
    if value.len() < SHORTEST {
        return forms;
    }
    let hex = digest::hex(value.as_bytes());
    let urls = [("-_.~", "%20"), ("-_.~!'()*", "%20"), ("-_.*", "+")];
    let urls = urls.map(|(unreserved, space)| percent(value, unreserved, space));
    let lower = urls.each_ref().map(|url| lower_escapes(url));
    forms.extend(quoted(value).into_iter().chain([hex.to_uppercase(), hex]).map(String::into_bytes));
    forms.extend(urls.into_iter().chain(lower).map(String::into_bytes));
    forms.extend((0..3).flat_map(|before| base64(value, before)));
    forms
}

fn quoted(value: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([value.to_owned()]);
    for _ in 0..QUOTED {
        for form in forms.clone() {
            let json = serde_json::Value::from(form.as_str()).to_string();
            forms.extend([json[1..json.len() - 1].to_owned(), form.replace('\\', r"\\")]);
        }
    }
    forms
}

fn percent(value: &str, unreserved: &str, space: &str) -> String {
    let encoded = |byte: u8| match char::from(byte) {
        letter if letter.is_ascii_alphanumeric() || unreserved.contains(letter) => letter.to_string(),
        ' ' => space.to_owned(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(encoded).collect()
}

/// `%2F` as `%2f`.
fn lower_escapes(url: &str) -> String {
    let mut parts = url.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| format!("{text}%{}{}", part[..2].to_lowercase(), &part[2..]))
}

/// The letters that stand for this value alone when so many bytes come before it, whatever comes after it.
fn base64(value: &str, before: usize) -> [Vec<u8>; 2] {
    let bytes = [&[0; 3][..before], value.as_bytes()].concat();
    [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD].map(|engine| {
        let letters = engine.encode(&bytes).into_bytes();
        letters[(before * 8).div_ceil(6)..bytes.len() * 8 / 6].to_vec()
    })
}
