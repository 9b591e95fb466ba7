//! `.dockerignore` as a list of what a build may see: everything else stays outside.

/// What is let in, and what stays outside although it lies below something that is let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Files and folders below the root.
    pub paths: Vec<String>,
    /// Patterns; `**/` matches at any depth.
    pub except: Vec<&'static str>,
}

/// `header` becomes comment lines at the top.
#[must_use]
pub fn write(header: &[String], allowed: &Allowed) -> String {
    let mut out: String = header.iter().map(|line| format!("# {line}\n")).collect();
    out.push_str("*\n");
    out.extend(allowed.paths.iter().map(|path| format!("!{path}\n")));
    out.extend(allowed.except.iter().map(|pattern| format!("{pattern}\n")));
    out
}

#[cfg(test)]
mod tests {
    use super::{Allowed, write};

    #[test]
    fn everything_else_stays_outside() {
        let allowed = Allowed { paths: vec!["flows/nodes".to_owned()], except: vec!["**/node_modules"] };
        assert_eq!(write(&["head".to_owned()], &allowed), "# head\n*\n!flows/nodes\n**/node_modules\n");
    }
}
