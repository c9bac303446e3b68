//! What the operator answers: three conditions, and what it chose.
//!
//! - `Available`: a majority of the controllers' number is ready
//! - `Progressing`: the nodes are not yet what the spec wants
//! - `Degraded`: the spec cannot be carried out, or the API server refuses an object

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::crd::{KafkaCluster, KafkaClusterStatus};
use crate::plan::Plan;

/// How a reconciliation went.
pub enum Outcome<'a> {
    Applied(&'a Plan),
    /// Nothing was changed: what runs goes on running.
    Stuck {
        reason: &'a str,
        message: &'a str,
    },
}

struct Finding {
    type_: &'static str,
    status: bool,
    reason: String,
    message: String,
}

fn finding(type_: &'static str, status: bool, reason: &str, message: impl Into<String>) -> Finding {
    Finding { type_, status, reason: reason.to_owned(), message: message.into() }
}

/// The next status, from the StatefulSet as it is now.
pub fn next(
    cluster: &KafkaCluster,
    outcome: &Outcome<'_>,
    live: Option<&StatefulSet>,
    now: Timestamp,
) -> KafkaClusterStatus {
    let old = cluster.status.clone().unwrap_or_default();
    let pods = live.and_then(|set| set.status.clone()).unwrap_or_default();
    let ready = pods.ready_replicas.unwrap_or(0);
    let mut status = KafkaClusterStatus {
        observed_generation: cluster.metadata.generation,
        replicas: pods.replicas,
        ready_replicas: ready,
        ..old.clone()
    };
    if let Outcome::Applied(plan) = outcome {
        status.controllers = Some(plan.controllers);
        status.image = Some(plan.image.reference.clone());
        status.product_version.clone_from(&plan.image.version);
        status.cluster_id = Some(plan.cluster_id.clone());
    }
    let findings = [
        available(cluster, status.controllers, ready),
        progressing(outcome, live, &pods),
        match outcome {
            Outcome::Applied(_) => finding("Degraded", false, "AsExpected", ""),
            Outcome::Stuck { reason, message } => finding("Degraded", true, reason, *message),
        },
    ];
    status.conditions = findings
        .into_iter()
        .map(|finding| condition(finding, &old.conditions, cluster.metadata.generation, now))
        .collect();
    status
}

fn available(cluster: &KafkaCluster, controllers: Option<i32>, ready: i32) -> Finding {
    let wanted = cluster.spec.brokers.replicas;
    let message = format!("{ready} of {wanted} nodes are ready");
    match controllers {
        None => finding("Available", false, "NotCreated", "there is no cluster yet"),
        Some(controllers) if ready > controllers / 2 => finding("Available", true, "MajorityReady", message),
        Some(_) if cluster.spec.stopped => finding("Available", false, "Stopped", "spec.stopped is set"),
        Some(_) => finding("Available", false, "TooFewReady", message),
    }
}

fn progressing(outcome: &Outcome<'_>, live: Option<&StatefulSet>, pods: &StatefulSetStatus) -> Finding {
    let plan = match outcome {
        Outcome::Applied(plan) => plan,
        Outcome::Stuck { reason, .. } => return finding("Progressing", false, reason, "see Degraded"),
    };
    let wanted = plan.pods();
    let ready = pods.ready_replicas.unwrap_or(0);
    let updated = pods.updated_replicas.unwrap_or(0);
    // A status of an older generation is that of another spec.
    let seen = live.is_some_and(|set| pods.observed_generation >= set.metadata.generation && set.status.is_some());
    if seen && [pods.replicas, ready, updated] == [wanted; 3] {
        return finding("Progressing", false, "Settled", format!("all {wanted} nodes are as wanted"));
    }
    let message = format!("of {wanted} nodes, {} exist, {updated} are up to date, {ready} are ready", pods.replicas);
    finding("Progressing", true, "Rolling", message)
}

/// The time of a condition is when its status changed; reason and message may change in between.
fn condition(finding: Finding, old: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
    let status = if finding.status { "True" } else { "False" };
    let same = old.iter().find(|old| old.type_ == finding.type_ && old.status == status);
    Condition {
        type_: finding.type_.to_owned(),
        status: status.to_owned(),
        reason: finding.reason,
        message: finding.message,
        observed_generation: generation,
        last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::objects::testing::{cluster, planned};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn live(status: Value) -> StatefulSet {
        serde_json::from_value(json!({"metadata": {"name": "simple", "generation": 2}, "status": status})).unwrap()
    }

    fn ready(number: i32) -> StatefulSet {
        live(json!({"replicas": 3, "readyReplicas": number, "updatedReplicas": 3, "observedGeneration": 2}))
    }

    fn applied(live: &StatefulSet) -> KafkaClusterStatus {
        let plan = planned(json!({}));
        next(&cluster("simple", json!({})), &Outcome::Applied(&plan), Some(live), at(1))
    }

    /// Each condition as `Type=Status Reason`.
    fn conditions(status: &KafkaClusterStatus) -> Vec<String> {
        let text = |found: &Condition| format!("{}={} {}", found.type_, found.status, found.reason);
        status.conditions.iter().map(text).collect()
    }

    /// A new cluster is not available and makes progress.
    #[test]
    fn new() {
        let status = applied(&live(json!(null)));

        assert_eq!(
            vec!["Available=False TooFewReady", "Progressing=True Rolling", "Degraded=False AsExpected"],
            conditions(&status)
        );
        assert_eq!((0, 0), (status.replicas, status.ready_replicas));
    }

    /// What was chosen is reported.
    #[test]
    fn chosen() {
        let status = applied(&ready(3));

        assert_eq!(Some("registry.example/archway/kafka:4.4.0-0.1.0"), status.image.as_deref());
        assert_eq!(Some("4.4.0"), status.product_version.as_deref());
        assert_eq!(Some(3), status.controllers);
        assert_eq!(Some(1), status.observed_generation);
        assert!(status.cluster_id.is_some());
    }

    /// A majority is available, and all of them are settled.
    #[test]
    fn majority() {
        assert_eq!("Available=False TooFewReady", conditions(&applied(&ready(1)))[0]);
        assert_eq!("Available=True MajorityReady", conditions(&applied(&ready(2)))[0]);
        assert_eq!("Progressing=True Rolling", conditions(&applied(&ready(2)))[1]);
        assert_eq!("Progressing=False Settled", conditions(&applied(&ready(3)))[1]);
    }

    /// Figures of an older generation settle nothing.
    #[test]
    fn stale() {
        let old = live(json!({"replicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "observedGeneration": 1}));

        assert_eq!("Progressing=True Rolling", conditions(&applied(&old))[1]);
    }

    /// A stopped cluster says so, and is settled when no pod is left.
    #[test]
    fn stopped() {
        let plan = planned(json!({"stopped": true}));
        let live = live(json!({"replicas": 0, "observedGeneration": 2}));

        let status = next(&cluster("simple", json!({"stopped": true})), &Outcome::Applied(&plan), Some(&live), at(1));

        assert_eq!(
            vec!["Available=False Stopped", "Progressing=False Settled", "Degraded=False AsExpected"],
            conditions(&status)
        );
    }

    /// A refused change of a running cluster leaves it available, and its image and id in the status.
    #[test]
    fn refused() {
        let mut cluster = cluster("simple", json!({}));
        cluster.status = Some(applied(&ready(3)));
        cluster.metadata.generation = Some(2);
        let outcome = Outcome::Stuck { reason: "ImmutableField", message: "no" };

        let status = next(&cluster, &outcome, Some(&ready(3)), at(2));

        assert_eq!(
            vec!["Available=True MajorityReady", "Progressing=False ImmutableField", "Degraded=True ImmutableField"],
            conditions(&status)
        );
        assert_eq!("no", status.conditions[2].message);
        assert_eq!(cluster.status.unwrap().image, status.image);
        assert_eq!(Some(2), status.observed_generation);
    }

    /// A refused new cluster is not there.
    #[test]
    fn refused_new() {
        let outcome = Outcome::Stuck { reason: "UnknownProductVersion", message: "no" };

        let status = next(&cluster("simple", json!({})), &outcome, None, at(1));

        assert_eq!("Available=False NotCreated", conditions(&status)[0]);
        assert_eq!(None, status.image);
    }

    /// The time of a condition changes with its status only.
    #[test]
    fn transitions() {
        let plan = planned(json!({}));
        let mut cluster = cluster("simple", json!({}));
        cluster.status = Some(applied(&ready(1)));

        let status = next(&cluster, &Outcome::Applied(&plan), Some(&ready(2)), at(9));
        let times: Vec<_> = status.conditions.iter().map(|found| found.last_transition_time.0).collect();

        assert_eq!(vec![at(9), at(1), at(1)], times);
    }

    /// Nothing new gives the same status, so that it is not written again.
    #[test]
    fn unchanged() {
        let plan = planned(json!({}));
        let mut cluster = cluster("simple", json!({}));
        cluster.status = Some(applied(&ready(3)));

        assert_eq!(cluster.status.clone().unwrap(), next(&cluster, &Outcome::Applied(&plan), Some(&ready(3)), at(9)));
    }
}
