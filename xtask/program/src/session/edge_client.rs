//! A client of the edge, which trusts one certificate and follows nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use foundation::files;

/// An answer that takes longer counts as none.
const LIMIT: Duration = Duration::from_secs(10);

/// A client that trusts only the certificate in this file. It makes no request twice.
///
/// # Errors
/// The certificate cannot be read.
pub fn trusting(certificate: &Path) -> Result<Agent> {
    let pem = files::read(certificate, files::TEXT)?.bytes;
    let root = Certificate::from_pem(&pem).with_context(|| certificate.display().to_string())?;
    let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(vec![root]))).build();
    Ok(Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(LIMIT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .build()
        .new_agent())
}
