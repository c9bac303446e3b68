//! The Services: one that gives each node its name, and one that clients start with.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{headless, metadata, selector};
use crate::config::{CLIENT_PORT, CONTROLLER_PORT};
use crate::plan::Plan;

/// Nodes have to find each other before any of them is ready.
pub fn nodes(plan: &Plan) -> Service {
    let spec = ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        publish_not_ready_addresses: Some(true),
        selector: Some(selector(plan)),
        ports: Some(vec![port("kafka", CLIENT_PORT), port("controller", CONTROLLER_PORT)]),
        ..ServiceSpec::default()
    };
    Service { metadata: metadata(plan, headless(&plan.name)), spec: Some(spec), ..Service::default() }
}

pub fn bootstrap(plan: &Plan) -> Service {
    let spec = ServiceSpec {
        selector: Some(selector(plan)),
        ports: Some(vec![port("kafka", CLIENT_PORT)]),
        ..ServiceSpec::default()
    };
    Service { metadata: metadata(plan, format!("{}-bootstrap", plan.name)), spec: Some(spec), ..Service::default() }
}

fn port(name: &str, number: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number,
        // Server-side apply tells ports apart by number and protocol.
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;
    use crate::objects::testing::planned;

    /// The nodes' Service has no address of its own, and names nodes that are not ready.
    #[test]
    fn names() {
        let service = to_value(nodes(&planned(json!({})))).unwrap();

        assert_eq!("simple-headless", service["metadata"]["name"]);
        assert_eq!("None", service["spec"]["clusterIP"]);
        assert_eq!(true, service["spec"]["publishNotReadyAddresses"]);
    }

    /// Clients are sent to ready nodes only, at the port of clients only.
    #[test]
    fn clients() {
        let service = to_value(bootstrap(&planned(json!({})))).unwrap();

        assert_eq!("simple-bootstrap", service["metadata"]["name"]);
        assert_eq!(json!(null), service["spec"]["publishNotReadyAddresses"]);
        assert_eq!(
            json!([{"name": "kafka", "port": 9092, "protocol": "TCP", "targetPort": "kafka"}]),
            service["spec"]["ports"]
        );
    }
}
