//! The PodDisruptionBudget: at most one node may be taken away on purpose.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{label_selector, metadata};
use crate::plan::Plan;

/// None for less than three nodes: there it could only forbid everything.
pub fn build(plan: &Plan) -> Option<PodDisruptionBudget> {
    let spec = PodDisruptionBudgetSpec {
        max_unavailable: Some(IntOrString::Int(1)),
        selector: Some(label_selector(plan)),
        ..PodDisruptionBudgetSpec::default()
    };
    let budget = PodDisruptionBudget {
        metadata: metadata(plan, plan.name.clone()),
        spec: Some(spec),
        ..PodDisruptionBudget::default()
    };
    (plan.spec.brokers.replicas >= 3).then_some(budget)
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;
    use crate::objects::testing::planned;

    /// Three nodes have a budget of one, for the cluster's own pods.
    #[test]
    fn three() {
        let budget = to_value(build(&planned(json!({})))).unwrap();

        assert_eq!(json!(1), budget["spec"]["maxUnavailable"]);
        assert_eq!("simple", budget["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"]);
    }

    /// One node has none.
    #[test]
    fn one() {
        assert!(build(&planned(json!({"brokers": {"replicas": 1}}))).is_none());
    }
}
