//! What can go wrong.
//!
//! - [`Error`]: the operator cannot go on, or has to try again
//! - [`Refusal`]: a spec that cannot be carried out; the user has to change it, so it is not tried again

use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

#[derive(Debug, Error)]
pub enum Error {
    #[error("the catalogue {} cannot be used: {message}", path.display())]
    Catalogue { path: PathBuf, message: String },

    #[error("no cluster is configured: set KUBECONFIG, or run in a pod with a service account ({0})")]
    NoCluster(String),

    #[error("the Kubernetes API at {url} does not answer: {message}")]
    Unreachable { url: String, message: String },

    #[error("cannot listen on {address}: {source}; choose another one with --listen")]
    Listen { address: SocketAddr, source: std::io::Error },

    #[error("cannot catch signals: {0}")]
    Signals(std::io::Error),

    #[error("the runtime cannot start: {0}")]
    Runtime(std::io::Error),

    #[error("the CRD cannot be written: {0}")]
    Print(String),

    #[error("{object} cannot be read or written: {message}")]
    Api { object: String, message: String },

    #[error("{0}")]
    Refused(#[from] Refusal),
}

impl Error {
    /// What the API server said of an object, without the debug text that `kube::Error` adds.
    pub fn api(object: impl Into<String>, error: &kube::Error) -> Self {
        let message = match error {
            kube::Error::Api(status) => status.message.clone(),
            other => chain(other),
        };
        Self::Api { object: object.into(), message }
    }
}

/// An error and its causes, each once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    /// One word for programs, in the conditions.
    pub reason: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Refusal {
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
