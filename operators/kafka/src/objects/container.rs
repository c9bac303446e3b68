//! The container of a node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, ObjectFieldSelector, Probe, ResourceRequirements,
    SecurityContext, TCPSocketAction, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::config::{CLIENT_PORT, CONTROLLER_PORT, DATA};
use crate::plan::{Plan, domain};

/// Where `start.sh` looks.
const CONFIG: &str = "/etc/kafka-cluster";

// The names that the volumes have in the pod.
pub const CONFIG_VOLUME: &str = "config";
pub const DATA_VOLUME: &str = "data";
pub const TMP_VOLUME: &str = "tmp";

pub fn build(plan: &Plan) -> Container {
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
            mount(CONFIG_VOLUME, CONFIG, Some(true)),
            mount(DATA_VOLUME, DATA, None),
            mount(TMP_VOLUME, "/tmp", None),
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
    use crate::objects::configmap;
    use crate::objects::testing::planned;

    fn built(changes: Value) -> Value {
        to_value(build(&planned(changes))).unwrap()
    }

    /// Image and pull policy are those of the spec.
    #[test]
    fn image() {
        let container = built(json!({"image": {"custom": "k:1", "pullPolicy": "Always"}}));

        assert_eq!("k:1", container["image"]);
        assert_eq!("Always", container["imagePullPolicy"]);
    }

    /// All probes knock at the port of clients, by its name.
    #[test]
    fn probes() {
        let container = built(json!({}));
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            assert_eq!("kafka", container[probe]["tcpSocket"]["port"], "{probe}");
        }
    }

    /// The script is run from where the ConfigMap is mounted, and the data is where the configuration says.
    #[test]
    fn mounts() {
        let plan = planned(json!({}));
        let container = built(json!({}));

        assert_eq!(json!(["/bin/sh", "/etc/kafka-cluster/start.sh"]), container["command"]);
        assert!(configmap::build(&plan).data.unwrap()["start.sh"].contains(&format!("conf={CONFIG}\n")));
        assert!(plan.properties.contains(&format!("log.dirs={DATA}/")));
    }

    /// The script has the variables that it reads.
    #[test]
    fn variables() {
        let container = built(json!({}));
        let names: Vec<_> = container["env"].as_array().unwrap().iter().map(|variable| &variable["name"]).collect();

        assert_eq!(vec!["POD_NAME", "NODE_DOMAIN", "LOG_DIR"], names);
        assert_eq!("simple-headless.default.svc", container["env"][1]["value"]);
    }

    /// The heap follows the memory limit, if there is one.
    #[test]
    fn heap() {
        let has = |changes| built(changes).to_string().contains("KAFKA_HEAP_OPTS");

        assert!(has(json!({"resources": {"limits": {"memory": "4Gi"}}})));
        assert!(!has(json!({"resources": {"limits": {"cpu": "2"}}})));
    }
}
