//! What is to be: a spec, checked and completed. Everything here decides, nothing acts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use sha2::{Digest, Sha256};

use crate::catalogue::Catalogue;
use crate::config::server_properties;
use crate::crd::{KafkaCluster, KafkaClusterSpec};
use crate::error::Refusal;
use crate::image::{Selected, select};
use crate::objects::{CLUSTER_ID, CONTROLLERS, headless};
use crate::quantity;

const MAX_CONTROLLERS: i32 = 5;
/// A pod's label `controller-revision-hash` is the name and 11 more letters, and labels have 63.
const MAX_NAME: usize = 50;

const INVALID: &str = "InvalidSpec";
const IMMUTABLE: &str = "ImmutableField";

#[derive(Clone, Debug)]
pub struct Plan {
    pub name: String,
    pub namespace: String,
    pub owner: OwnerReference,
    pub spec: KafkaClusterSpec,
    pub image: Selected,
    pub cluster_id: String,
    pub controllers: i32,
    pub properties: String,
}

impl Plan {
    /// How many pods are to run.
    pub fn pods(&self) -> i32 {
        if self.spec.stopped { 0 } else { self.spec.brokers.replicas }
    }
}

/// What was decided when the cluster was made, and cannot change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Existing {
    cluster_id: Option<String>,
    controllers: Option<i32>,
    /// Size and storage class of the volumes.
    storage: Option<(String, Option<String>)>,
}

impl Existing {
    /// From the StatefulSet; from the status where that was deleted, because the volumes stay.
    pub fn of(cluster: &KafkaCluster, live: Option<&StatefulSet>) -> Self {
        let status = cluster.status.as_ref();
        let annotation = |key: &str| live.and_then(|set| set.annotations().get(key).cloned());
        Self {
            cluster_id: annotation(CLUSTER_ID).or_else(|| status?.cluster_id.clone()),
            controllers: annotation(CONTROLLERS).and_then(|text| text.parse().ok()).or_else(|| status?.controllers),
            storage: live.and_then(|set| volume(set.spec.volume_claim_templates.as_ref()?.first()?)),
        }
    }
}

fn volume(claim: &PersistentVolumeClaim) -> Option<(String, Option<String>)> {
    let spec = claim.spec.as_ref()?;
    let size = spec.resources.as_ref()?.requests.as_ref()?.get("storage")?;
    Some((size.0.clone(), spec.storage_class_name.clone()))
}

/// Decides what a cluster is made of, or says why it cannot be.
pub fn plan(cluster: &KafkaCluster, existing: &Existing, catalogue: &Catalogue) -> Result<Plan, Refusal> {
    let name = cluster.name_any();
    let spec = &cluster.spec;
    check_name(&name)?;
    check_quantities(spec)?;
    check_storage(spec, existing)?;
    let controllers = controllers(spec.brokers.replicas, existing)?;
    let (Some(owner), Some(namespace)) = (cluster.controller_owner_ref(&()), cluster.namespace()) else {
        return Err(Refusal::new(
            INVALID,
            "the object has no uid or no namespace: it does not come from an API server",
        ));
    };
    let cluster_id = cluster_id(spec.cluster_id.as_deref(), existing, &owner.uid)?;
    let image = select(&spec.image, catalogue)?;
    let properties =
        server_properties(&name, &domain(&name, &namespace), controllers, spec.brokers.replicas, &spec.config)?;
    Ok(Plan { name, namespace, owner, spec: spec.clone(), image, cluster_id, controllers, properties })
}

/// Where the nodes' names are. Not down to the Kubernetes cluster's own domain, which nobody can tell here.
pub fn domain(name: &str, namespace: &str) -> String {
    format!("{}.{namespace}.svc", headless(name))
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let good =
        name.len() <= MAX_NAME && name.starts_with(|letter: char| letter.is_ascii_lowercase()) && !name.contains('.');
    if good {
        return Ok(());
    }
    let message = format!(
        "the name {name} cannot be that of a Service: use at most {MAX_NAME} of a-z, 0-9 and -, the first one a letter. \
         Make the object anew under another name"
    );
    Err(Refusal::new(INVALID, message))
}

fn check_quantities(spec: &KafkaClusterSpec) -> Result<(), Refusal> {
    if quantity::parse(&spec.storage.size).is_none_or(|size| size <= 0) {
        return Err(Refusal::new(
            INVALID,
            format!("spec.storage.size: {:?} is not a size, such as 10Gi", spec.storage.size),
        ));
    }
    let resources = spec.resources.iter().flat_map(|resources| resources.requests.iter().chain(&resources.limits));
    for (name, value) in resources {
        if quantity::parse(&value.0).is_none() {
            return Err(Refusal::new(
                INVALID,
                format!("spec.resources: {name} is {:?}, which is not a quantity", value.0),
            ));
        }
    }
    Ok(())
}

fn check_storage(spec: &KafkaClusterSpec, existing: &Existing) -> Result<(), Refusal> {
    let Some((size, class)) = &existing.storage else { return Ok(()) };
    if quantity::parse(size) != quantity::parse(&spec.storage.size) {
        let message = format!(
            "spec.storage.size cannot change from {size} to {}: volumes are made once. Set it back to {size}",
            spec.storage.size
        );
        return Err(Refusal::new(IMMUTABLE, message));
    }
    if class != &spec.storage.storage_class_name {
        let was = class.as_deref().unwrap_or("(none)");
        let message =
            format!("spec.storage.storageClassName cannot change: volumes are made once. Set it back to {was}");
        return Err(Refusal::new(IMMUTABLE, message));
    }
    Ok(())
}

/// How many nodes are controllers: fixed at the start, because voters cannot be added to a static quorum.
fn controllers(replicas: i32, existing: &Existing) -> Result<i32, Refusal> {
    if replicas < 1 || replicas % 2 == 0 {
        return Err(Refusal::new(
            INVALID,
            format!("spec.brokers.replicas is {replicas}: it must be odd, and 1 at least"),
        ));
    }
    match existing.controllers {
        None => Ok(replicas.min(MAX_CONTROLLERS)),
        Some(controllers) if replicas >= controllers => Ok(controllers),
        Some(controllers) => {
            let message = format!(
                "spec.brokers.replicas cannot become {replicas}: the first {controllers} nodes are the quorum of \
                 controllers. Keep at least {controllers}; to stop all of them, set spec.stopped"
            );
            Err(Refusal::new("ReplicasBelowQuorum", message))
        }
    }
}

fn cluster_id(wanted: Option<&str>, existing: &Existing, uid: &str) -> Result<String, Refusal> {
    match (wanted, &existing.cluster_id) {
        (Some(id), Some(old)) if id != old => {
            let message = format!(
                "spec.clusterId cannot change from {old} to {id}: storage has the old one. Set it back, or remove it"
            );
            Err(Refusal::new(IMMUTABLE, message))
        }
        (_, Some(old)) => Ok(old.clone()),
        (Some(id), None) if URL_SAFE_NO_PAD.decode(id).is_ok_and(|bytes| bytes.len() == 16) => Ok(id.to_owned()),
        (Some(id), None) => {
            Err(Refusal::new(INVALID, format!("spec.clusterId: {id:?} is not 16 bytes in base64url (22 letters)")))
        }
        (None, None) => Ok(derived_id(uid)),
    }
}

/// A cluster id from an object's uid, so that it is the same at each try.
fn derived_id(uid: &str) -> String {
    let digest = Sha256::digest(uid.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // Kafka makes no id that begins with a minus sign: people put it behind an option.
    bytes[0] &= 0x7f;
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
