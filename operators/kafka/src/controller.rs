//! One reconciliation: read, decide, apply, answer.
//!
//! There is no finalizer. Everything that a cluster is made of has it as its owner, so the garbage collector removes it;
//! the volumes follow `persistentVolumeClaimRetentionPolicy`. There is nothing left to clean up, and a finalizer would
//! make it impossible to delete a cluster while the operator is away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use tracing::{info, warn};

use crate::apply::{NAME_TAKEN, apply};
use crate::catalogue::Catalogue;
use crate::crd::{KafkaCluster, KafkaClusterStatus};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::objects::MANAGER;
use crate::plan::{Existing, Plan, plan};
use crate::status::{self, Outcome};

/// Watches may miss something: everything is looked at again after this time.
const AGAIN: Duration = Duration::from_secs(600);
/// Objects of somebody else are not watched, so their going is not seen.
const NAME_TAKEN_AGAIN: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(300);

pub struct Context {
    pub client: Client,
    pub catalogue: Catalogue,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
    /// Failures in a row, by the cluster's uid.
    pub failures: Mutex<HashMap<String, u32>>,
}

pub async fn reconcile(cluster: Arc<KafkaCluster>, context: Arc<Context>) -> Result<Action, Error> {
    let start = Instant::now();
    let result = one(&cluster, &context).await;
    context.metrics.reconciled(start.elapsed(), result.as_ref().err());
    if result.is_ok() {
        failures(&context).remove(&uid(&cluster));
    }
    result
}

/// When to try again: after 2, 4, 8, ... seconds, five minutes at most.
pub fn on_error(cluster: Arc<KafkaCluster>, error: &Error, context: Arc<Context>) -> Action {
    let mut failures = failures(&context);
    let count = failures.entry(uid(&cluster)).or_insert(0);
    let delay = backoff(*count);
    *count = count.saturating_add(1);
    warn!(cluster = %place(&cluster), %error, retry_seconds = delay.as_secs(), "reconciliation failed");
    Action::requeue(delay)
}

fn backoff(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(2u32.saturating_pow(failures)).min(LAST_RETRY)
}

fn failures(context: &Context) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
    context.failures.lock().unwrap_or_else(PoisonError::into_inner)
}

fn uid(cluster: &KafkaCluster) -> String {
    cluster.uid().unwrap_or_default()
}

fn place(cluster: &KafkaCluster) -> String {
    format!("{}/{}", cluster.namespace().unwrap_or_default(), cluster.name_any())
}

async fn one(seen: &KafkaCluster, context: &Context) -> Result<Action, Error> {
    let (name, namespace) = (seen.name_any(), seen.namespace().unwrap_or_default());
    let clusters: Api<KafkaCluster> = Api::namespaced(context.client.clone(), &namespace);
    let sets: Api<StatefulSet> = Api::namespaced(context.client.clone(), &namespace);
    let failed = |kind: &str, error| Error::api(format!("{kind} {name}"), &error);
    // What was seen may be older than the status that was written last, which then would be written once more.
    let found = clusters.get_opt(&name).await.map_err(|error| failed("KafkaCluster", error))?;
    let Some(cluster) = &found.filter(|cluster| cluster.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let live = sets.get_opt(&name).await.map_err(|error| failed("StatefulSet", error))?;

    match carry_out(cluster, context, live.as_ref()).await {
        Ok((plan, set)) => {
            answer(cluster, context, &Outcome::Applied(&plan), Some(&set)).await?;
            Ok(Action::requeue(AGAIN))
        }
        Err(Error::Refused(refusal)) => {
            let outcome = Outcome::Stuck { reason: refusal.reason, message: &refusal.message };
            answer(cluster, context, &outcome, live.as_ref()).await?;
            Ok(Action::requeue(if refusal.reason == NAME_TAKEN { NAME_TAKEN_AGAIN } else { AGAIN }))
        }
        Err(error) => {
            let message = error.to_string();
            let outcome = Outcome::Stuck { reason: "ApplyFailed", message: &message };
            // The first error is the one to report.
            if let Err(second) = answer(cluster, context, &outcome, live.as_ref()).await {
                warn!(cluster = %place(cluster), error = %second, "the status cannot be written either");
            }
            Err(error)
        }
    }
}

async fn carry_out(
    cluster: &KafkaCluster,
    context: &Context,
    live: Option<&StatefulSet>,
) -> Result<(Plan, StatefulSet), Error> {
    let plan = plan(cluster, &Existing::of(cluster, live), &context.catalogue)?;
    let set = apply(&context.client, &plan).await?;
    Ok((plan, set))
}

/// Writes the status if it is not the same already, and an event if something became wrong.
async fn answer(
    cluster: &KafkaCluster,
    context: &Context,
    outcome: &Outcome<'_>,
    live: Option<&StatefulSet>,
) -> Result<(), Error> {
    let next = status::next(cluster, outcome, live, Timestamp::now());
    let old = cluster.status.as_ref();
    if old == Some(&next) {
        return Ok(());
    }
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let api: Api<KafkaCluster> = Api::namespaced(context.client.clone(), &namespace);
    let body = json!({
        "apiVersion": KafkaCluster::api_version(&()),
        "kind": KafkaCluster::kind(&()),
        "metadata": {"name": name, "uid": cluster.uid()},
        "status": next,
    });
    api.patch_status(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(body))
        .await
        .map_err(|error| Error::api(format!("the status of KafkaCluster {name}"), &error))?;
    match outcome {
        Outcome::Applied(plan) => {
            info!(cluster = %place(cluster), image = plan.image.reference, ready = next.ready_replicas, "applied");
        }
        Outcome::Stuck { reason, message } => {
            warn!(cluster = %place(cluster), reason, detail = message, "cannot be carried out");
            if degraded(old) != degraded(Some(&next)) {
                publish(cluster, context, reason, message).await;
            }
        }
    }
    Ok(())
}

/// What is wrong, if something is.
fn degraded(status: Option<&KafkaClusterStatus>) -> Option<(&str, &str)> {
    let found = status?.conditions.iter().find(|found| found.type_ == "Degraded" && found.status == "True")?;
    Some((&found.reason, &found.message))
}

async fn publish(cluster: &KafkaCluster, context: &Context, reason: &str, message: &str) {
    let event = Event {
        type_: EventType::Warning,
        reason: reason.to_owned(),
        // An event takes 1 kB.
        note: Some(message.chars().take(250).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, &cluster.object_ref(&())).await {
        warn!(cluster = %place(cluster), error = %Error::api("the event", &error), "no event was written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each failure in a row doubles the time to the next try, up to five minutes.
    #[test]
    fn delays() {
        let seconds: Vec<_> = [0, 1, 2, 7, 8, 40, u32::MAX].map(|count| backoff(count).as_secs()).into();

        assert_eq!(vec![2, 4, 8, 256, 300, 300, 300], seconds);
    }
}
