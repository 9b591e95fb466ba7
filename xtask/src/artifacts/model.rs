//! `docs/reference/platform.json`: the whole model as data, for other tools and for reviews by meaning.

use serde_json::{Value, json};
use vocabulary::formats::json::pretty;
use vocabulary::model::Platform;

use super::artifact::{Artifact, Family};
use super::workflows;

pub const PATH: &str = "docs/reference/platform.json";

pub const FAMILY: Family = Family {
    name: "model",
    what: "docs/reference/platform.json: the model itself as data",
    source: file!(),
    generate,
};

fn generate(platform: &Platform) -> Vec<Artifact> {
    vec![Artifact::file(PATH, pretty(&data(platform), 2))]
}

/// The platform, and what its workflows may do, as data.
pub fn data(platform: &Platform) -> Value {
    let mut value = serde_json::to_value(platform).expect("the model has only string keys");
    value["workflows"] = json!(workflows::workflows(platform));
    value["actions"] = json!(workflows::actions(platform));
    value
}
