//! Looks at what a pass of now would rest on.

use anyhow::Result;

use super::inputs::Tree;
use super::records::{self, Basis};
use super::versions;
use crate::context::Context;
use crate::tools::Toolbox;

/// With the versions of these programs.
///
/// # Errors
/// When the tree cannot be read.
pub fn observe<'a>(
    context: &Context,
    toolbox: &Toolbox,
    programs: impl IntoIterator<Item = &'a str>,
) -> Result<Basis> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(Basis {
        tree: Tree::observe(&context.root)?,
        versions: versions::observe(context, toolbox, programs),
        environment: records::environment(variables),
    })
}
