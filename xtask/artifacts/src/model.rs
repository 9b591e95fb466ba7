//! `docs/reference/platform.json`: the whole model as data, for other tools and for reviews by meaning.

use serde_json::{Value, json};
use vocabulary::formats::json::pretty;
use vocabulary::model::Platform;
use vocabulary::problem::Problem;

use super::artifact::{Artifact, Committed, Made};
use super::workflows;

pub const PATH: &str = "docs/reference/platform.json";

pub const FAMILY: Committed = Committed {
    name: "model",
    what: "docs/reference/platform.json: the model itself as data",
    source: file!(),
    make: generate,
};

fn generate(platform: &Platform) -> Made {
    Ok(vec![Artifact::file(PATH, pretty(&data(platform)?, 2))])
}

/// The platform, and what its workflows may do, as data.
///
/// # Errors
/// When the workflows cannot be made.
pub fn data(platform: &Platform) -> Result<Value, Vec<Problem>> {
    let mut value =
        serde_json::to_value(platform).map_err(|error| Problem::new("platform", error.to_string()))?;
    value["workflows"] = json!(workflows::workflows(platform)?);
    Ok(value)
}
