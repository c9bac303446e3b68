//! A Kubernetes operator for Apache Kafka. README.md says what it does; this file is its command line.

#![forbid(unsafe_code)]

mod apply;
mod catalogue;
mod config;
mod controller;
mod crd;
mod error;
mod image;
mod metrics;
mod objects;
mod plan;
mod quantity;
mod run;
mod server;
mod status;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use kube::CustomResourceExt;
use tracing_subscriber::EnvFilter;

use crate::catalogue::Catalogue;
use crate::crd::KafkaCluster;
use crate::error::Error;
use crate::run::{Namespaces, Options};

/// Runs Apache Kafka clusters on Kubernetes
#[derive(Parser)]
#[command(name = "kafka-operator", bin_name = "kafka-operator", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Watch KafkaClusters and carry them out (the default)
    Run(RunArgs),
    /// Print the CustomResourceDefinition as YAML
    Crd,
}

#[derive(Args)]
struct RunArgs {
    /// The product images of this release; a file that is not there is an empty catalogue
    #[arg(
        long,
        env = "KAFKA_OPERATOR_CATALOGUE",
        value_name = "FILE",
        default_value = "/etc/kafka-operator/images.lock.toml"
    )]
    catalogue: PathBuf,
    /// Where /healthz, /readyz and /metrics are
    #[arg(long, env = "KAFKA_OPERATOR_LISTEN", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Namespaces to watch, with commas between them; all of them without it
    #[arg(long, env = "WATCH_NAMESPACE", value_name = "NAMES", default_value = "")]
    watch_namespace: String,
    /// What to log: error, warn, info, debug, trace, or a filter such as info,kube=debug
    #[arg(long, env = "KAFKA_OPERATOR_LOG", value_name = "LEVEL", default_value = "info", value_parser = filter)]
    log: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Crd) => print_crd(),
        Some(Command::Run(args)) => start(args),
        None => start(cli.run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kafka-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Looks at a log filter before anything starts.
fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn start(args: RunArgs) -> Result<(), Error> {
    let format = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_span_list(false);
    format.with_env_filter(EnvFilter::new(&args.log)).with_writer(std::io::stderr).init();
    let options = Options {
        catalogue: Catalogue::load(&args.catalogue)?,
        listen: args.listen,
        namespaces: Namespaces::parse(&args.watch_namespace),
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(run::run(options))
}

fn crd_yaml() -> Result<String, Error> {
    serde_saphyr::to_string(&KafkaCluster::crd()).map_err(|error| Error::Print(error.to_string()))
}

fn print_crd() -> Result<(), Error> {
    let text = crd_yaml()?;
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| Error::Print(error.to_string()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The command line has no contradictions.
    #[test]
    fn command_line() {
        Cli::command().debug_assert();
    }

    /// The subcommand run may be left out; its options may not stand before a subcommand.
    #[test]
    fn default_command() {
        let parsed = Cli::try_parse_from(["kafka-operator", "--listen", "127.0.0.1:1"]).unwrap();

        assert!(parsed.command.is_none());
        assert_eq!(1, parsed.run.listen.port());
        assert!(Cli::try_parse_from(["kafka-operator", "--log", "warn", "crd"]).is_err());
    }

    /// Bad usage ends with code 2.
    #[test]
    fn usage() {
        for args in [["kafka-operator", "walk"], ["kafka-operator", "--listen=here"], ["kafka-operator", "--log==,a["]]
        {
            assert_eq!(2, Cli::try_parse_from(args).err().unwrap().exit_code());
        }
    }

    /// deploy/crd.yaml is what `kafka-operator crd` prints; after a change, print it there again.
    #[test]
    fn checked_in() {
        assert!(crd_yaml().unwrap() == include_str!("../deploy/crd.yaml"), "run: kafka-operator crd > deploy/crd.yaml");
    }
}
