//! The service as its callers see it: the real server, real mutual TLS, a real database, on both engines where the
//! database matters. After each case the servers are stopped in order and the audit must add up.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

/// Runs each named case of the module as two tests, `sqlite::name` and `postgres::name`, on a usual world.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                crate::harness::run(gavah_testkit::world::Engine::Sqlite, super::$name);
            })+
        }
        mod postgres {
            $(#[test]
            fn $name() {
                crate::harness::run(gavah_testkit::world::Engine::Postgres, super::$name);
            })+
        }
    };
}

/// Runs each named case of the module as one test on SQLite: the database does not matter to it.
macro_rules! cases_of_any_engine {
    ($($name:ident),+ $(,)?) => {
        mod any_engine {
            $(#[test]
            fn $name() {
                crate::harness::run(gavah_testkit::world::Engine::Sqlite, super::$name);
            })+
        }
    };
}

mod agreements;
mod attachments;
mod audit;
mod budgets;
mod certificate_guards;
mod certificates;
mod code_guards;
mod code_stages;
mod codes;
mod corrections;
mod deadlines;
mod disputes;
mod disputes_closed;
mod disputes_ordered;
mod documents;
mod feed;
mod fields;
mod forwarded;
mod harness;
mod health;
mod identity;
mod inquiries;
mod jobs;
mod legacy;
mod limits;
mod matching;
mod matrix;
mod messages;
mod model;
mod nodes;
mod on_behalf;
mod outages;
mod ownership;
mod pauses;
mod payments;
mod peer;
mod quotas;
mod raw;
mod recovery;
mod registry;
mod remembered;
mod request_ids;
mod revocations;
mod sandbox;
mod service_levels;
mod shards;
mod stages;
mod streams;
mod tariffs;
mod verdicts;
mod wire;
mod writes;
