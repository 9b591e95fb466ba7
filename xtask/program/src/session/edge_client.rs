//! A client of the edge, which trusts only its certificate and follows nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use ureq::Agent;
use ureq::config::Config;
use ureq::tls::TlsConfig;
use ureq::unversioned::transport::DefaultConnector;

use runner::plan::http::{Only, trusting as trusting_only};

/// An answer that takes longer counts as none.
const LIMIT: Duration = Duration::from_secs(10);

/// A client that trusts only the certificates in this file. It makes no request twice.
///
/// # Errors
/// A certificate cannot be read.
pub fn trusting(certificates: &Path) -> Result<Agent> {
    Ok(config(trusting_only(certificates)?).new_agent())
}

/// A client of the edge at this address of this machine, by whatever name it is called: the name that the certificate is for
/// need not lead here yet. That the edge serves that certificate is for [`certificate::is_served`] to say: this library trusts
/// one only when its issuer is among the roots, which a site need not give.
///
/// [`certificate::is_served`]: crate::engines::process::certificate::is_served
pub fn at(address: SocketAddr) -> Agent {
    let tls = TlsConfig::builder().disable_verification(true).build();
    Agent::with_parts(config(tls), DefaultConnector::default(), Only(address))
}

fn config(tls: TlsConfig) -> Config {
    Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(LIMIT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .build()
}
