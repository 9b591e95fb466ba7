//! `cargo xtask measure requests`: what our launcher costs Node-RED, as a share of the requests that it answers without.

mod load;

use std::time::Duration;

use anyhow::Result;

use super::figures;
use crate::context::Context;
use crate::session::servers::{self, Editor, Server};
use crate::tools::{NpmProject, Tool, Toolbox, progress};
use foundation::exit::Reported;
use foundation::stdout;
use judges::checks::requests::{self, Answered, Judgement, Round, Thresholds, Wanted};
use judges::thresholds;

const THRESHOLDS: &str = "ops/ci/requests.toml";

/// Rounds that are not counted.
const WARM_UP: usize = 3;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It sends requests to bare Node-RED and to Node-RED in our launcher in turns, on loopback. The thresholds are \
for shares, by the clock and by the servers' processor time; the requests per second are only shown.

Examples:
  cargo xtask measure requests
  cargo xtask measure requests --json")]
pub struct Options {}

/// # Errors
/// Reported when the launcher costs too much; refused when the thresholds are wrong.
pub fn run(context: &Context, _options: &Options) -> Result<()> {
    let Thresholds { node_red: wanted } =
        thresholds::read(&context.root, THRESHOLDS, "the share of requests that is wanted")?;
    let toolbox = Toolbox::open(context)?;
    let progress = progress::on_stderr();
    toolbox.ensure(&[Tool::Node], progress.as_ref())?;
    toolbox.npm_modules(NpmProject { folder: &context.path("flows") }, progress.as_ref())?;
    let mut bare = servers::bare(&toolbox, &context.root, Editor::Off)?;
    let mut ours = servers::ours(&toolbox, &context.root)?;
    let duration = Duration::from_millis(u64::from(wanted.milliseconds.0));
    let ask = |server: &Server| -> Result<Answered> {
        let before = server.processor()?;
        let (requests, seconds) = load::ask(&server.url, wanted.connections.0, duration)?;
        Ok(Answered { requests, seconds, processor: server.processor()?.saturating_sub(before) })
    };
    for server in [&mut bare, &mut ours] {
        server.answers()?;
        // The first requests find code that V8 has not compiled yet.
        (0..WARM_UP).try_for_each(|_| ask(server).map(|_| ()))?;
    }
    let round = |_| Ok(Round { bare: ask(&bare)?, ours: ask(&ours)? });
    let rounds: Vec<Round> = (0..wanted.rounds.0).map(round).collect::<Result<_>>()?;
    let judgement = requests::judge(&rounds, &wanted);
    if context.json {
        stdout::json(&judgement)?;
    } else {
        stdout::text(&text(&judgement, &wanted))?;
    }
    if judgement.problems.is_empty() {
        let Judgement { share, processor_share, .. } = judgement;
        return figures::leave([("requests_share", share), ("requests_processor_share", processor_share)]);
    }
    eprintln!("{}\nthe thresholds stand in {THRESHOLDS}", judgement.problems.join("\n"));
    Err(Reported.into())
}

fn text(judgement: &Judgement, wanted: &Wanted) -> String {
    let Judgement { bare, ours, share, least, most, processor_share, .. } = judgement;
    format!(
        "bare Node-RED               {bare:>6.0} requests/s\nNode-RED in our launcher    {ours:>6.0} requests/s\nshare                       \
         {share:>6.2} wanted {:.2} (median of {} rounds, {least:.2} to {most:.2})\nshare by processor time     \
         {processor_share:>6.2} wanted {:.2}\n",
        wanted.share.0, wanted.rounds.0, wanted.processor_share.0
    )
}
