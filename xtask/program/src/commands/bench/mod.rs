//! `cargo xtask bench`: the figures of docs/performance.md, each beside a peer or a limit in the same run.
//!
//! Nothing here judges: machines are noisy, and a figure that is gated is soon a figure that is faked.

mod attacks;
mod builds;
mod changelog;
mod deploys;
mod first_smoke;
mod gates;
mod generation;
mod logs;
mod release_archive;
mod sample;
mod tasks;
mod warm_start;

use anyhow::Result;
use serde_json::json;

use crate::context::Context;
use foundation::columns;
use foundation::exit::refused;
use foundation::interrupt::Interrupt;
use foundation::nearest::hint;
use foundation::stdout;
use sample::Figure;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                     every figure, about half an hour
  cargo xtask bench first-smoke
  cargo xtask bench tasks               the queue and its workers, about 90 seconds
  cargo xtask bench tasks --seconds 30 --queued 50000
  cargo xtask bench logs --runs 3       what logs and metrics cost, about three minutes
  cargo xtask bench deploys             ten deploys, then ten with kamal-proxy, about twenty minutes
  cargo xtask bench attacks             our edge and a stock HAProxy under attack, about four minutes
  cargo xtask bench --runs 9 --json
  cargo xtask bench --list")]
pub struct Options {
    /// Only these figures [default: all]
    #[arg(value_name = "FIGURE")]
    figures: Vec<String>,
    /// Number of measured runs of each command, after a warm-up run
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// For `tasks` and `logs`: how many seconds to measure each figure
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..=600))]
    seconds: u32,
    /// For `tasks`: how many tasks are queued while the API is measured
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    queued: u32,
    /// For `logs`: how many lines go through the collector
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=100_000_000))]
    lines: u32,
    /// For `deploys`: how many releases each side deploys
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    deploys: u32,
    /// For `deploys`: how many seconds the answer to a slow request takes
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600))]
    slow: u32,
    /// List the figures
    #[arg(long)]
    list: bool,
}

impl Options {
    fn runs(&self) -> usize {
        self.runs as usize
    }
}

struct Bench {
    name: &'static str,
    what: &'static str,
    measure: fn(&Context, &Options, &Interrupt) -> Result<Vec<Figure>>,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "generate",
        what: "generate --check of all families, in process",
        measure: |context, options, interrupt| generation::measure(context, options.runs(), interrupt),
    },
    Bench {
        name: "warm-start",
        what: "cargo xtask compared with the bare program",
        measure: |context, options, interrupt| warm_start::measure(context, options.runs(), interrupt),
    },
    Bench {
        name: "first-smoke",
        what: "the start of dev until five checks pass, compared with bare Node-RED's first 200",
        measure: |context, options, interrupt| first_smoke::measure(context, options.runs(), interrupt),
    },
    Bench {
        name: "tasks",
        what: "tasks through the whole chain, models of 0 and 2 s, one and two replicas, compared with a bare pg-boss worker",
        measure: tasks::measure,
    },
    Bench {
        name: "logs",
        what: "tasks with and without monitoring; a million log lines through the collector into the store",
        measure: logs::measure,
    },
    Bench {
        name: "deploys",
        what: "deploys under load: failed requests, the longest gap, WebSockets, slow requests, compared with kamal-proxy",
        measure: deploys::measure,
    },
    Bench {
        name: "attacks",
        what: "answers of the edge while 5,000 slow connections, floods, oversize requests, streams and slow bodies attack it, \
               compared with a stock HAProxy",
        measure: attacks::measure,
    },
    Bench {
        name: "changelog",
        what: "the changelog of 10,000 commits, compared with git-cliff",
        measure: |context, options, interrupt| changelog::measure(context, options.runs(), interrupt),
    },
    Bench {
        name: "gates",
        what: "the quick gates with `cargo xtask ci`, compared with a script and with just; the same gates unchanged",
        measure: |context, options, interrupt| gates::measure(context, options.runs(), interrupt),
    },
    Bench {
        name: "builds",
        what: "cold debug build of this program: dependencies, ours, after an edit of platform/",
        measure: |context, _, interrupt| builds::measure(context, interrupt),
    },
    Bench {
        name: "release-archive",
        what: "packing 1 GiB, compared with tar | pigz -9 | tee >(sha256sum) and tar | gzip -9",
        measure: |context, options, interrupt| release_archive::measure(context, options.runs(), interrupt),
    },
];

/// # Errors
/// Refused when a figure is unknown; otherwise when something cannot be measured.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    if options.list {
        return stdout::text(&columns::list(BENCHES.iter().map(|bench| (bench.name, bench.what))));
    }
    let known: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
    if let Some(unknown) = options.figures.iter().find(|name| !known.contains(&name.as_str())) {
        let hint = hint(unknown, known.iter().copied());
        return Err(refused(format!("unknown figure {unknown}: expected one of {}{hint}", known.join(", "))));
    }
    let interrupt = Interrupt::listen()?;
    let wanted =
        |bench: &&Bench| options.figures.is_empty() || options.figures.iter().any(|name| name == bench.name);
    let mut figures = Vec::new();
    for bench in BENCHES.iter().filter(wanted) {
        eprintln!("measuring {}", bench.what);
        figures.extend((bench.measure)(context, options, &interrupt)?);
    }
    if context.json {
        stdout::json(&json!({ "runs": options.runs, "figures": figures }))?;
    } else {
        stdout::text(&sample::table(&figures))?;
    }
    Ok(())
}
