//! What a validity code costs: free only on a recorded ground.

use gavah_api::v1 as pb;
use gavah_store::TariffRowSeed;
use gavah_testkit::world::{Engine, UNIVERSITY, World};
use tonic::Code;

use crate::code_guards::{issued, refused_after, refused_without_trace, university};
use crate::harness::{run_on, soon};
use crate::messages::issue;

cases_of_any_engine! {
    what_has_no_row_in_the_tariff_is_free_and_says_so,
    a_row_of_the_tariff_that_costs_something_is_not_paid_by_silence,
    a_row_of_the_tariff_that_costs_nothing_is_free,
}

async fn what_has_no_row_in_the_tariff_is_free_and_says_so(world: &mut World) {
    let answer = university(world)
        .await
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    let quote = issued(answer).quote.unwrap();
    let year = world.today().year();
    assert_eq!(quote.basis(), pb::QuoteBasis::FreeNoTariffRow);
    assert_eq!(quote.budget_year, year);
    assert_eq!(quote.fee, None);
    assert!(
        quote.evidence.contains(&year.to_string()),
        "{}",
        quote.evidence
    );
}

fn row(amount: i64) -> TariffRowSeed {
    gavah_testkit::fixtures::tariff_row("VALIDITY_CODE", amount)
}

async fn a_row_of_the_tariff_that_costs_something_is_not_paid_by_silence(world: &mut World) {
    let failure = refused_after(world, "PAYMENT_REQUIRED", |seed| {
        seed.tariff[0].row.push(row(500_000));
    })
    .await;
    assert_eq!(
        failure.metadata["budget_year"],
        world.today().year().to_string()
    );
    assert!(failure.metadata["legal_reference"].contains("synthetic law, row 1"));
}

async fn a_row_of_the_tariff_that_costs_nothing_is_free(world: &mut World) {
    let peer = university(world).await;
    world.reseed(|seed| seed.tariff[0].row.push(row(0))).await;
    soon("the new table", async || {
        let answer = peer.issue_validity_code(issue(world, UNIVERSITY)).await;
        let quote = issued(answer).quote.unwrap();
        (quote.basis() == pb::QuoteBasis::ZeroRow).then_some(())
    })
    .await;
}

#[test]
fn without_a_tariff_table_of_the_year_nothing_is_free() {
    let world = World::builder(Engine::Sqlite).seed(|seed| seed.tariff[0].year -= 1);
    run_on(world, async |world: &mut World| {
        let failure = refused_without_trace(
            world,
            &university(world).await,
            issue(world, UNIVERSITY),
            Code::FailedPrecondition,
            "TARIFF_YEAR_NOT_LOADED",
        )
        .await;
        assert_eq!(
            failure.metadata["budget_year"],
            world.today().year().to_string()
        );
    });
}
