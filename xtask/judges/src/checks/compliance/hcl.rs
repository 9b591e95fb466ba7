//! Terraform files, each part with its line.

use std::rc::Rc;

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::structure::{Attribute, Block, Body};
use vocabulary::problem::Problem;

use super::row::Place;
use super::tree::Tree;

/// One file.
pub struct File {
    pub path: Rc<str>,
    text: String,
    pub body: Body,
}

impl File {
    /// Where something lies that was read from this file.
    pub fn place(&self, part: &impl Span) -> Place {
        let at = part.span().map_or(0, |span| span.start);
        let line = self.text[..at.min(self.text.len())].matches('\n').count() + 1;
        Place { file: self.path.clone(), line }
    }

    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// The files whose names end so, and why others are none.
pub fn files(tree: &Tree, ending: &str) -> (Vec<File>, Vec<Problem>) {
    let mut files = Vec::new();
    let mut broken = Vec::new();
    for path in tree.paths().filter(|path| path.ends_with(ending)) {
        let text = tree.text(path).unwrap_or_default();
        match hcl_edit::parser::parse_body(&text) {
            Ok(body) => files.push(File { path: path.clone(), text, body }),
            Err(error) => broken.push(
                Problem::new(
                    &Place { file: path.clone(), line: error.location().line() },
                    format!("this is not HCL: {}", error.message().replace('\n', " ")),
                )
                .remedy("write it so that Terraform can read it"),
            ),
        }
    }
    (files, broken)
}

pub fn blocks<'a>(body: &'a Body, kind: &'a str) -> impl Iterator<Item = &'a Block> {
    body.blocks().filter(move |block| block.ident.as_str() == kind)
}

pub fn label(block: &Block) -> &str {
    block.labels.first().map_or("", |label| label.as_str())
}

/// The text of an attribute that is one, without anything that is computed.
pub fn text<'a>(body: &'a Body, name: &str) -> Option<&'a str> {
    body.get_attribute(name).and_then(|attribute| attribute.value.as_str())
}

pub fn is_true(body: &Body, name: &str) -> bool {
    body.get_attribute(name).and_then(|attribute| attribute.value.as_bool()) == Some(true)
}

/// Every attribute of a body and of the blocks in it.
pub fn attributes(body: &Body) -> Vec<&Attribute> {
    let below = body.blocks().flat_map(|block| attributes(&block.body));
    body.attributes().chain(below).collect()
}

/// Names and values within an object, at any depth.
pub fn members(value: &Expression) -> Vec<(String, &Expression)> {
    match value {
        Expression::Object(object) => object
            .iter()
            .flat_map(|(key, value)| {
                let name = match key {
                    ObjectKey::Ident(name) => name.as_str().to_owned(),
                    ObjectKey::Expression(key) => key.as_str().unwrap_or_default().to_owned(),
                };
                let inside = members(value.expr());
                [(name, value.expr())].into_iter().chain(inside).collect::<Vec<_>>()
            })
            .collect(),
        Expression::Array(array) => array.iter().flat_map(members).collect(),
        _ => Vec::new(),
    }
}
