//! The operator's life: connect, watch, end.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{Either, join_all, select};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::controller::{self, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Api, Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::catalogue::Catalogue;
use crate::controller::{Context, on_error, reconcile};
use crate::crd::KafkaCluster;
use crate::error::{Error, chain};
use crate::metrics::Metrics;
use crate::objects::{MANAGED_BY, MANAGER};
use crate::server;

const CONNECT: Duration = Duration::from_secs(15);
/// Running reconciliations may end, but Kubernetes does not wait long.
const FAREWELL: Duration = Duration::from_secs(10);

pub struct Options {
    pub catalogue: Catalogue,
    pub listen: SocketAddr,
    pub namespaces: Namespaces,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    All,
    Some(BTreeSet<String>),
}

impl Namespaces {
    /// From names with commas between them; none means all.
    pub fn parse(text: &str) -> Self {
        let names: BTreeSet<_> =
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if names.is_empty() { Self::All } else { Self::Some(names) }
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("all"),
            Self::Some(names) => formatter.write_str(&names.iter().map(String::as_str).collect::<Vec<_>>().join(",")),
        }
    }
}

/// Runs until a signal says to end.
pub async fn run(options: Options) -> Result<(), Error> {
    let stop = stop_signal()?.shared();
    let client = connect().await?;
    let metrics = Arc::new(Metrics::new());
    let listener = server::listen(options.listen).await?;
    let server = tokio::spawn(server::serve(listener, metrics.clone()));
    info!(
        version = env!("CARGO_PKG_VERSION"),
        listen = %options.listen,
        images = options.catalogue.len(),
        namespaces = %options.namespaces,
        "started"
    );

    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), Reporter::from(MANAGER)),
        client: client.clone(),
        catalogue: options.catalogue,
        metrics: metrics.clone(),
        failures: Mutex::default(),
    });
    let scopes = match options.namespaces {
        Namespaces::All => vec![None],
        Namespaces::Some(names) => names.into_iter().map(Some).collect(),
    };
    let controllers: Vec<_> =
        scopes.iter().map(|scope| controller(&client, scope.as_deref()).graceful_shutdown_on(stop.clone())).collect();
    let stores: Vec<_> = controllers.iter().map(Controller::store).collect();
    let ready = async {
        for store in &stores {
            // An error means that the watch has ended, which is told elsewhere.
            if store.wait_until_ready().await.is_err() {
                return;
            }
        }
        metrics.set_ready();
        info!("ready: the watches are established");
    };
    let work = join_all(controllers.into_iter().map(|controller| work(controller, context.clone())));
    let all = async { tokio::join!(work, ready) };
    let deadline = stop.clone().then(|()| tokio::time::sleep(FAREWELL));
    match select(Box::pin(all), Box::pin(deadline)).await {
        Either::Left(_) => info!("ended"),
        Either::Right(_) => warn!("ended before all reconciliations did"),
    }
    server.abort();
    Ok(())
}

async fn connect() -> Result<Client, Error> {
    let config = Config::infer().await.map_err(|error| Error::NoCluster(chain(&error)))?;
    let url = config.cluster_url.to_string();
    let unreachable = |message: String| Error::Unreachable { url: url.clone(), message };
    let client = Client::try_from(config).map_err(|error| unreachable(chain(&error)))?;
    match tokio::time::timeout(CONNECT, client.apiserver_version()).await {
        Ok(Ok(version)) => {
            info!(url, version = version.git_version, "connected");
            Ok(client)
        }
        Ok(Err(error)) => Err(unreachable(chain(&error))),
        Err(_) => Err(unreachable(format!("no answer in {} seconds", CONNECT.as_secs()))),
    }
}

/// A controller of one namespace, or of all.
fn controller(client: &Client, namespace: Option<&str>) -> Controller<KafkaCluster> {
    let any = watcher::Config::default();
    let own = watcher::Config::default().labels(&format!("{MANAGED_BY}={MANAGER}"));
    macro_rules! api {
        ($kind:ty) => {{
            let api: Api<$kind> = match namespace {
                Some(namespace) => Api::namespaced(client.clone(), namespace),
                None => Api::all(client.clone()),
            };
            api
        }};
    }
    Controller::new(api!(KafkaCluster), any)
        .owns(api!(StatefulSet), own.clone())
        .owns(api!(ConfigMap), own.clone())
        .owns(api!(Service), own.clone())
        .owns(api!(PodDisruptionBudget), own)
}

async fn work(controller: Controller<KafkaCluster>, context: Arc<Context>) {
    let metrics = context.metrics.clone();
    controller
        .run(reconcile, on_error, context)
        .for_each(|result| {
            match result {
                Err(controller::Error::QueueError(error)) => {
                    metrics.failed("watch");
                    warn!(error = chain(&error), "a watch failed; it is tried again");
                }
                Err(controller::Error::RunnerError(error)) => {
                    metrics.failed("runner");
                    warn!(error = chain(&error), "the queue failed");
                }
                // Failures are told where the next try is planned; objects that went in between are nobody's concern.
                Ok(_) | Err(controller::Error::ReconcilerFailed(..) | controller::Error::ObjectNotFound(_)) => {}
            }
            std::future::ready(())
        })
        .await;
}

/// Done when the process is told to end.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + Sync + use<>, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: ending"),
            _ = interrupt.recv() => info!("SIGINT: ending"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are taken once and without spaces; no name means all namespaces.
    #[test]
    fn namespaces() {
        assert_eq!(Namespaces::All, Namespaces::parse(""));
        assert_eq!(Namespaces::All, Namespaces::parse(" , "));
        assert_eq!(Namespaces::Some(["a", "b"].map(str::to_owned).into()), Namespaces::parse("b, a,,a"));
    }
}
