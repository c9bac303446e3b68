use serde_json::{Value, json};

use super::*;
use crate::objects::statefulset;
use crate::objects::testing::{UID, cluster, planned};

fn refused(spec: Value, existing: &Existing) -> Refusal {
    plan(&cluster("simple", spec), existing, &Catalogue::default()).unwrap_err()
}

fn made() -> Existing {
    let live = statefulset::build(&planned(json!({})));
    Existing::of(&cluster("simple", json!({})), Some(&live))
}

/// The id is 22 letters of base64url for 16 bytes, the same for the same uid, and never begins with a minus sign.
#[test]
fn derived() {
    let ids: Vec<_> = (0..200).map(|number| derived_id(&format!("{UID}{number}"))).collect();

    assert_eq!(derived_id(UID), derived_id(UID));
    for id in &ids {
        assert_eq!(22, id.len());
        assert_eq!(16, URL_SAFE_NO_PAD.decode(id).unwrap().len());
        assert!(!id.starts_with('-'), "{id}");
    }
    let different: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(200, different.len());
}

/// An id in the spec is taken.
#[test]
fn given() {
    assert_eq!("MkU3OEVBNTcwNTJENDM2Qg", planned(json!({"clusterId": "MkU3OEVBNTcwNTJENDM2Qg"})).cluster_id);
}

/// An id that is not 16 bytes is refused.
#[test]
fn malformed() {
    for id in ["", "short", "MkU3OEVBNTcwNTJENDM2Q+", "MkU3OEVBNTcwNTJENDM2QgMkU3OEVB"] {
        assert_eq!("InvalidSpec", refused(json!({"clusterId": id}), &Existing::default()).reason, "{id}");
    }
}

/// The id that storage was formatted with stays, when the spec's is removed and when the object's uid is a new one.
#[test]
fn kept() {
    let existing = Existing { cluster_id: Some("MkU3OEVBNTcwNTJENDM2Qg".to_owned()), ..Existing::default() };

    let plan = plan(&cluster("simple", json!({})), &existing, &Catalogue::default()).unwrap();

    assert_eq!("MkU3OEVBNTcwNTJENDM2Qg", plan.cluster_id);
}

/// Another id is refused, with the old one in the message.
#[test]
fn changed_id() {
    let refusal = refused(json!({"clusterId": "MkU3OEVBNTcwNTJENDM2Qg"}), &made());

    assert_eq!("ImmutableField", refusal.reason);
    assert!(refusal.message.contains(&derived_id(UID)), "{}", refusal.message);
}

/// An even number of nodes, or none, is refused: a schema of an older CRD may have let it through.
#[test]
fn even() {
    for replicas in [-1, 0, 2, 4] {
        let refusal = refused(json!({"brokers": {"replicas": replicas}}), &Existing::default());

        assert!(refusal.message.contains("must be odd"), "{replicas}");
    }
}

/// All nodes are controllers, five at most.
#[test]
fn quorum() {
    for (replicas, controllers) in [(1, 1), (3, 3), (5, 5), (7, 5)] {
        assert_eq!(controllers, planned(json!({"brokers": {"replicas": replicas}})).controllers, "{replicas}");
    }
}

/// Nodes that are added later are brokers only.
#[test]
fn grown() {
    let plan = plan(&cluster("simple", json!({"brokers": {"replicas": 5}})), &made(), &Catalogue::default()).unwrap();

    assert_eq!((3, 5), (plan.controllers, plan.pods()));
}

/// Fewer nodes than controllers are refused.
#[test]
fn shrunk() {
    let refusal = refused(json!({"brokers": {"replicas": 1}}), &made());

    assert_eq!("ReplicasBelowQuorum", refusal.reason);
}

/// A stopped cluster has no pods, and keeps its number of nodes.
#[test]
fn stopped() {
    let plan = planned(json!({"stopped": true}));

    assert_eq!((0, 3), (plan.pods(), plan.controllers));
}

/// Another size is refused; the same size written in another way is not.
#[test]
fn size() {
    let other = refused(json!({"storage": {"size": "2Gi"}}), &made());
    let same = plan(&cluster("simple", json!({"storage": {"size": "1024Mi"}})), &made(), &Catalogue::default());

    assert!(other.message.contains("from 1Gi to 2Gi"), "{}", other.message);
    assert!(same.is_ok());
}

/// Another storage class is refused.
#[test]
fn class() {
    let refusal = refused(json!({"storage": {"size": "1Gi", "storageClassName": "fast"}}), &made());

    assert_eq!("ImmutableField", refusal.reason);
}

/// A size and resources that are no quantities are refused before anything is made.
#[test]
fn quantities() {
    for spec in [
        json!({"storage": {"size": "0"}}),
        json!({"storage": {"size": "big"}}),
        json!({"resources": {"limits": {"memory": "much"}}}),
    ] {
        assert_eq!("InvalidSpec", refused(spec.clone(), &Existing::default()).reason, "{spec}");
    }
}

/// A name that no Service can have is refused.
#[test]
fn names() {
    for name in ["a.b", "1a", &"a".repeat(51)] {
        let refusal = plan(&cluster(name, json!({})), &Existing::default(), &Catalogue::default()).unwrap_err();

        assert!(refusal.message.contains(name), "{}", refusal.message);
    }
}

/// When the StatefulSet was deleted, the status still knows the id and the controllers.
#[test]
fn remembered() {
    let mut cluster = cluster("simple", json!({}));
    cluster.status = Some(crate::crd::KafkaClusterStatus {
        cluster_id: Some("x".to_owned()),
        controllers: Some(3),
        ..Default::default()
    });

    let existing = Existing::of(&cluster, None);

    assert_eq!(Existing { cluster_id: Some("x".to_owned()), controllers: Some(3), storage: None }, existing);
}
