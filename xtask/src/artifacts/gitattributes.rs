//! `.gitattributes`: generated files are marked, so that reviews fold them and statistics leave them out.

use vocabulary::formats::gitattributes::{Line, write};
use vocabulary::model::Platform;

use super::artifact::{Artifact, Family, banner};
use super::{FAMILIES, ledger};

pub const PATH: &str = ".gitattributes";

pub const FAMILY: Family = Family {
    name: "gitattributes",
    what: ".gitattributes: line ends, and which files are generated",
    source: file!(),
    generate,
};

fn generate(platform: &Platform) -> Vec<Artifact> {
    let mut lines: Vec<_> =
        banner("the families under xtask/src/artifacts").into_iter().map(Line::Comment).collect();
    lines.push(Line::Attributes { pattern: "*".into(), attributes: vec!["text=auto", "eol=lf"] });
    let mut paths: Vec<_> = FAMILIES
        .iter()
        .filter(|family| family.name != FAMILY.name)
        .flat_map(|family| (family.generate)(platform))
        .map(|artifact| artifact.path)
        .chain([ledger::PATH.to_owned(), PATH.to_owned()])
        .collect();
    paths.sort();
    lines.extend(paths.into_iter().map(|path| Line::Attributes {
        pattern: format!("/{path}"),
        attributes: vec!["linguist-generated=true"],
    }));
    vec![Artifact::file(PATH, write(&lines))]
}
