//! The objects that a cluster is made of, each built from a plan.

pub mod budget;
pub mod configmap;
mod container;
pub mod services;
pub mod statefulset;
#[cfg(test)]
pub mod testing;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::plan::Plan;

pub const MANAGER: &str = "kafka-operator";
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const INSTANCE: &str = "app.kubernetes.io/instance";

// Kept on the StatefulSet: they must outlive a status that was lost, for example when a backup is restored.
pub const CLUSTER_ID: &str = "kafka.archway.dev/cluster-id";
pub const CONTROLLERS: &str = "kafka.archway.dev/controllers";

type Labels = BTreeMap<String, String>;

pub fn headless(name: &str) -> String {
    format!("{name}-headless")
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// What finds the pods. A StatefulSet cannot change it, so nothing is in it that may.
fn selector(plan: &Plan) -> Labels {
    owned([("app.kubernetes.io/name", "kafka"), (INSTANCE, &plan.name)])
}

fn label_selector(plan: &Plan) -> LabelSelector {
    LabelSelector { match_labels: Some(selector(plan)), ..LabelSelector::default() }
}

fn labels(plan: &Plan) -> Labels {
    let mut labels = selector(plan);
    labels.extend(owned([(MANAGED_BY, MANAGER)]));
    labels
}

/// Metadata of an object that goes when the cluster goes.
fn metadata(plan: &Plan, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(plan.namespace.clone()),
        labels: Some(labels(plan)),
        owner_references: Some(vec![plan.owner.clone()]),
        ..ObjectMeta::default()
    }
}
