//! A run as one HTML page: what ran when, as bars in an SVG, and the table. It needs no script, no network and no other file.

use anyhow::Result;
use quick_xml::Writer;
use quick_xml::events::{BytesText, Event};

use super::super::summary::{GateResult, Piece, Row, seconds};
use super::Run;
use runner::plan::log::plain;
use runner::plan::report::Status;

type Page = Writer<Vec<u8>>;
type Written = std::io::Result<()>;

/// Colours by outcome, in light and dark; each outcome is also told in words.
const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1f2328; --dim: #59636e; --ground: #ffffff; --line: #d1d9e0;
  --passed: #1a7f37; --failed: #cf222e; --unchanged: #6e7781; --not-run: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9198a1; --ground: #0d1117; --line: #3d444d;
  --passed: #3fb950; --failed: #f85149; --unchanged: #8b949e; --not-run: #d29922; } }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: var(--ink); background: var(--ground);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; }
p { color: var(--dim); margin: .3rem 0 1.5rem; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); }
svg text.dim { fill: var(--dim); }
svg line { stroke: var(--line); }
.passed { fill: var(--passed); color: var(--passed); }
.failed { fill: var(--failed); color: var(--failed); }
.unchanged { fill: var(--unchanged); color: var(--unchanged); }
.not-run { fill: var(--not-run); color: var(--not-run); }
table { border-collapse: collapse; width: 100%; margin-top: 1.5rem; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th:nth-child(3), td.time { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.result { white-space: nowrap; font-weight: 600; }
";

/// Of the drawing, in its own units.
const WIDTH: u64 = 1000;
const LABELS: u64 = 170;
const ROW: u64 = 24;
const HEAD: u64 = 24;

pub fn page(run: &Run<'_>) -> Result<String> {
    let mut page = Writer::new_with_indent(Vec::new(), b' ', 1);
    page.write_event(Event::DocType(BytesText::new("html")))?;
    page.create_element("html").with_attribute(("lang", "en")).write_inner_content(|page| {
        page.create_element("head").write_inner_content(|page| {
            page.create_element("meta").with_attribute(("charset", "utf-8")).write_empty()?;
            page.create_element("meta")
                .with_attributes([("name", "viewport"), ("content", "width=device-width, initial-scale=1")])
                .write_empty()?;
            text(page, "title", &[], &format!("cargo xtask ci: {}", verdict(run)))?;
            text(page, "style", &[], STYLE)
        })?;
        page.create_element("body").write_inner_content(|page| {
            text(page, "h1", &[], &format!("cargo xtask ci: {}", verdict(run)))?;
            let commit = run.commit.map_or(String::new(), |commit| format!(", at commit {commit}"));
            let about = format!("begun {}, took {}{commit}", run.started_at, seconds(run.duration_ms));
            text(page, "p", &[], &about)?;
            drawing(page, run)?;
            table(page, run.rows)
        })?;
        Ok(())
    })?;
    Ok(String::from_utf8(page.into_inner())? + "\n")
}

fn verdict(run: &Run<'_>) -> String {
    let failed: Vec<_> =
        run.rows.iter().filter(|row| row.result == GateResult::Failed).map(|row| row.gate).collect();
    match (failed.is_empty(), run.interrupted) {
        (_, true) => "interrupted".to_owned(),
        (true, false) => "passed".to_owned(),
        (false, false) => format!("failed: {}", failed.join(", ")),
    }
}

fn text(page: &mut Page, name: &str, attributes: &[(&str, &str)], words: &str) -> Written {
    let element = page.create_element(name).with_attributes(attributes.iter().copied());
    element.write_text_content(BytesText::new(words))?;
    Ok(())
}

fn drawing(page: &mut Page, run: &Run<'_>) -> Written {
    let height = HEAD + ROW * run.rows.len() as u64 + 4;
    let view = format!("0 0 {WIDTH} {height}");
    let label = "When each gate ran; the table below says the same in words";
    let svg = page.create_element("svg").with_attributes([
        ("xmlns", "http://www.w3.org/2000/svg"),
        ("viewBox", &*view),
        ("role", "img"),
        ("aria-label", label),
    ]);
    svg.write_inner_content(|page| {
        let ends = run.rows.iter().flat_map(|row| &row.steps).map(|step| step.started_ms + step.duration_ms);
        let total = ends.max().unwrap_or(0).max(1);
        let step = spacing(total);
        for tick in (0..=total / step).map(|index| index * step) {
            let x = position(tick, total).to_string();
            let bottom = height.to_string();
            page.create_element("line")
                .with_attributes([("x1", &*x), ("x2", &x), ("y1", "18"), ("y2", &bottom)])
                .write_empty()?;
            text(page, "text", &[("x", &x), ("y", "13"), ("class", "dim")], &seconds(tick))?;
        }
        run.rows.iter().enumerate().try_for_each(|(index, row)| lane(page, index as u64, row, total))
    })?;
    Ok(())
}

fn lane(page: &mut Page, index: u64, row: &Row, total: u64) -> Written {
    let top = HEAD + ROW * index;
    let baseline = (top + 15).to_string();
    text(page, "text", &[("x", "0"), ("y", &baseline)], row.gate)?;
    for step in &row.steps {
        let x = position(step.started_ms, total);
        // What took no time is seen too.
        let width = position(step.started_ms + step.duration_ms, total).saturating_sub(x).max(2);
        let (x, width, top) = (x.to_string(), width.to_string(), (top + 3).to_string());
        let attributes = [
            ("x", &*x),
            ("y", &top),
            ("width", &width),
            ("height", "16"),
            ("rx", "2"),
            ("class", colour(step.status)),
        ];
        page.create_element("rect")
            .with_attributes(attributes)
            .write_inner_content(|page| text(page, "title", &[], &told(step)))?;
    }
    if row.steps.is_empty() {
        let x = (LABELS + 6).to_string();
        let class = [("x", &*x), ("y", &*baseline), ("class", "dim")];
        text(page, "text", &class, &remark(row))?;
    }
    Ok(())
}

fn told(step: &Piece) -> String {
    format!(
        "{}: {}, from {} to {}",
        step.title,
        step.status.words(),
        seconds(step.started_ms),
        seconds(step.started_ms + step.duration_ms)
    )
}

fn position(milliseconds: u64, total: u64) -> u64 {
    LABELS + milliseconds * (WIDTH - LABELS - 40) / total
}

/// Milliseconds between two ticks: a round number, at most twelve of them.
fn spacing(total: u64) -> u64 {
    let round = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000];
    round.into_iter().find(|step| total / step <= 12).unwrap_or(total / 12)
}

fn colour(status: Status) -> &'static str {
    match status {
        Status::Done | Status::AlreadyThere | Status::AlreadyDone => "passed",
        Status::Failed => "failed",
        Status::Interrupted | Status::NotStarted => "not-run",
    }
}

fn table(page: &mut Page, rows: &[Row]) -> Written {
    page.create_element("table").write_inner_content(|page| {
        page.create_element("thead").write_inner_content(|page| {
            page.create_element("tr").write_inner_content(|page| {
                ["Gate", "Result", "Time", "Remark"]
                    .iter()
                    .try_for_each(|name| text(page, "th", &[("scope", "col")], name))
            })?;
            Ok(())
        })?;
        page.create_element("tbody").write_inner_content(|page| {
            rows.iter().try_for_each(|row| {
                let (class, word) = match row.result {
                    GateResult::Passed => ("passed", "passed"),
                    GateResult::Unchanged => ("unchanged", "unchanged"),
                    GateResult::Failed => ("failed", "failed"),
                    GateResult::NotRun => ("not-run", "not run"),
                };
                let time =
                    if row.result == GateResult::NotRun { String::new() } else { seconds(row.duration_ms) };
                page.create_element("tr").write_inner_content(|page| {
                    text(page, "td", &[], row.gate)?;
                    text(page, "td", &[("class", &format!("result {class}"))], word)?;
                    text(page, "td", &[("class", "time")], &time)?;
                    text(page, "td", &[], &remark(row))
                })?;
                Ok(())
            })
        })?;
        Ok(())
    })?;
    Ok(())
}

fn remark(row: &Row) -> String {
    match row.result {
        GateResult::Passed => String::new(),
        GateResult::Unchanged => {
            format!("unchanged since the run of {}", row.since.as_deref().unwrap_or_default())
        }
        GateResult::Failed => plain(row.error.as_deref().unwrap_or_default()),
        GateResult::NotRun => {
            row.reason.clone().unwrap_or_else(|| "the run ended before this gate".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_the_last_bar_ends_within_the_drawing() {
        for total in [1, 999, 12_345, 500_000, 40_000_000] {
            assert!(total / spacing(total) <= 13, "{total}");
            assert!(position(total, total) < WIDTH);
        }
    }
}
