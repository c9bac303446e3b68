//! The custom resource: what a user writes, and what the operator answers.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An Apache Kafka cluster in KRaft mode.
#[allow(clippy::duplicated_attributes, reason = "two columns have the same type")]
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "kafka.archway.dev",
    version = "v1alpha1",
    kind = "KafkaCluster",
    namespaced,
    doc = "An Apache Kafka cluster in KRaft mode",
    status = "KafkaClusterStatus",
    shortname = "kafka",
    derive = "PartialEq",
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".spec.brokers.replicas"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.productVersion"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct KafkaClusterSpec {
    /// Which image the brokers run. Without it: the default of the operator's catalogue.
    #[serde(default)]
    pub image: ImageSpec,

    pub brokers: BrokersSpec,

    pub storage: StorageSpec,

    /// Compute resources of each broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Lines of server.properties beside those that the operator writes. Keys that it owns are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,

    /// The id that storage is formatted with: 16 bytes in base64url. It cannot change later.
    /// Without it, it follows from the uid of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{21}[AQgw]$"))]
    pub cluster_id: Option<String>,

    /// Whether all brokers are to be stopped. Their storage stays.
    #[serde(default)]
    pub stopped: bool,
}

#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageSpec {
    /// The version of Apache Kafka, for example 4.4.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,62}$"))]
    pub product_version: Option<String>,

    /// Where the image kafka is, without its name: registry.example/organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\S+$"))]
    pub repo: Option<String>,

    /// The release of the images. Without it: the one of the operator's catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,62}$"))]
    pub release_version: Option<String>,

    /// A full image reference, used as it is. It goes before everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\S+$"))]
    pub custom: Option<String>,

    #[serde(default)]
    pub pull_policy: PullPolicy,

    /// Secrets of this namespace with logins of the registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<PullSecret>,
}

#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PullSecret {
    #[schemars(length(min = 1))]
    pub name: String,
}

#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PullPolicy {
    Always,
    #[default]
    IfNotPresent,
    Never,
}

impl PullPolicy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokersSpec {
    /// How many nodes. The first ones, five at most, are controllers as well.
    #[schemars(range(min = 1, max = 999))]
    #[x_kube(validation = Rule::new("self % 2 == 1").message("must be odd: an even number of controllers gains nothing"))]
    pub replicas: i32,
}

#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageSpec {
    /// The size of each broker's volume, for example 10Gi. It cannot change later.
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?([KMGTPE]i|[kMGTPE])?$"))]
    pub size: String,

    /// Without it: the default class of the Kubernetes cluster. It cannot change later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,

    /// Whether the volumes go when the KafkaCluster is deleted.
    #[serde(default)]
    pub delete_with_cluster: bool,
}

#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub requests: BTreeMap<String, Quantity>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub limits: BTreeMap<String, Quantity>,
}

#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaClusterStatus {
    /// Available, Progressing and Degraded.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that this status answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// How many pods there are.
    #[serde(default)]
    pub replicas: i32,

    #[serde(default)]
    pub ready_replicas: i32,

    /// How many of the nodes are controllers. It is fixed when the cluster is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controllers: Option<i32>,

    /// The image that the brokers are to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_version: Option<String>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt;
    use serde_json::{Value, json};

    use super::*;

    fn version() -> Value {
        serde_json::to_value(KafkaCluster::crd()).unwrap()["spec"]["versions"][0].clone()
    }

    fn spec(path: &str) -> Value {
        let schema = version();
        let pointer = format!("/schema/openAPIV3Schema/properties/spec/properties/{path}");
        schema.pointer(&pointer).cloned().unwrap_or_else(|| panic!("no {pointer}"))
    }

    /// An even or missing number of brokers is refused by the schema itself.
    #[test]
    fn replicas() {
        let schema = spec("brokers/properties/replicas");

        assert_eq!(json!(1), schema["minimum"].as_f64().map(|min| json!(min as i64)).unwrap());
        assert_eq!("self % 2 == 1", schema["x-kubernetes-validations"][0]["rule"]);
        assert_eq!(json!(["replicas"]), spec("brokers")["required"]);
    }

    /// The size, the cluster id, images and versions have patterns.
    #[test]
    fn patterns() {
        for path in [
            "storage/properties/size",
            "clusterId",
            "image/properties/custom",
            "image/properties/productVersion",
            "image/properties/releaseVersion",
        ] {
            assert!(spec(path)["pattern"].is_string(), "{path}");
        }
    }

    /// Status is a subresource, and its conditions are a list by type.
    #[test]
    fn status() {
        let version = version();
        let conditions = version.pointer("/schema/openAPIV3Schema/properties/status/properties/conditions").unwrap();

        assert!(version["subresources"]["status"].is_object());
        assert_eq!("map", conditions["x-kubernetes-list-type"]);
        assert_eq!(json!(["type"]), conditions["x-kubernetes-list-map-keys"]);
    }

    /// `kubectl get` shows replicas, ready ones, version and age.
    #[test]
    fn columns() {
        let version = version();
        let names: Vec<_> =
            version["additionalPrinterColumns"].as_array().unwrap().iter().map(|column| &column["name"]).collect();

        assert_eq!(vec!["Replicas", "Ready", "Version", "Age"], names);
    }

    /// A spec of brokers and storage alone is complete.
    #[test]
    fn smallest() {
        let spec: KafkaClusterSpec =
            serde_json::from_value(json!({"brokers": {"replicas": 1}, "storage": {"size": "1Gi"}})).unwrap();

        assert_eq!(ImageSpec::default(), spec.image);
        assert_eq!("IfNotPresent", spec.image.pull_policy.as_str());
        assert!(!spec.stopped);
    }
}
