//! Dashboards as pictures: curves that were asked for elsewhere become SVG, for who has no Grafana and for the docs. Pure.

mod scale;

use std::ops::Range;

use foundation::{digest, escape};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::json;
use vocabulary::model::{Dashboard, Panel};

use scale::Scale;

/// Of a picture, in pixels. Panels stand in two columns, as in Grafana.
const WIDTH: u32 = 1040;
const COLUMN: u32 = WIDTH / 2;
const HEAD: u32 = 60;
const FOOT: u32 = 40;
/// Of a panel.
const CURVES: u32 = 170;
const MARGIN: u32 = 16;
const LINE: u32 = 15;
/// Letters that fit into a panel, at most.
const LETTERS: usize = 84;
/// Of a legend, which comes from labels, and so from anywhere.
const LEGEND: usize = 48;
/// Curves that one panel can show.
const MOST: usize = 24;
/// Axes cannot have more, and what is no number is not below it.
const HIGHEST: f64 = 1e300;
/// The width of two letters of a legend, on average.
const TWO_LETTERS: u32 = 13;

/// Sizes of letters: the library divides them by 1.24, after it has cut them to whole ones.
const SMALL: u32 = 14;
const LARGE: u32 = 17;
const HUGE: u32 = 22;

const INK: RGBColor = RGBColor(36, 41, 47);
const PALE: RGBColor = RGBColor(101, 109, 118);
const GRID: RGBColor = RGBColor(225, 228, 232);
const FAULT: RGBColor = RGBColor(186, 26, 26);
/// Tableau 10.
const COLOURS: [RGBColor; 10] = [
    RGBColor(78, 121, 167),
    RGBColor(242, 142, 43),
    RGBColor(89, 161, 79),
    RGBColor(225, 87, 89),
    RGBColor(176, 122, 161),
    RGBColor(156, 117, 95),
    RGBColor(237, 201, 72),
    RGBColor(118, 183, 178),
    RGBColor(255, 157, 167),
    RGBColor(186, 176, 172),
];

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub legend: String,
    /// Seconds since 1970, and the value, which may be no number.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// The points that can be drawn: what is no number cannot.
    fn drawable(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().copied().filter(|(_, value)| value.abs() < HIGHEST)
    }

    pub fn is_empty(&self) -> bool {
        self.drawable().next().is_none()
    }
}

/// The curves of a panel, or why there are none.
pub type Drawn = Result<Vec<Series>, String>;

/// What a picture shows.
#[derive(Debug)]
pub struct Shown<'a> {
    pub dashboard: &'a Dashboard,
    /// In the order of the dashboard's.
    pub panels: Vec<Drawn>,
    /// In seconds since 1970.
    pub time: Range<u64>,
    /// Seconds between two points; where more lie between, the curve breaks.
    pub step: u64,
    pub footer: String,
}

/// By which a picture says which version of which dashboard it shows.
pub fn mark(dashboard: &Dashboard) -> String {
    format!(
        "<metadata>dashboard {} sha256 {}</metadata>",
        dashboard.id,
        digest::sha256(json!(dashboard).to_string())
    )
}

/// # Errors
/// The library fails, which writes into memory only.
pub fn draw(shown: &Shown<'_>) -> anyhow::Result<String> {
    let panels: Vec<_> = shown.dashboard.panels.iter().zip(&shown.panels).collect();
    let of_row = |row: &[(&Panel, &Drawn)]| {
        row.iter().map(|(panel, drawn)| height(shown, panel, drawn)).max().unwrap_or(0)
    };
    let heights: Vec<u32> = panels.chunks(2).map(of_row).collect();
    let size = (WIDTH, HEAD + heights.iter().sum::<u32>() + FOOT);
    let mut svg = String::new();
    {
        let all = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        all.fill(&WHITE)?;
        write(&all, shown.dashboard.title, (MARGIN, 14), HUGE, &INK)?;
        write(&all, shown.dashboard.about, (MARGIN, 38), SMALL, &PALE)?;
        let mut top = HEAD;
        for (row, height) in panels.chunks(2).zip(&heights) {
            for (column, (panel, drawn)) in (0..).zip(row) {
                let place = all.clone().shrink((column * COLUMN, top), (COLUMN, *height));
                draw_panel(&place, shown, panel, drawn)?;
            }
            top += height;
        }
        write(&all, &shown.footer, (MARGIN, size.1 - 26), SMALL, &PALE)?;
        all.present()?;
    }
    Ok(svg.replacen('\n', &format!("\n{}\n", mark(shown.dashboard)), 1))
}

/// An axis that chooses the places of its labels itself.
struct Axis {
    range: Range<f64>,
    marks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { vec![] } else { self.marks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn write(area: &Area<'_>, text: &str, at: (u32, u32), size: u32, colour: &RGBColor) -> anyhow::Result<()> {
    let style = ("sans-serif", size).into_text_style(area).color(colour);
    let at = (i32::try_from(at.0)?, i32::try_from(at.1)?);
    Ok(area.draw_text(text, &style, at)?)
}

/// A panel's curves that have a point, and their axis.
struct Plot {
    curves: Vec<Curve>,
    /// Curves that are left out.
    more: usize,
    scale: Scale,
    /// The labels of the axis in its unit, and their distance.
    marks: Vec<f64>,
    step: f64,
}

struct Curve {
    legend: String,
    /// Whose points follow each other.
    stretches: Vec<Vec<(f64, f64)>>,
}

impl Plot {
    /// None without data.
    fn of(shown: &Shown<'_>, panel: &Panel, series: &[Series]) -> Option<Self> {
        let all: Vec<_> = series.iter().filter(|one| !one.is_empty()).collect();
        let drawn = &all[..all.len().min(MOST)];
        let values = || drawn.iter().flat_map(|one| one.drawable().map(|(_, value)| value));
        let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
        let scale = Scale::of(panel.unit, low.abs().max(high.abs()));
        let (marks, step) = scale::steps(low / scale.per, high / scale.per, 4.0);
        let near = |before: f64, after: f64| after - before <= shown.step as f64 * 1.5;
        let curve = |one: &&Series| {
            let mut stretches: Vec<Vec<(f64, f64)>> = Vec::new();
            for point in one.drawable() {
                match stretches.last_mut() {
                    Some(last) if last.last().is_some_and(|before| near(before.0, point.0)) => {
                        last.push(point)
                    }
                    _ => stretches.push(vec![point]),
                }
            }
            // Equal curves hide each other, and nobody can point at one here. What has ended has no value.
            let last = one.drawable().last().filter(|(time, _)| near(*time, shown.time.end as f64));
            let last = last.map(|(_, value)| format!(": {}", scale.exact(value / scale.per, step)));
            Curve { legend: cut(&one.legend, LEGEND) + &last.unwrap_or_default(), stretches }
        };
        Some(Self {
            curves: drawn.iter().map(curve).collect(),
            more: all.len() - drawn.len(),
            scale,
            marks,
            step,
        })
    }

    /// Where each legend stands, in rows, and how many rows there are. The last one may say that there are more.
    fn legends(&self) -> (Vec<(String, u32, u32)>, u32) {
        let more = (self.more > 0).then(|| format!("and {} more, not drawn", self.more));
        let (mut left, mut row) = (0, 0);
        let mut places = Vec::new();
        for name in self.curves.iter().map(|curve| curve.legend.clone()).chain(more) {
            let width = u32::try_from(name.chars().count()).unwrap_or(0) * TWO_LETTERS / 2 + 30;
            if left > 0 && left + width > COLUMN - 2 * MARGIN {
                (left, row) = (0, row + 1);
            }
            places.push((name, left, row));
            left += width;
        }
        (places, row + 1)
    }
}

/// Words in lines that are not longer than that.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = cut(word, LETTERS);
        let last = lines.last_mut().expect("one is there from the beginning");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > LETTERS {
            lines.push(word);
        } else {
            let blank = if last.is_empty() { "" } else { " " };
            *last += &format!("{blank}{word}");
        }
    }
    lines
}

fn cut(text: &str, most: usize) -> String {
    let text = escape::name(text);
    if text.chars().count() <= most {
        return text.into_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn height(shown: &Shown<'_>, panel: &Panel, drawn: &Drawn) -> u32 {
    let plot = drawn.as_ref().ok().and_then(|series| Plot::of(shown, panel, series));
    let rows = plot.map_or(1, |plot| plot.legends().1);
    let about = u32::try_from(wrapped(panel.about).len()).unwrap_or(1);
    24 + about * LINE + CURVES + rows * LINE + MARGIN
}

fn draw_panel(area: &Area<'_>, shown: &Shown<'_>, panel: &Panel, drawn: &Drawn) -> anyhow::Result<()> {
    write(area, panel.title, (MARGIN, 4), LARGE, &INK)?;
    let mut top = 24;
    for line in wrapped(panel.about) {
        write(area, &line, (MARGIN, top), SMALL, &PALE)?;
        top += LINE;
    }
    let series = match drawn {
        Ok(series) => series,
        Err(error) => {
            write(area, "the query failed", (MARGIN, top + 20), LARGE, &FAULT)?;
            for (row, line) in (0..6).zip(wrapped(error)) {
                write(area, &line, (MARGIN, top + 42 + row * LINE), SMALL, &FAULT)?;
            }
            return Ok(());
        }
    };
    let Some(plot) = Plot::of(shown, panel, series) else {
        return write(area, "no data", (COLUMN / 2 - 24, top + CURVES / 2 - 10), LARGE, &PALE);
    };
    let (legends, _) = plot.legends();
    let Plot { curves, scale, marks, step, .. } = plot;
    let (low, high) = (marks[0], marks[marks.len() - 1]);
    let (times, between) = scale::times(shown.time.start, shown.time.end, 6);

    let place = area.clone().shrink((MARGIN, top), (COLUMN - 2 * MARGIN, CURVES));
    let time = shown.time.start as f64..shown.time.end as f64;
    // A curve at the upper end is drawn below it, not on it.
    let value = low..high + (high - low) * 0.04;
    let mut chart = ChartBuilder::on(&place)
        .margin_top(8)
        .margin_right(8)
        .x_label_area_size(22)
        .y_label_area_size(62)
        .build_cartesian_2d(
            Axis { range: time, marks: times.into_iter().map(|seconds| seconds as f64).collect() },
            Axis { range: value, marks },
        )?;
    let style = |across| {
        ("sans-serif", SMALL).into_text_style(&place).color(&PALE).pos(Pos::new(across, VPos::Center))
    };
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID)
        .x_label_style(style(HPos::Center).pos(Pos::new(HPos::Center, VPos::Top)))
        .y_label_style(style(HPos::Right))
        .x_label_formatter(&|seconds| scale::time(*seconds as u64, between))
        .y_label_formatter(&|number| scale.label(*number, step))
        .draw()?;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        for stretch in &curve.stretches {
            let scaled = stretch.iter().map(|(time, value)| (*time, value / scale.per));
            if stretch.len() == 1 {
                chart.draw_series(scaled.map(|point| Circle::new(point, 2, colour.filled())))?;
            } else {
                chart.draw_series(LineSeries::new(scaled, colour.stroke_width(2)))?;
            }
        }
    }
    let top = top + CURVES + 4;
    for (at, (name, left, row)) in legends.iter().enumerate() {
        let (left, top) = (MARGIN + left, top + row * LINE);
        if at < curves.len() {
            let (x, y) = (i32::try_from(left)?, i32::try_from(top)? + 5);
            area.draw(&Rectangle::new([(x, y), (x + 12, y + 3)], COLOURS[at % COLOURS.len()].filled()))?;
        }
        write(area, name, (left + 17, top), SMALL, &INK)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
