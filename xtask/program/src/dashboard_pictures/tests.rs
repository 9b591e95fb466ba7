//! What pictures of dashboards show of curves that are whole, broken, hostile or none.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::Event;
use vocabulary::model::{DisplayUnit, Query};

use super::*;

const FROM: u64 = 1_793_696_707;

fn dashboard(panels: usize) -> Dashboard {
    let panel = || {
        let series = vocabulary::model::expression::Expression::Number(1.0);
        Panel {
            title: "A <panel> & \"more\"",
            about: "What it shows.",
            unit: DisplayUnit::Bytes,
            queries: vec![Query { expression: series, legend: "{{a}}" }],
        }
    };
    Dashboard {
        id: "one",
        title: "One",
        about: "All.",
        panels: std::iter::repeat_with(panel).take(panels).collect(),
    }
}

fn series(legend: &str, values: &[f64]) -> Series {
    let points = (0..).zip(values).map(|(at, value)| ((FROM + at * 15) as f64, *value)).collect();
    Series { legend: legend.to_owned(), points }
}

fn picture(panels: Vec<Drawn>) -> String {
    let dashboard = dashboard(panels.len());
    let footer = "Environment dev".to_owned();
    draw(&Shown { dashboard: &dashboard, panels, time: FROM..FROM + 600, step: 15, footer }).unwrap()
}

/// The texts of an XML document, and how many elements of a name it has; the lines of curves are wider than others. An XML parser reads it to its end.
fn read(svg: &str) -> (Vec<String>, BTreeMap<String, usize>) {
    let mut reader = Reader::from_str(svg);
    reader.config_mut().check_end_names = true;
    let (mut texts, mut counts) = (vec![String::new()], BTreeMap::new());
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {svg}")) {
            Event::Start(tag) | Event::Empty(tag) => {
                let is_curve = tag.attributes().any(|one| {
                    let one = one.unwrap();
                    one.key.as_ref() == "stroke-width" && &*one.value == "2"
                });
                let name = tag.name().as_ref().to_owned();
                *counts.entry(if is_curve { "curve".to_owned() } else { name }).or_default() += 1;
                texts.push(String::new());
            }
            Event::Text(text) => *texts.last_mut().unwrap() += &text,
            Event::GeneralRef(name) => {
                let name = name.to_string();
                let known = quick_xml::escape::resolve_predefined_entity(&name);
                *texts.last_mut().unwrap() += known.unwrap_or_else(|| panic!("&{name};"));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    (texts.iter().map(|text| text.trim().to_owned()).collect(), counts)
}

#[test]
fn labels_from_anywhere_are_text_and_nothing_else() {
    let long = "x".repeat(5000);
    for (label, shown) in [
        ("a <script>alert(1)</script> & \"b\" 'c'", "a <script>alert(1)</script> & \"b\" 'c'"),
        ("]]></text></svg><svg onload='x'>", "]]></text></svg><svg onload='x'>"),
        ("<!-- -- ]]> &lt; &#0;", "<!-- -- ]]> &lt; &#0;"),
        ("a\0b\x1b[31m\n", r"a\u{0}b\u{1b}[31m\u{a}"),
        ("right\u{202e}left", r"right\u{202e}left"),
        ("\u{ffff}", r"\u{ffff}"),
        ("größe 日本", "größe 日本"),
        (&long, &format!("{}…", "x".repeat(47))),
    ] {
        let svg = picture(vec![Ok(vec![series(label, &[1.0, 2.0])]), Err(label.to_owned())]);
        let (texts, counts) = read(&svg);
        assert!(texts.contains(&shown.to_owned()), "{label:?}: {texts:#?}");
        let names: Vec<_> = counts.keys().map(String::as_str).collect();
        assert_eq!(names, ["curve", "line", "metadata", "polyline", "rect", "svg", "text"], "{label:?}");
        assert!(
            texts.contains(&"A <panel> & \"more\"".to_owned())
                && texts.contains(&"the query failed".to_owned())
        );
    }
}

#[test]
fn curves_break_where_there_is_no_value() {
    let (nan, endless) = (f64::NAN, f64::INFINITY);
    let far = Series {
        legend: "a".into(),
        points: vec![(FROM as f64, 1.0), ((FROM + 15) as f64, 1.0), ((FROM + 600) as f64, 1.0)],
    };
    let counted = |drawn: Vec<Series>| {
        let (texts, counts) = read(&picture(vec![Ok(drawn)]));
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        (count("curve"), count("circle"), texts.contains(&"no data".to_owned()))
    };
    for (drawn, expected) in [
        (vec![], (0, 0, true)),
        (vec![series("a", &[])], (0, 0, true)),
        (vec![series("a", &[nan, endless, -endless])], (0, 0, true)),
        (vec![series("a", &[1.0])], (0, 1, false)),
        (vec![series("a", &[0.0, 0.0])], (1, 0, false)),
        (vec![series("a", &[1.0, 2.0]), series("b", &[nan])], (1, 0, false)),
        (vec![series("a", &[1.0, 2.0, nan, 2.0, 1.0, endless, 3.0])], (2, 1, false)),
        (vec![far], (1, 1, false)),
        (vec![series("a", &[-1.0, f64::MAX, f64::MIN_POSITIVE])], (0, 2, false)),
        (vec![series("a", &[f64::MIN, f64::MAX])], (0, 0, true)),
        (vec![series("a", &[-1e299, 1e299])], (1, 0, false)),
        (vec![series("a", &[f64::MIN_POSITIVE, 0.0])], (1, 0, false)),
    ] {
        assert_eq!(counted(drawn.clone()), expected, "{drawn:?}");
    }
}

#[test]
fn a_panel_says_how_many_curves_it_leaves_out() {
    let many: Vec<_> = (0..100).map(|at| series(&format!("curve {at}"), &[1.0, f64::from(at)])).collect();
    let (texts, _) = read(&picture(vec![Ok(many)]));
    assert!(texts.contains(&"curve 23".to_owned()) && !texts.contains(&"curve 24".to_owned()), "{texts:#?}");
    assert!(texts.contains(&"and 76 more, not drawn".to_owned()), "{texts:#?}");
}

#[test]
fn a_legend_has_the_last_value_of_what_has_not_ended() {
    let running =
        Series { legend: "runs".into(), points: vec![(FROM as f64, 1.0), ((FROM + 600) as f64, 1536.0)] };
    let (texts, _) = read(&picture(vec![Ok(vec![running, series("ended", &[1024.0, 512.0])])]));
    for text in ["runs: 1.5 KiB", "ended"] {
        assert!(texts.contains(&text.to_owned()), "{text}: {texts:#?}");
    }
}

#[test]
fn a_picture_carries_the_mark_of_what_it_shows() {
    let one = dashboard(2);
    assert!(picture(vec![Ok(vec![]), Ok(vec![])]).contains(&mark(&one)));
    let mut other = one.clone();
    other.panels[1].queries[0].legend = "{{b}}";
    assert_ne!(mark(&one), mark(&other));
}
