//! `.gitattributes`: generated files are marked, so that reviews fold them and statistics leave them out.

use vocabulary::formats::gitattributes::{Line, write};
use vocabulary::model::Platform;

use super::{ledger, sources};
use artifacts::{self, Artifact, Committed, Made, banner};

pub const PATH: &str = ".gitattributes";

pub const FAMILY: Committed = Committed {
    name: "gitattributes",
    what: ".gitattributes: line ends, and which files are generated",
    source: file!(),
    make: generate,
};

fn generate(platform: &Platform) -> Made {
    artifacts::generate(&sources(), platform).map(|others| vec![listing(&others)])
}

/// Of everything that the other families make.
pub fn listing(others: &[Artifact]) -> Artifact {
    let mut lines: Vec<_> =
        banner("the families under xtask/artifacts/src").into_iter().map(Line::Comment).collect();
    lines.push(Line::Attributes { pattern: "*".into(), attributes: vec!["text=auto", "eol=lf"] });
    let mut paths: Vec<_> = others.iter().map(|artifact| artifact.path.as_str()).collect();
    paths.extend([ledger::PATH, PATH]);
    paths.sort();
    lines.extend(paths.into_iter().map(|path| Line::Attributes {
        pattern: format!("/{path}"),
        attributes: vec!["linguist-generated=true"],
    }));
    Artifact::file(PATH, write(&lines))
}
