//! `ops/secrets/*.env.example`: for each service that reads secrets, the variables that name their files.

use vocabulary::formats::dotenv::{Line, write};
use vocabulary::model::{Platform, Service};
use vocabulary::problem::Problem;

use super::artifact::{Artifact, Committed, Made, banner};
use super::containers::secret_file;

pub const FAMILY: Committed = Committed {
    name: "environment-examples",
    what: "ops/secrets/*.env.example: where each service looks for its secrets; paths, never values",
    source: file!(),
    make: generate,
};

fn generate(platform: &Platform) -> Made {
    platform.services.iter().filter_map(|service| example(platform, service).transpose()).collect()
}

fn example(platform: &Platform, service: &Service) -> Result<Option<Artifact>, Vec<Problem>> {
    let handed: Vec<_> =
        service.secrets.iter().filter_map(|used| used.variable.map(|name| (name, used.secret))).collect();
    if handed.is_empty() {
        return Ok(None);
    }
    let mut lines: Vec<_> =
        banner("xtask/platform/src (the services' secrets)").into_iter().map(Line::Comment).collect();
    lines
        .push(Line::Comment("Each variable names a file; the file holds the value and nothing else.".into()));
    for (variable, secret) in handed {
        lines.push(Line::Blank);
        if let Some(defined) = platform.secret(secret) {
            lines.push(Line::Comment(defined.purpose.to_owned()));
        }
        lines.push(Line::Variable {
            name: variable.to_owned(),
            value: secret_file(&platform.containers, secret),
        });
    }
    Ok(Some(Artifact::file(format!("ops/secrets/{}.env.example", service.id), write(&lines)?)))
}
