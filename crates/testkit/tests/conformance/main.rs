//! One suite for every engine: each case runs on an SQLite file and on a real PostgreSQL database whose server side has
//! nothing but the runtime role's grants. After each case the audit is settled and must add up.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

/// Runs each named case of the module as two tests, `sqlite::name` and `postgres::name`.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                crate::harness::run(crate::harness::Engine::Sqlite, super::$name);
            })+
        }
        mod postgres {
            $(#[test]
            fn $name() {
                crate::harness::run(crate::harness::Engine::Postgres, super::$name);
            })+
        }
    };
}

/// Runs each named case of the module on one engine, the only one that can do what it is about.
macro_rules! cases_of {
    ($module:ident, $engine:ident: $($name:ident),+ $(,)?) => {
        mod $module {
            $(#[test]
            fn $name() {
                crate::harness::run(crate::harness::Engine::$engine, super::$name);
            })+
        }
    };
}

mod append_only;
mod audit;
mod budgets;
mod certificate_changes;
mod certificates;
mod code_changes;
mod codes;
mod coverage;
mod durability;
mod events;
mod harness;
mod listing;
mod raw;
mod records;
mod recovery;
mod registry;
mod registry_certificates;
mod schema;
mod seed;
mod snapshot;
mod tampering;
mod transactions;
