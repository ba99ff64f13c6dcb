//! What commands share that work on the store itself, without the service.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use gavah_domain::SystemEntropy;
use gavah_server::config::Config;
use gavah_store::{ActContext, Store, StoreError, StoreLimits};

use crate::connection::now;
use crate::problem::Problem;

/// Who acts when nobody calls, as the audit log names it.
const OPERATOR: &str = "operator/cli";

/// The configuration flag.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigFlag {
    /// The service's configuration file (TOML)
    #[arg(long, env = "GAVAH_CONFIG", value_name = "FILE")]
    pub(crate) config: PathBuf,
}

impl ConfigFlag {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// [`Problem::Usage`] with everything that is wrong with it.
    pub(crate) fn load(&self) -> Result<Config, Problem> {
        Ok(Config::load(&self.config)?)
    }

    /// Opens the store that the configuration names.
    pub(crate) async fn store(&self) -> Result<Store, Problem> {
        open(&self.load()?).await
    }
}

/// Opens the store.
pub(crate) async fn open(config: &Config) -> Result<Store, Problem> {
    let entropy = Arc::new(SystemEntropy);
    let store = &config.store;
    Ok(Store::open(&store.store_config(), store.limits(), entropy).await?)
}

/// Opens the store with time for work over all of it.
pub(crate) async fn open_patiently(config: &Config) -> Result<Store, Problem> {
    let hours = Duration::from_secs(6 * 3600);
    let limits = StoreLimits {
        statement: hours,
        transaction: hours,
        ..config.store.limits()
    };
    let entropy = Arc::new(SystemEntropy);
    Ok(Store::open(&config.store.store_config(), limits, entropy).await?)
}

/// An act of the operator, now by the store's clock: a sandbox's may have been moved.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn act(store: &Store) -> Result<ActContext, StoreError> {
    Ok(ActContext {
        actor: OPERATOR.to_owned(),
        now: store.clock_of(now()).await?,
        trace_id: String::new(),
        claim: None,
    })
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(path).map_err(|error| Problem::file(path, &error))
}
