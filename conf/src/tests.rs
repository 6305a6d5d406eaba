//! Goal: every field has a right form, and every wrong one is reported with its path and the
//! remedy. Method: `check` runs a text through all layers and compares the report.

mod fields;
mod layering;
mod roles;

use std::{collections::HashMap, path::Path};

use super::*;

/// The least there is.
const LEAST: &str = r#"
[node]
name = "gateway-1"
region = "eu"
[home]
endpoints = ["http://127.0.0.1:2379"]
[gateway.etcd]
"#;

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Conf, LoadError> {
    let environment: HashMap<String, String> = environment
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
    parse(
        text,
        Path::new("test.toml"),
        &Surroundings {
            environment,
            host_name: None,
            folder,
        },
    )
}

fn good(text: &str) -> Conf {
    read(text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// The gateway of a text that is right.
fn gateway(text: &str) -> Gateway {
    let conf = good(text);
    let gateway = conf.roles.gateway();
    gateway
        .unwrap_or_else(|| panic!("no gateway in:\n{text}"))
        .clone()
}

/// The lines of the report on `text`.
fn report(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    match read(text, environment) {
        Err(LoadError::Problems {
            problems: Problems(problems),
            ..
        }) => problems.iter().map(Problem::to_string).collect(),
        other => panic!("wanted problems, got {other:?}"),
    }
}

/// `LEAST` with `from` replaced by `to`.
fn with(from: &str, to: &str) -> String {
    assert!(LEAST.contains(from), "{from}");
    LEAST.replace(from, to)
}
