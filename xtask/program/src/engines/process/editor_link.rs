//! The link that opens the editor in a browser. Its token is derived from the operations token, which is shown nowhere.

use std::path::Path;

use anyhow::Result;

use super::instance::ADDRESS;
use foundation::digest;
use runner::plan::mask::Mask;

/// As `flows/runtime/editor-listener.js` knows it.
///
/// # Errors
/// When the file of the operations token cannot be read.
pub fn editor_link(port: u16, ops_token_file: &Path) -> Result<String> {
    let secret = Mask::default().read_file(ops_token_file)?;
    let token = digest::sha256(format!("flowship editor {}", secret.expose().trim()));
    Ok(format!("http://{ADDRESS}:{port}/admin/?token={token}"))
}
