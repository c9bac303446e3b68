//! The StatefulSet: the nodes, with a volume each.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec};
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, LocalObjectReference, PersistentVolumeClaim,
    PersistentVolumeClaimSpec, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, TopologySpreadConstraint,
    Volume, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::container::{CONFIG_VOLUME, DATA_VOLUME, TMP_VOLUME};
use super::{CLUSTER_ID, CONTROLLERS, configmap, container, headless, label_selector, labels, metadata, owned};
use crate::plan::Plan;

const CONFIG_HASH: &str = "kafka.archway.dev/config-hash";
/// Any group will do: it is the one that the volumes are given to, and each node gets it as an additional one.
const VOLUME_GROUP: i64 = 10001;

pub fn build(plan: &Plan) -> StatefulSet {
    let mut metadata = metadata(plan, plan.name.clone());
    metadata.annotations = Some(owned([(CLUSTER_ID, &plan.cluster_id), (CONTROLLERS, &plan.controllers.to_string())]));
    let when_deleted = if plan.spec.storage.delete_with_cluster { "Delete" } else { "Retain" };
    let spec = StatefulSetSpec {
        replicas: Some(plan.pods()),
        service_name: Some(headless(&plan.name)),
        selector: label_selector(plan),
        // A quorum does not come up one by one: the first node is ready only when there is a majority.
        pod_management_policy: Some("Parallel".to_owned()),
        persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
            when_deleted: Some(when_deleted.to_owned()),
            when_scaled: Some("Retain".to_owned()),
        }),
        template: template(plan),
        volume_claim_templates: Some(vec![claim(plan)]),
        ..StatefulSetSpec::default()
    };
    StatefulSet { metadata, spec, ..StatefulSet::default() }
}

fn template(plan: &Plan) -> PodTemplateSpec {
    let secrets: Vec<_> =
        plan.spec.image.pull_secrets.iter().map(|secret| LocalObjectReference { name: secret.name.clone() }).collect();
    let spec = PodSpec {
        automount_service_account_token: Some(false),
        containers: vec![container::build(plan)],
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            fs_group: Some(VOLUME_GROUP),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        // A broker writes its files when it is told to end.
        termination_grace_period_seconds: Some(120),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(label_selector(plan)),
            ..TopologySpreadConstraint::default()
        }]),
        volumes: Some(vec![
            Volume {
                name: CONFIG_VOLUME.to_owned(),
                config_map: Some(ConfigMapVolumeSource {
                    name: configmap::name(plan),
                    ..ConfigMapVolumeSource::default()
                }),
                ..Volume::default()
            },
            Volume {
                name: TMP_VOLUME.to_owned(),
                empty_dir: Some(EmptyDirVolumeSource::default()),
                ..Volume::default()
            },
        ]),
        ..PodSpec::default()
    };
    let hash = configmap::hash(&configmap::build(plan));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels(plan)),
            annotations: Some(owned([(CONFIG_HASH, &hash)])),
            ..ObjectMeta::default()
        }),
        spec: Some(spec),
    }
}

fn claim(plan: &Plan) -> PersistentVolumeClaim {
    let size = BTreeMap::from([("storage".to_owned(), Quantity(plan.spec.storage.size.clone()))]);
    let spec = PersistentVolumeClaimSpec {
        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
        resources: Some(VolumeResourceRequirements { requests: Some(size), ..VolumeResourceRequirements::default() }),
        storage_class_name: plan.spec.storage.storage_class_name.clone(),
        ..PersistentVolumeClaimSpec::default()
    };
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some(DATA_VOLUME.to_owned()), ..ObjectMeta::default() },
        spec: Some(spec),
        ..PersistentVolumeClaim::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, to_value};

    use super::*;
    use crate::objects::testing::{UID, planned};

    fn built(changes: Value) -> Value {
        to_value(build(&planned(changes))).unwrap()
    }

    fn pod(changes: Value) -> Value {
        built(changes)["spec"]["template"]["spec"].clone()
    }

    /// The cluster is its controller, so that the garbage collector removes it with the cluster.
    #[test]
    fn owner() {
        let set = built(json!({}));

        assert_eq!(
            json!([{"apiVersion": "kafka.archway.dev/v1alpha1", "kind": "KafkaCluster", "name": "simple", "uid": UID,
                    "controller": true}]),
            set["metadata"]["ownerReferences"]
        );
    }

    /// Nodes start together, have the headless Service's names and as many pods as wanted.
    #[test]
    fn nodes() {
        let spec = built(json!({}))["spec"].clone();

        assert_eq!("Parallel", spec["podManagementPolicy"]);
        assert_eq!("simple-headless", spec["serviceName"]);
        assert_eq!(3, spec["replicas"]);
        assert_eq!(0, built(json!({"stopped": true}))["spec"]["replicas"]);
    }

    /// Pods find their selector's labels on themselves.
    #[test]
    fn selected() {
        let spec = built(json!({}))["spec"].clone();
        for (key, value) in spec["selector"]["matchLabels"].as_object().unwrap() {
            assert_eq!(value, &spec["template"]["metadata"]["labels"][key], "{key}");
        }
    }

    /// Pull secrets are those of the spec.
    #[test]
    fn secrets() {
        let spec = pod(json!({"image": {"custom": "k:1", "pullSecrets": [{"name": "login"}]}}));

        assert_eq!(json!([{"name": "login"}]), spec["imagePullSecrets"]);
    }

    /// Each volume that the container mounts is there.
    #[test]
    fn volumes() {
        let set = built(json!({}));
        let pod = &set["spec"]["template"]["spec"];
        let claim = set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"].clone();
        let volumes = pod["volumes"].as_array().unwrap().iter().map(|volume| volume["name"].clone());
        let there: Vec<_> = volumes.chain([claim]).collect();
        for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
            assert!(there.contains(&mount["name"]), "{mount}");
        }
    }

    /// No node is root, gains rights or talks to the Kubernetes API.
    #[test]
    fn security() {
        let spec = pod(json!({}));

        assert_eq!(true, spec["securityContext"]["runAsNonRoot"]);
        assert_eq!("RuntimeDefault", spec["securityContext"]["seccompProfile"]["type"]);
        assert_eq!(json!(["ALL"]), spec["containers"][0]["securityContext"]["capabilities"]["drop"]);
        assert_eq!(false, spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"]);
        assert_eq!(false, spec["automountServiceAccountToken"]);
    }

    /// Volumes have the size and class of the spec, and stay unless the spec says otherwise.
    #[test]
    fn storage() {
        let storage = json!({"size": "5Gi", "storageClassName": "fast", "deleteWithCluster": true});
        let spec = built(json!({"storage": storage}))["spec"].clone();
        let claim = &spec["volumeClaimTemplates"][0]["spec"];

        assert_eq!("5Gi", claim["resources"]["requests"]["storage"]);
        assert_eq!("fast", claim["storageClassName"]);
        assert_eq!(
            json!({"whenDeleted": "Delete", "whenScaled": "Retain"}),
            spec["persistentVolumeClaimRetentionPolicy"]
        );
        assert_eq!("Retain", built(json!({}))["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"]);
    }

    /// A changed configuration changes the pods, so that they are replaced.
    #[test]
    fn rolls() {
        let hash = |changes| built(changes)["spec"]["template"]["metadata"]["annotations"][CONFIG_HASH].clone();

        assert!(hash(json!({})).is_string());
        assert_ne!(hash(json!({})), hash(json!({"config": {"a": "b"}})));
    }
}
