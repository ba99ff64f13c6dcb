//! Where a world's database is.

use std::path::Path;

use gavah_store::{Store, StoreConfig};

use crate::postgres::{Cluster, DatabaseWithRuntimeRole};

/// Which database a world stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file in the world's folder.
    Sqlite,
    /// A database of its own in the test binary's cluster; servers have the runtime role's rights only.
    Postgres,
}

/// A place for a database.
#[derive(Debug)]
pub(super) enum Place {
    Sqlite(StoreConfig),
    Postgres {
        owner: StoreConfig,
        database: DatabaseWithRuntimeRole,
    },
}

/// What cannot be removed goes with the cluster.
impl Drop for Place {
    fn drop(&mut self) {
        if let (Self::Postgres { database, .. }, Ok(cluster)) = (self, Cluster::shared()) {
            let _ = cluster.drop_database(&database.name);
        }
    }
}

impl Place {
    pub(super) async fn make(engine: Engine, dir: &Path) -> Self {
        match engine {
            Engine::Sqlite => Self::Sqlite(StoreConfig::Sqlite {
                path: dir.join("gavah.sqlite"),
            }),
            Engine::Postgres => {
                // Starting the cluster and making the database both wait for other processes.
                let made = tokio::task::spawn_blocking(|| {
                    Cluster::shared()?.create_database_with_runtime_role()
                });
                let database = made.await.expect("a thread").expect("a database");
                let owner = StoreConfig::Postgres {
                    url: database.owner_url.clone(),
                };
                Self::Postgres { owner, database }
            }
        }
    }

    /// Makes the schema, as the one who may.
    pub(super) async fn migrate(&self) {
        match self {
            Self::Sqlite(config) => {
                Store::migrate(config).await.expect("a migrated file");
            }
            Self::Postgres { owner, database } => {
                Store::migrate(owner).await.expect("a migrated database");
                Store::grant_runtime_role(owner, &database.runtime_role)
                    .await
                    .expect("grants");
            }
        }
    }

    /// The URL that a server connects with, on PostgreSQL.
    pub(super) fn runtime_url(&self) -> Option<&str> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres { database, .. } => Some(&database.runtime_url),
        }
    }

    /// The database for somebody who may do everything.
    pub(super) fn superuser(&self) -> StoreConfig {
        match self {
            Self::Sqlite(config) => config.clone(),
            Self::Postgres { database, .. } => StoreConfig::Postgres {
                url: Cluster::shared()
                    .expect("the cluster of the database")
                    .superuser_url(&database.name),
            },
        }
    }
}
