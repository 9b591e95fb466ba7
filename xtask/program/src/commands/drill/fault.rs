//! What is wrong with the broken releases, as a change of the tree that they are made of.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::Value;

use foundation::files;

/// What a replica runs first.
const LAUNCHER: &str = "flows/runtime/main.js";
const FLOWS: &str = "flows/flows.json";

/// So many seconds after it was admitted, a release that turns bad does.
const TURNS_BAD_SECONDS: u64 = 5;

/// How a release is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Its workflows call a tool that there is not.
    FailsSmoke,
    CrashesAtStart,
    /// It runs other flows than its manifest names.
    OtherFlows,
    /// It is ready at first, and then no more.
    TurnsBad,
    NeverReady,
}

impl Fault {
    pub const ALL: [Self; 5] =
        [Self::FailsSmoke, Self::CrashesAtStart, Self::OtherFlows, Self::TurnsBad, Self::NeverReady];

    pub const fn words(self) -> &'static str {
        match self {
            Self::FailsSmoke => "fails smoke checks",
            Self::CrashesAtStart => "crashes at start",
            Self::OtherFlows => "runs other flows",
            Self::TurnsBad => "becomes unhealthy later",
            Self::NeverReady => "never becomes ready",
        }
    }

    /// Whether a deploy that watches its result for so long must notice.
    pub fn shows_within(self, watch: Duration) -> bool {
        self != Self::TurnsBad || watch > Duration::from_secs(TURNS_BAD_SECONDS)
    }

    /// Breaks the tree.
    ///
    /// # Errors
    /// A file of the tree is not what it was.
    pub fn plant(self, tree: &Path) -> Result<()> {
        let fails_when = |condition: &str| {
            format!(
                "const readiness = require('./readiness');\nconst {{ createReadiness }} = readiness;\nconst fs \
                 = require('node:fs');\nlet admitted;\nreadiness.createReadiness = () => {{\n  const made = createReadiness();\n  \
                 made.register('drill', () => {{ if ({condition}) throw new Error('broken by the drill'); }});\n  \
                 return made;\n}};\n"
            )
        };
        match self {
            Self::FailsSmoke => edit_flows(tree, "mcp-call", "tool", "no_such_tool"),
            Self::CrashesAtStart => launch_with(tree, "throw new Error('broken by the drill');\n"),
            Self::OtherFlows => launch_with(
                tree,
                "const project = require('./project');\nconst { assemble, revision } = project;\nproject.assemble = \
                 (...args) => {\n  const made = assemble(...args);\n  const all = made.all.map((node) => (node.type \
                 === 'tab' ? { ...node, info: 'changed by the drill' } : node));\n  return { ...made, all, rev: \
                 revision(all) };\n};\n",
            ),
            Self::TurnsBad => {
                // From when nothing holds it any more: it has to get that far on a slow machine too.
                launch_with(
                    tree,
                    &fails_when(&format!(
                        "!fs.existsSync(process.env.HOLD_FILE) && Date.now() - (admitted ??= Date.now()) > \
                         {TURNS_BAD_SECONDS}000"
                    )),
                )
            }
            Self::NeverReady => launch_with(tree, &fails_when("true")),
        }
    }
}

/// Gives the tree other flows, which do the same.
///
/// # Errors
/// As [`Fault::plant`].
pub fn revise(tree: &Path) -> Result<()> {
    edit_flows(tree, "tab", "info", "The second release of the drill.")
}

/// Sets a field of every node of a type.
fn edit_flows(tree: &Path, kind: &str, field: &str, value: &str) -> Result<()> {
    let path = tree.join(FLOWS);
    let mut nodes: Vec<Value> = serde_json::from_str(&files::text(&path, files::TEXT)?)
        .with_context(|| path.display().to_string())?;
    let mut found = nodes.iter_mut().filter(|node| node["type"] == kind).peekable();
    if found.peek().is_none() {
        bail!("{}: no node of the type {kind}; expected one to change", path.display());
    }
    found.for_each(|node| node[field] = value.into());
    files::write::whole(&path, 0o644, serde_json::to_string_pretty(&nodes)?)
}

/// Has the launcher do something first.
fn launch_with(tree: &Path, first: &str) -> Result<()> {
    let path = tree.join(LAUNCHER);
    let launcher = files::text(&path, files::TEXT)?;
    files::write::whole(&path, 0o644, format!("{first}{launcher}"))
}
