//! `flows/settings.js`: how Node-RED is set up. Everywhere the same; the environment decides about the editor.

use vocabulary::formats::javascript::{Expression, module};
use vocabulary::model::Platform;

use super::artifact::{Artifact, Committed, Made, banner};

pub const FAMILY: Committed = Committed {
    name: "node-red-settings",
    what: "flows/settings.js, what Node-RED is started with",
    source: file!(),
    make: generate,
};

/// The variable that is set only where the editor is on.
const EDITOR: &str = "EDITOR_PORT";

fn generate(_platform: &Platform) -> Made {
    let mut header = banner("xtask/artifacts/src/node_red_settings.rs");
    header.push(
        "No secret is read here; what the launcher adds (storage, logging, services) is in runtime/.".into(),
    );
    Ok(vec![Artifact::file("flows/settings.js", module(&header, &settings()))])
}

fn settings() -> Expression {
    use Expression::{Array, Boolean, Environment, Object, Path, Text};
    let with_editor = |then, otherwise| Expression::IfSet {
        variable: EDITOR,
        then: Box::new(then),
        otherwise: Box::new(otherwise),
    };
    let off = || Object(vec![("enabled", Boolean(false)), ("ui", Boolean(false))]);
    Object(vec![
        ("userDir", Environment("USER_DIR")),
        ("nodesDir", Array(vec![Path { folder: "FLOWS_DIR", relative: "nodes" }])),
        ("httpNodeRoot", Text("/")),
        ("httpAdminRoot", with_editor(Text("/admin"), Boolean(false))),
        ("disableEditor", with_editor(Boolean(false), Boolean(true))),
        ("readOnly", with_editor(Boolean(false), Boolean(true))),
        ("credentialSecret", Boolean(false)),
        ("apiMaxLength", Text("1mb")),
        ("functionExternalModules", Boolean(false)),
        ("exportGlobalContextKeys", Boolean(false)),
        (
            "externalModules",
            Object(vec![
                ("autoInstall", Boolean(false)),
                ("palette", Object(vec![("allowInstall", Boolean(false)), ("allowUpload", Boolean(false))])),
                ("modules", Object(vec![("allowInstall", Boolean(false))])),
            ]),
        ),
        ("telemetry", Object(vec![("enabled", Boolean(false)), ("updateNotification", Boolean(false))])),
        ("diagnostics", off()),
        ("runtimeState", off()),
        (
            "editorTheme",
            Object(vec![
                ("tours", Boolean(false)),
                ("page", Object(vec![("title", Text("Flowship"))])),
                ("header", Object(vec![("title", Text("Flowship"))])),
                ("projects", Object(vec![("enabled", Boolean(false))])),
            ]),
        ),
    ])
}
