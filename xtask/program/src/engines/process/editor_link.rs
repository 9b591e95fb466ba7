//! The link that opens the editor in a browser. Its token is derived from the operations token, which is shown nowhere.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::instance::ADDRESS;
use foundation::digest;

/// As `flows/runtime/editor-listener.js` knows it.
///
/// # Errors
/// When the file of the operations token cannot be read.
pub fn editor_link(port: u16, ops_token_file: &Path) -> Result<String> {
    let secret = fs::read_to_string(ops_token_file).with_context(|| ops_token_file.display().to_string())?;
    let token = digest::sha256(format!("flowship editor {}", secret.trim()));
    Ok(format!("http://{ADDRESS}:{port}/admin/?token={token}"))
}
