//! A run as JUnit XML, the form in which CI systems take the results of tests: a test case for each gate.

use anyhow::Result;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::super::summary::{GateResult, Row};
use super::Run;
use runner::plan::log::plain;

/// `tail` gives the end of a failed gate's log.
pub fn document(run: &Run<'_>, tail: &dyn Fn(&Row) -> String) -> Result<String> {
    let count = |result: GateResult| run.rows.iter().filter(|row| row.result == result).count().to_string();
    let (tests, failures, skipped) =
        (run.rows.len().to_string(), count(GateResult::Failed), count(GateResult::NotRun));
    let time = seconds(run.duration_ms);
    let totals = [
        ("name", "cargo xtask ci"),
        ("tests", &tests),
        ("failures", &failures),
        ("errors", "0"),
        ("skipped", &skipped),
        ("time", &time),
        ("timestamp", run.started_at.trim_end_matches('Z')),
    ];
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let outer = totals.iter().filter(|(name, _)| !["skipped", "timestamp"].contains(name)).copied();
    writer.create_element("testsuites").with_attributes(outer).write_inner_content(|writer| {
        writer
            .create_element("testsuite")
            .with_attributes(totals)
            .write_inner_content(|writer| run.rows.iter().try_for_each(|row| case(writer, row, tail)))?;
        Ok(())
    })?;
    Ok(String::from_utf8(writer.into_inner())? + "\n")
}

fn case(writer: &mut Writer<Vec<u8>>, row: &Row, tail: &dyn Fn(&Row) -> String) -> std::io::Result<()> {
    let time = seconds(row.duration_ms);
    let case = writer.create_element("testcase").with_attributes([
        ("name", row.gate),
        ("classname", row.group),
        ("time", &time),
    ]);
    let error = plain(row.error.as_deref().unwrap_or_default());
    match row.result {
        GateResult::Passed => case.write_empty()?,
        GateResult::Unchanged => case.write_inner_content(|writer| {
            let since = row.since.as_deref().unwrap_or_default();
            let text = format!("unchanged since it passed at {since}");
            writer.create_element("system-out").write_text_content(BytesText::new(&text))?;
            Ok(())
        })?,
        GateResult::Failed => case.write_inner_content(|writer| {
            writer
                .create_element("failure")
                .with_attributes([("message", &*error), ("type", "gate")])
                .write_text_content(BytesText::new(&tail(row)))?;
            Ok(())
        })?,
        GateResult::NotRun => case.write_inner_content(|writer| {
            let why = row.reason.as_deref().unwrap_or_default();
            writer.create_element("skipped").with_attribute(("message", why)).write_empty()?;
            Ok(())
        })?,
    };
    Ok(())
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}
