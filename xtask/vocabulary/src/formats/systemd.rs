//! Unit files, as `systemd.unit(5)` has them.

/// A file: sections and their settings, in order. Values need no quoting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub sections: Vec<(&'static str, Vec<Setting>)>,
}

/// `KEY=VALUE`, under a comment that says why, where it is not plain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub key: &'static str,
    pub value: String,
    pub why: &'static str,
}

impl Setting {
    #[must_use]
    pub fn of(key: &'static str, value: impl Into<String>) -> Self {
        Self { key, value: value.into(), why: "" }
    }

    #[must_use]
    pub fn because(self, why: &'static str) -> Self {
        Self { why, ..self }
    }
}

impl Unit {
    /// `header` becomes comment lines at the top.
    #[must_use]
    pub fn write(&self, header: &[String]) -> String {
        let mut out: String = header.iter().map(|line| format!("# {line}\n")).collect();
        for (name, settings) in &self.sections {
            out += &format!("\n[{name}]\n");
            for Setting { key, value, why } in settings {
                if !why.is_empty() {
                    out += &format!("# {why}\n");
                }
                out += &format!("{key}={value}\n");
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{Setting, Unit};

    #[test]
    fn writes_sections() {
        let settings =
            vec![Setting::of("Type", "oneshot").because("it ends"), Setting::of("RestartSec", "10s")];
        let unit = Unit { sections: vec![("Unit", vec![]), ("Service", settings)] };
        assert_eq!(
            unit.write(&["head".to_owned()]),
            "# head\n\n[Unit]\n\n[Service]\n# it ends\nType=oneshot\nRestartSec=10s\n"
        );
    }
}
