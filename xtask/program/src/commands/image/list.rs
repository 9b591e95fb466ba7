//! `cargo xtask image list`: every image of the platform.

use anyhow::Result;
use serde::Serialize;
use vocabulary::model::Image;

use crate::context::Context;
use crate::images::build::tag;
use crate::images::engine::Engine;
use crate::images::locks::{self, Built, StandIns};
use crate::images::stand_in::WARNING;
use foundation::files;
use foundation::stdout;

/// One image.
#[derive(Debug, Serialize)]
struct Row {
    services: Vec<&'static str>,
    /// `pinned`, `built` or `pending`.
    origin: &'static str,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'static str>,
    /// What the engine has of it; none when it has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    here: Option<Here>,
    note: String,
}

#[derive(Debug, Serialize)]
struct Here {
    tag: String,
    image_id: String,
    bytes: u64,
    layers: usize,
    stand_in: bool,
}

pub fn run(context: &Context) -> Result<()> {
    // Without an engine the list still tells what there should be.
    let engine = Engine::find();
    if let Err(error) = &engine {
        eprintln!("{error:#}");
    }
    let rows = rows(context, engine.ok().as_ref())?;
    if context.json {
        stdout::json(&rows)?;
        return Ok(());
    }
    stdout::text(&format!(
        "{:<8} {:<44} {:>10} {:>6} {:<20} SERVICES\n",
        "ORIGIN", "IMAGE", "SIZE", "LAYERS", "ID"
    ))?;
    for row in &rows {
        let (size, layers, id) = match &row.here {
            Some(here) => {
                (files::size(here.bytes), here.layers.to_string(), here.image_id.chars().take(19).collect())
            }
            None => ("-".to_owned(), "-".to_owned(), "not here".to_owned()),
        };
        stdout::text(&format!(
            "{:<8} {:<44} {size:>9} {layers:>6} {id:<20} {}\n",
            row.origin,
            row.reference,
            row.services.join(", ")
        ))?;
        if !row.note.is_empty() {
            stdout::text(&format!("         {}\n", row.note))?;
        }
    }
    if rows.iter().any(|row| row.here.as_ref().is_some_and(|here| here.stand_in)) {
        stdout::text(&format!("{WARNING}\n"))?;
    }
    Ok(())
}

fn rows(context: &Context, engine: Option<&Engine>) -> Result<Vec<Row>> {
    let platform = context.platform;
    let stand_ins: StandIns = locks::read(&locks::stand_ins_file(context.state()))?;
    let built: Built = locks::read(&locks::built_file(context.state()))?;
    let here = |image: &str, stand_in: bool| -> Result<Option<Here>> {
        let Some(engine) = engine else { return Ok(None) };
        Ok(engine.inspect(image)?.map(|found| Here {
            tag: image.to_owned(),
            image_id: found["Id"].as_str().unwrap_or_default().to_owned(),
            bytes: found["Size"].as_u64().unwrap_or_default(),
            layers: found["RootFS"]["Layers"].as_array().map_or(0, Vec::len),
            stand_in,
        }))
    };
    let mut rows: Vec<Row> = Vec::new();
    for service in &platform.services {
        let row = match service.image {
            Image::Pinned { reference, digest } => {
                let official = here(&format!("{reference}@{digest}"), false)?;
                let locked = stand_ins.of(reference);
                let stand_in = match (&official, locked) {
                    (None, Some(locked)) => here(&locked.tag, true)?,
                    _ => None,
                };
                let note =
                    stand_in.as_ref().map(|found| format!("stand-in {}", found.tag)).unwrap_or_default();
                Row {
                    services: Vec::new(),
                    origin: "pinned",
                    reference: reference.to_owned(),
                    digest: Some(digest),
                    here: official.or(stand_in),
                    note,
                }
            }
            Image::Built { dockerfile, target } => {
                let tag = tag(platform.name, target, "local");
                let locked = built.images.iter().find(|image| image.tag == tag);
                let on: &[String] = locked.map(|locked| locked.stand_ins.as_slice()).unwrap_or_default();
                let on_stand_ins = if on.is_empty() {
                    String::new()
                } else {
                    format!(", on stand-ins for {}", on.join(" and "))
                };
                Row {
                    services: Vec::new(),
                    origin: "built",
                    here: here(&tag, !on.is_empty())?,
                    reference: tag,
                    digest: None,
                    note: format!("{dockerfile}, target {target}{on_stand_ins}"),
                }
            }
            Image::Pending { reason } => Row {
                services: Vec::new(),
                origin: "pending",
                reference: service.id.0.to_owned(),
                digest: None,
                here: None,
                note: reason.to_owned(),
            },
            Image::None => continue,
        };
        match rows.iter_mut().find(|known| known.reference == row.reference) {
            Some(known) => known.services.push(service.id.0),
            None => rows.push(Row { services: vec![service.id.0], ..row }),
        }
    }
    Ok(rows)
}
