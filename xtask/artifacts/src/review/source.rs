//! Where a value is written: by the names of modules, never by looking for text. Pure.

/// Files below the root in which the value with these names may stand, the likeliest first: the caller takes the
/// first that exists.
pub fn of_value(names: &[String]) -> Vec<String> {
    let names: Vec<_> = names.iter().map(|name| name.replace('-', "_")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let modules = match names[..] {
        ["services", service, field, ..] => vec![format!("{service}_{field}"), service.to_owned()],
        ["services", service] => vec![service.to_owned()],
        ["gates", gate, ..] => vec![format!("gates/{gate}")],
        ["services"] | [] => vec!["lib".to_owned()],
        [field, ..] => vec![field.to_owned(), format!("{field}/mod"), "lib".to_owned()],
    };
    modules.into_iter().map(|module| format!("xtask/platform/src/{module}.rs")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::of_value;
    use crate::FAMILIES;
    use platform::platform;
    use vocabulary::model::command_metrics;

    fn text(candidates: &[String]) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let file = candidates.iter().map(|path| root.join(path)).find(|path| path.exists());
        fs::read_to_string(file.unwrap_or_else(|| panic!("none of {candidates:?} exists"))).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_files_hold_what_they_are_named_for() {
        for service in platform().services {
            let id = service.id.0;
            let file = text(&of_value(&names(&["services", id])));
            assert!(file.contains(&format!("ServiceId = ServiceId(\"{id}\")")), "{id}");
            let of_commands = command_metrics();
            for metric in service.metrics.iter().filter(|metric| !of_commands.contains(metric)) {
                let file = text(&of_value(&names(&["services", id, "metrics", metric.name.0])));
                assert!(file.contains(metric.name.0), "{id}: {}", metric.name);
            }
            for port in service.ports {
                let file = text(&of_value(&names(&["services", id, "ports", port.name])));
                assert!(file.contains(&format!("name: \"{}\"", port.name)), "{id}: {}", port.name);
            }
        }
        for secret in platform().secrets {
            assert!(text(&of_value(&names(&["secrets", secret.name.0]))).contains(secret.name.0));
        }
        for gate in platform().gates {
            assert!(text(&of_value(&names(&["gates", gate.id]))).contains(&format!("id: \"{}\"", gate.id)));
        }
        assert!(text(&of_value(&names(&["name"]))).contains(&format!("name: \"{}\"", platform().name)));
        for family in FAMILIES {
            assert!(text(&[family.source.to_owned()]).contains(&format!("name: \"{}\"", family.name)));
        }
    }
}
