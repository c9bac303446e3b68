//! The StatefulSet: the nodes, with a volume each.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource,
    LocalObjectReference, ObjectFieldSelector, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSecurityContext,
    PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext, TCPSocketAction,
    TopologySpreadConstraint, Volume, VolumeMount, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{CLUSTER_ID, CONTROLLERS, configmap, headless, label_selector, labels, metadata, owned};
use crate::config::{CLIENT_PORT, CONTROLLER_PORT, DATA};
use crate::plan::{Plan, domain};

const CONFIG_HASH: &str = "kafka.archway.dev/config-hash";
/// Where `start.sh` looks.
const CONFIG: &str = "/etc/kafka-cluster";
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
        containers: vec![container(plan)],
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
                name: "config".to_owned(),
                config_map: Some(ConfigMapVolumeSource {
                    name: configmap::name(plan),
                    ..ConfigMapVolumeSource::default()
                }),
                ..Volume::default()
            },
            Volume { name: "tmp".to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() },
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

fn container(plan: &Plan) -> Container {
    Container {
        name: "kafka".to_owned(),
        image: Some(plan.image.reference.clone()),
        image_pull_policy: Some(plan.spec.image.pull_policy.as_str().to_owned()),
        command: Some(vec!["/bin/sh".to_owned(), format!("{CONFIG}/start.sh")]),
        env: Some(environment(plan)),
        ports: Some(vec![port("kafka", CLIENT_PORT), port("controller", CONTROLLER_PORT)]),
        // Ten minutes to start: after a crash, a broker reads its whole log before it listens.
        startup_probe: Some(Probe { failure_threshold: Some(60), ..probe() }),
        readiness_probe: Some(probe()),
        liveness_probe: Some(Probe { failure_threshold: Some(6), ..probe() }),
        resources: resources(plan),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![
            mount("config", CONFIG, Some(true)),
            mount("data", DATA, None),
            mount("tmp", "/tmp", None),
        ]),
        ..Container::default()
    }
}

fn environment(plan: &Plan) -> Vec<EnvVar> {
    let plain = |name: &str, value: String| EnvVar { name: name.to_owned(), value: Some(value), ..EnvVar::default() };
    let name = ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: "metadata.name".to_owned() };
    let mut environment = vec![
        EnvVar {
            name: "POD_NAME".to_owned(),
            value_from: Some(EnvVarSource { field_ref: Some(name), ..EnvVarSource::default() }),
            ..EnvVar::default()
        },
        plain("NODE_DOMAIN", domain(&plan.name, &plan.namespace)),
        plain("LOG_DIR", "/tmp/logs".to_owned()),
    ];
    // Kafka's scripts take 1 GiB of heap whatever the limit is. Half of the limit leaves the rest to the page cache.
    if plan.spec.resources.as_ref().is_some_and(|resources| resources.limits.contains_key("memory")) {
        environment.push(plain("KAFKA_HEAP_OPTS", "-XX:InitialRAMPercentage=50 -XX:MaxRAMPercentage=50".to_owned()));
    }
    environment
}

fn resources(plan: &Plan) -> Option<ResourceRequirements> {
    let some = |map: &BTreeMap<String, Quantity>| (!map.is_empty()).then(|| map.clone());
    plan.spec.resources.as_ref().map(|resources| ResourceRequirements {
        requests: some(&resources.requests),
        limits: some(&resources.limits),
        ..ResourceRequirements::default()
    })
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
        metadata: ObjectMeta { name: Some("data".to_owned()), ..ObjectMeta::default() },
        spec: Some(spec),
        ..PersistentVolumeClaim::default()
    }
}

fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        // Server-side apply tells ports apart by number and protocol.
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe() -> Probe {
    let socket = TCPSocketAction { port: IntOrString::String("kafka".to_owned()), ..TCPSocketAction::default() };
    Probe { tcp_socket: Some(socket), period_seconds: Some(10), ..Probe::default() }
}

fn mount(name: &str, path: &str, read_only: Option<bool>) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), read_only, ..VolumeMount::default() }
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

    /// Image, pull policy and pull secrets are those of the spec.
    #[test]
    fn image() {
        let spec = pod(json!({"image": {"custom": "k:1", "pullPolicy": "Always", "pullSecrets": [{"name": "login"}]}}));

        assert_eq!("k:1", spec["containers"][0]["image"]);
        assert_eq!("Always", spec["containers"][0]["imagePullPolicy"]);
        assert_eq!(json!([{"name": "login"}]), spec["imagePullSecrets"]);
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

    /// All probes knock at the port of clients, by its name.
    #[test]
    fn probes() {
        let container = pod(json!({}))["containers"][0].clone();
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            assert_eq!("kafka", container[probe]["tcpSocket"]["port"], "{probe}");
        }
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

    /// The script is run from where the ConfigMap is mounted, and the data is where the configuration says.
    #[test]
    fn mounts() {
        let plan = planned(json!({}));
        let container = pod(json!({}))["containers"][0].clone();

        assert_eq!(json!(["/bin/sh", "/etc/kafka-cluster/start.sh"]), container["command"]);
        assert!(configmap::build(&plan).data.unwrap()["start.sh"].contains(&format!("conf={CONFIG}\n")));
        assert!(plan.properties.contains(&format!("log.dirs={DATA}/")));
    }

    /// A changed configuration changes the pods, so that they are replaced.
    #[test]
    fn rolls() {
        let hash = |changes| built(changes)["spec"]["template"]["metadata"]["annotations"][CONFIG_HASH].clone();

        assert!(hash(json!({})).is_string());
        assert_ne!(hash(json!({})), hash(json!({"config": {"a": "b"}})));
    }

    /// The heap follows the memory limit, if there is one.
    #[test]
    fn heap() {
        let has = |changes| pod(changes).to_string().contains("KAFKA_HEAP_OPTS");

        assert!(has(json!({"resources": {"limits": {"memory": "4Gi"}}})));
        assert!(!has(json!({"resources": {"limits": {"cpu": "2"}}})));
    }
}
