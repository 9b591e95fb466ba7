//! `docs/reference/platform.json`: the whole model as data, for other tools and for reviews by meaning.

use vocabulary::formats::json;
use vocabulary::model::Platform;

use super::artifact::{Artifact, Family};

pub const FAMILY: Family = Family {
    name: "model",
    what: "docs/reference/platform.json: the model itself as data",
    source: file!(),
    generate,
};

fn generate(platform: &Platform) -> Vec<Artifact> {
    let value = serde_json::to_value(platform).expect("the model has only string keys");
    vec![Artifact::file("docs/reference/platform.json", json::pretty(&value, 2))]
}
