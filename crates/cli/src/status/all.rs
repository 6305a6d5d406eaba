//! `/status-all.json`: what every node says of itself, gathered by one of them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AllNodes {
    /// Every node that the gatherer knows of.
    pub(crate) nodes: Vec<NodeAnswer>,
}

/// One node's own document, or why there is none.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodeAnswer {
    pub(crate) region: String,
    pub(crate) node: String,
    /// Its `/status.json`, as it gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Box<RawValue>>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<String>,
}

impl NodeAnswer {
    /// What `region/node` answered: its document, or why there is none. A document that is no JSON
    /// counts as none.
    pub(crate) fn new(region: String, node: String, answer: Result<String, String>) -> Self {
        let status = answer.and_then(|document| {
            RawValue::from_string(document).map_err(|error| format!("it sent no JSON: {error}"))
        });
        let (status, missing) = match status {
            Ok(status) => (Some(status), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            region,
            node,
            status,
            missing,
        }
    }
}

impl AllNodes {
    /// The document's text.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and documents have a JSON form")
    }
}
