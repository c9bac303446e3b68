//! Clusters and plans for tests.

use serde_json::{Value, json};

use crate::catalogue::Catalogue;
use crate::crd::KafkaCluster;
use crate::plan::{Existing, Plan, plan};

pub const UID: &str = "6f1e0a4c-3f5b-4a55-9f0b-6a2f5b1c9d10";

/// A cluster of three, with some of its spec replaced.
pub fn cluster(name: &str, changes: Value) -> KafkaCluster {
    let mut spec = json!({
        "image": {"repo": "registry.example/archway", "productVersion": "4.4.0", "releaseVersion": "0.1.0"},
        "brokers": {"replicas": 3},
        "storage": {"size": "1Gi"},
    });
    for (key, value) in changes.as_object().unwrap() {
        spec[key] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "kafka.archway.dev/v1alpha1",
        "kind": "KafkaCluster",
        "metadata": {"name": name, "namespace": "default", "uid": UID, "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

pub fn planned(changes: Value) -> Plan {
    plan(&cluster("simple", changes), &Existing::default(), &Catalogue::default()).unwrap()
}
