//! The only place that changes objects, apart from the status.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Refusal};
use crate::objects::{INSTANCE, MANAGED_BY, MANAGER, budget, configmap, services, statefulset};
use crate::plan::Plan;

pub const NAME_TAKEN: &str = "NameTaken";

/// Makes the objects of a plan what they are to be, and returns the StatefulSet as it is now.
///
/// All names are looked at before anything is written: a cluster is not made by half.
pub async fn apply(client: &Client, plan: &Plan) -> Result<StatefulSet, Error> {
    let (config, nodes, bootstrap) = (configmap::build(plan), services::nodes(plan), services::bootstrap(plan));
    let (set, budget) = (statefulset::build(plan), budget::build(plan));
    check(client, plan, &config).await?;
    check(client, plan, &nodes).await?;
    check(client, plan, &bootstrap).await?;
    check(client, plan, &set).await?;
    if let Some(budget) = &budget {
        check(client, plan, budget).await?;
    }

    put(client, plan, &config).await?;
    put(client, plan, &nodes).await?;
    put(client, plan, &bootstrap).await?;
    match &budget {
        Some(budget) => put(client, plan, budget).await.map(drop)?,
        None => remove_budget(client, plan).await?,
    }
    put(client, plan, &set).await
}

/// What all kinds of objects here have in common.
trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Serialize
{
}
impl Object for ConfigMap {}
impl Object for Service {}
impl Object for StatefulSet {}
impl Object for PodDisruptionBudget {}

fn describe<K: Object>(object: &K) -> String {
    format!("{} {}", K::kind(&()), object.name_any())
}

/// Refuses to take over an object that somebody else made under the same name.
async fn check<K: Object>(client: &Client, plan: &Plan, object: &K) -> Result<(), Error> {
    let api: Api<K> = Api::namespaced(client.clone(), &plan.namespace);
    let found = api.get_metadata_opt(&object.name_any()).await.map_err(|error| Error::api(describe(object), &error))?;
    match found {
        Some(found) if !ours(&found.metadata, plan) => {
            let message = format!(
                "there is already a {} that is not of this cluster. Remove it, or name the cluster otherwise",
                describe(object)
            );
            Err(Refusal::new(NAME_TAKEN, message).into())
        }
        _ => Ok(()),
    }
}

/// Whether an object belongs to the cluster: it has it as its controller, or it was left behind by one of that name.
fn ours(found: &ObjectMeta, plan: &Plan) -> bool {
    let controller = found.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let label = |key: &str| found.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    match controller {
        Some(owner) => owner.uid == plan.owner.uid,
        None => label(MANAGED_BY) == Some(MANAGER) && label(INSTANCE) == Some(&plan.name),
    }
}

async fn put<K: Object>(client: &Client, plan: &Plan, object: &K) -> Result<K, Error> {
    let api: Api<K> = Api::namespaced(client.clone(), &plan.namespace);
    // By force: what the operator writes is its own, whoever changed it since.
    let params = PatchParams::apply(MANAGER).force();
    api.patch(&object.name_any(), &params, &Patch::Apply(object))
        .await
        .map_err(|error| Error::api(describe(object), &error))
}

async fn remove_budget(client: &Client, plan: &Plan) -> Result<(), Error> {
    let api: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), &plan.namespace);
    let failed = |error| Error::api(format!("PodDisruptionBudget {}", plan.name), &error);
    let Some(found) = api.get_metadata_opt(&plan.name).await.map_err(failed)? else { return Ok(()) };
    if !ours(&found.metadata, plan) {
        return Ok(());
    }
    let preconditions = Preconditions { uid: found.uid(), ..Preconditions::default() };
    match api.delete(&plan.name, &DeleteParams::default().preconditions(preconditions)).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        result => result.map(drop).map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::objects::testing::{UID, planned};

    fn is_ours(metadata: Value) -> bool {
        ours(&serde_json::from_value(metadata).unwrap(), &planned(json!({})))
    }

    fn owned_by(uid: &str) -> Value {
        json!({"ownerReferences": [
            {"apiVersion": "v1", "kind": "K", "name": "simple", "uid": uid, "controller": true}
        ]})
    }

    /// An object of the cluster is its own, one of another controller is not.
    #[test]
    fn controlled() {
        assert!(is_ours(owned_by(UID)));
        assert!(!is_ours(owned_by("other")));
    }

    /// An object that nobody controls is taken only if its labels say that it was of a cluster of this name.
    #[test]
    fn left_behind() {
        let labels = |manager: &str, name: &str| json!({"labels": {MANAGED_BY: manager, INSTANCE: name}});

        assert!(is_ours(labels("kafka-operator", "simple")));
        assert!(!is_ours(labels("kafka-operator", "other")));
        assert!(!is_ours(labels("helm", "simple")));
        assert!(!is_ours(json!({})));
    }
}
