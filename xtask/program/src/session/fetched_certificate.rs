//! The certificate that the edge fetches from an ACME authority. The edge renews it by itself, and keeps it in its memory only:
//! what it serves is written to its file whenever it might read that again.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use vocabulary::model::environment::{EngineKind, Environment, Tls};
use vocabulary::model::{Platform, Unit};

use super::opened::Opened;
use super::rolling::{ANSWER, until};
use crate::engines::process::certificate::{domain, is_issued};
use crate::engines::process::instance::Instance;
use crate::engines::process::secret_memory::keep_certificate;
use crate::engines::process::secret_store::write_file;
use crate::engines::roll::edge_socket::EdgeSocket;
use artifacts::containers::secret_file;
use runner::plan::perform::StepContext;
use runner::supervisor::last_lines;

/// Writes the certificate that the edge of an environment serves to its file, where an authority has issued it. The folder is
/// that of the environment.
///
/// # Errors
/// The file cannot be written.
pub fn keep(platform: &Platform, environment: &Environment, folder: &Path) -> Result<()> {
    let Some(fetched) = Fetched::of(platform, environment, folder) else { return Ok(()) };
    // One that does not run, or runs with an earlier configuration, has none.
    let Ok(served) = fetched.socket.certificate(&fetched.name) else { return Ok(()) };
    if is_issued(served.expose(), domain(environment)) {
        write_file(&fetched.file, &served, environment.engine)?;
        keep_certificate(&fetched.file, &served)?;
    }
    Ok(())
}

/// Has the edge fetch one, unless it serves one already.
///
/// # Errors
/// It gets none; the error has the last line that it wrote about that.
pub fn fetch(opened: &Opened, step: &StepContext) -> Result<()> {
    let (platform, environment, folder) = (opened.platform, &opened.environment, &opened.instance.folder);
    let Fetched { socket, name, log, .. } =
        Fetched::of(platform, environment, folder).context("no edge fetches a certificate here")?;
    // One that was just started may not answer yet.
    until(step, &mut || Ok(socket.certificate(&name).err().map(|error| format!("{error:#}"))))?;
    let is_served =
        || Ok::<_, anyhow::Error>(is_issued(socket.certificate(&name)?.expose(), domain(environment)));
    if !is_served()? {
        socket.fetch_certificate(&name)?;
        until(step, &mut || {
            Ok(socket.is_fetching(&name)?.then(|| "the authority has not issued it yet".to_owned()))
        })
        .with_context(|| said(&log))?;
        if !is_served()? {
            bail!("it got none: {}", said(&log));
        }
    }
    keep(platform, environment, folder)
}

/// An edge that fetches its certificate.
struct Fetched {
    socket: EdgeSocket,
    /// The certificate's, with its key.
    file: PathBuf,
    /// The same, as the edge names it.
    name: PathBuf,
    log: PathBuf,
}

impl Fetched {
    fn of(platform: &Platform, environment: &Environment, folder: &Path) -> Option<Self> {
        let Tls::Acme(_) = environment.tls else { return None };
        let slots = platform.slots(environment);
        let edge: &Unit<'_> = slots.iter().find(|unit| platform.is_edge(unit))?;
        let instance = Instance { folder: folder.to_owned(), ..Instance::default() };
        let file = instance.secret(platform.edge.certificate);
        let name = match environment.engine {
            EngineKind::Process => file.clone(),
            _ => secret_file(&platform.containers, platform.edge.certificate).into(),
        };
        Some(Self {
            name,
            socket: EdgeSocket { folder: instance.volume(edge, platform.edge.folder), limit: ANSWER },
            file,
            log: instance.log(&edge.name()),
        })
    }
}

/// The last line of the edge about it.
fn said(log: &Path) -> String {
    let lines = last_lines(log, 200);
    let about = lines.iter().rev().find(|line| line.contains("acme:"));
    about.map_or_else(|| "the edge wrote nothing about it".to_owned(), |line| line.trim().to_owned())
}
