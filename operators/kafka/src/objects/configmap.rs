//! The files that all nodes share.

use k8s_openapi::api::core::v1::ConfigMap;
use sha2::{Digest, Sha256};

use super::{metadata, owned};
use crate::plan::Plan;

const START: &str = include_str!("../start.sh");

pub fn name(plan: &Plan) -> String {
    format!("{}-config", plan.name)
}

pub fn build(plan: &Plan) -> ConfigMap {
    let data = owned([
        ("cluster-id", &plan.cluster_id),
        ("controllers", &plan.controllers.to_string()),
        ("server.properties", &plan.properties),
        ("start.sh", START),
    ]);
    ConfigMap { metadata: metadata(plan, name(plan)), data: Some(data), ..ConfigMap::default() }
}

/// A hash of the files: pods that were started with other ones are replaced.
pub fn hash(config: &ConfigMap) -> String {
    let mut hasher = Sha256::new();
    for (key, value) in config.data.iter().flatten() {
        for text in [key, value] {
            hasher.update(text.len().to_le_bytes());
            hasher.update(text);
        }
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::testing::planned;

    /// The files are there, under the names that the script reads.
    #[test]
    fn files() {
        let config = build(&planned(json!({})));
        let data = config.data.unwrap();

        assert_eq!("3", data["controllers"]);
        assert_eq!(22, data["cluster-id"].len());
        for name in data.keys().filter(|name| *name != "start.sh") {
            assert!(data["start.sh"].contains(&format!("$conf/{name}")), "{name}");
        }
    }

    /// The script adds exactly what the shared file leaves out.
    #[test]
    fn completed() {
        let data = build(&planned(json!({}))).data.unwrap();

        for key in ["node.id", "process.roles", "listeners", "advertised.listeners"] {
            assert!(data["start.sh"].contains(&format!("echo \"{key}=")), "{key}");
            assert!(!data["server.properties"].lines().any(|line| line.starts_with(&format!("{key}="))), "{key}");
        }
    }

    /// A change of the configuration changes the hash; a change of anything else does not.
    #[test]
    fn hashes() {
        let of = |changes| hash(&build(&planned(changes)));

        assert_eq!(of(json!({})), of(json!({"stopped": true})));
        assert_ne!(of(json!({})), of(json!({"config": {"log.retention.hours": "1"}})));
    }
}
