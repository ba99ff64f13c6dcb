//! Reference data from a file.

use gavah_domain::agreement::AgreementState;
use gavah_domain::institution::InstitutionType;
use gavah_domain::service::{ServiceCallState, ServiceKind};
use gavah_domain::tariff::{ISSUE, Priced, QuoteBasis, quote};
use gavah_domain::validity::DocumentKind;
use gavah_domain::{JalaliDate, Money, MoneyUnit};
use gavah_store::{
    RequiredAttachmentSeed, Seed, Snapshot, Store, StoreError, TariffLoad, TariffRowSeed,
    TariffSeed, sha256,
};
use gavah_testkit::fixtures::{self, after, now, operator, tariff_row};

use crate::harness::{HOME, TestStore};

cases! {
    a_bad_seed_is_refused_and_every_wrong_entry_is_named,
    a_reference_to_nothing_is_refused_and_named,
    a_loaded_seed_is_in_the_snapshot,
    loading_twice_is_the_same_as_loading_once,
    a_tariff_table_without_rows_is_a_table,
    a_published_tariff_never_changes,
    a_correction_is_the_next_version_and_the_one_before_stays,
    two_who_correct_the_same_version_publish_one_correction,
    tables_loaded_before_versions_are_version_one,
    a_seed_may_refer_to_an_earlier_one,
}

async fn load(store: &TestStore, seed: &Seed) -> Snapshot {
    store.load_seed(&operator(now()), seed).await.unwrap();
    store.snapshot().await.unwrap()
}

/// What a snapshot says, without its version.
fn text(snapshot: &Snapshot) -> String {
    let mut workflows: Vec<_> = snapshot.workflows.values().collect();
    workflows.sort_by_key(|workflow| &workflow.id);
    format!(
        "{:?} {:?} {:?} {workflows:?} {:?}",
        snapshot.calls, snapshot.agreements, snapshot.terms, snapshot.tariffs
    )
}

fn consumer() -> String {
    format!("institutions/{HOME}")
}

async fn a_bad_seed_is_refused_and_every_wrong_entry_is_named(store: TestStore) {
    let mut seed = fixtures::seed(&[&consumer()]);
    seed.term[0].kind = "THIRD".to_owned();
    seed.term[0].academic_year = -5;
    seed.term[1].end = "1405/13/01".to_owned();
    seed.workflow[0].service = "SOMETHING".to_owned();
    seed.workflow[0].rules.auto_confirm = false;
    seed.workflow[0].rules.organization_review_percent = 101;
    seed.workflow[1].service = "VALIDITY_CODE".to_owned();
    seed.workflow[1].rules.organization_review = true;
    seed.workflow[1].rules.auto_confirm = false;
    let require = |kind: &str, only_for: Option<&str>| RequiredAttachmentSeed {
        kind: kind.to_owned(),
        only_for: only_for.map(str::to_owned),
    };
    seed.workflow[1].rules.required_attachments = vec![
        require("POEM", Some("DEGREE")),
        require("PHOTO", Some("CONFIRM_EXISTING")),
    ];
    let codes = &mut seed.workflow[1].rules.codes;
    codes.unique_by = vec!["COLOUR".to_owned()];
    codes.prior_levels.insert("PHD".to_owned(), Vec::new());
    codes.valid_months.insert("DEGREE".to_owned(), 0);
    seed.workflow[1].rules.outlives_enrollment = vec!["POETRY".to_owned()];
    seed.workflow[1].rules.payment_position = "LATER".to_owned();
    seed.call[0].state = "AJAR".to_owned();
    seed.call[0].opens = "yesterday".to_owned();
    seed.call[0].eligible_types.push("PRIVATE".to_owned());
    seed.call[1].closes = Some("1403/12/29".to_owned());
    seed.call[1].document_kinds.push("POEM".to_owned());
    seed.call[1].service = String::new();
    seed.agreement[0].state = "PERHAPS".to_owned();
    seed.agreement[0].consumers.push("institutions/".to_owned());
    seed.agreement[1].id = String::new();
    seed.tariff[0].row = ["VALIDITY_CODE", "ENROLLMENT_CERTIFICATE", "OTHER"]
        .map(|service| tariff_row(service, -1))
        .to_vec();
    seed.tariff[0].row[0].request_type = Some("ISUE".to_owned());
    seed.tariff[0].row[1].request_type = Some("ISSUE".to_owned());
    seed.tariff[0].row[1].unit = "TOMAN".to_owned();
    seed.tariff[0].row[2].institution_type = Some("PRIVATE".to_owned());
    seed.tariff[0].row[2].from_date = Some("1406/01/01".to_owned());
    seed.tariff[0].row[2].legal_reference = "two\nlines".to_owned();
    seed.tariff[0].supersedes = Some(0);
    seed.tariff.push(seed.tariff[0].clone());
    seed.tariff[1].row = vec![tariff_row("VALIDITY_CODE", 1); 2];
    seed.tariff[1].legal_reference = " ".to_owned();
    seed.tariff[1].supersedes = None;
    let wrong = seed.check().unwrap_err().0;
    let expected = [
        "term[0].kind",
        "term[0].academic_year",
        "term[1].start/end",
        "workflow[0].service",
        "workflow[0].rules.auto_confirm",
        "workflow[0].rules.organization_review_percent",
        "workflow[1].rules.payment_position",
        "workflow[1].rules.auto_confirm",
        "workflow[1].rules.organization_review",
        "workflow[1].rules.outlives_enrollment",
        "workflow[1].rules.required_attachments[0].kind",
        "workflow[1].rules.required_attachments[1].only_for",
        "workflow[1].rules.codes",
        "workflow[1].rules.codes.unique_by",
        "workflow[1].rules.codes.prior_levels",
        "workflow[1].rules.codes.valid_months",
        "call[0].state",
        "call[0].opens",
        "call[0].eligible_types",
        "call[1].service",
        "call[1].closes",
        "call[1].document_kinds",
        "agreement[0].state",
        "agreement[0].consumers",
        "agreement[1].id",
        "tariff[0].supersedes",
        "tariff[0].row[0].request_type",
        "tariff[0].row[0].amount",
        "tariff[0].row[1].request_type",
        "tariff[0].row[1].amount",
        "tariff[0].row[1].unit",
        "tariff[0].row[2].service",
        "tariff[0].row[2].institution_type",
        "tariff[0].row[2].from_date",
        "tariff[0].row[2].amount",
        "tariff[0].row[2].legal_reference",
        "tariff[1].legal_reference",
        "tariff[1].row[1] is given twice",
        "tariff[1] is given twice",
    ];
    assert_eq!(wrong, expected);
    let acts = store.acts().await;
    let loaded = store.load_seed(&operator(now()), &seed).await;
    let Err(StoreError::Config(text)) = loaded else {
        panic!("{loaded:?}");
    };
    for place in expected {
        assert!(text.contains(place), "{place}");
    }
    assert!(store.snapshot().await.unwrap().terms.terms().is_empty());
    assert_eq!(store.acts().await, acts);
}

async fn a_reference_to_nothing_is_refused_and_named(store: TestStore) {
    for (spoil, place) in [
        (
            (|seed| seed.call[1].workflow = "gone".to_owned()) as fn(&mut Seed),
            "call[1].workflow",
        ),
        (
            |seed| seed.agreement[1].call = "gone".to_owned(),
            "agreement[1].call",
        ),
    ] {
        let mut seed = fixtures::seed(&[&consumer()]);
        spoil(&mut seed);
        let version = store.registry_version().await;
        let loaded = store.load_seed(&operator(now()), &seed).await;
        assert!(
            matches!(&loaded, Err(StoreError::Config(text)) if text.contains(place)),
            "{loaded:?}"
        );
        let snapshot = store.snapshot().await.unwrap();
        assert!(snapshot.calls.is_empty() && snapshot.workflows.is_empty());
        assert_eq!(store.registry_version().await, version);
    }
}

async fn a_loaded_seed_is_in_the_snapshot(store: TestStore) {
    let acts = store.acts().await;
    let version = store.registry_version().await.unwrap();
    let mut seed = fixtures::seed(&[&consumer(), "callers/single-window"]);
    seed.call[0].closes = Some("1405/12/29".to_owned());
    let snapshot = load(&store, &seed).await;
    assert_eq!(snapshot.version, version + 1);
    assert_eq!(
        store.acts().await,
        acts + 2,
        "the load and the published table"
    );

    let ids: Vec<_> = snapshot.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["certificates-1405", "codes-1405"]);
    let codes = &snapshot.calls[1];
    assert_eq!(codes.service, ServiceKind::ValidityCode);
    assert_eq!(codes.state, ServiceCallState::Open);
    let day = |text| JalaliDate::parse(text).unwrap();
    assert_eq!(codes.open_time, day("1404/01/01").start_of_day());
    assert_eq!(codes.close_time, Some(day("1406/01/01").start_of_day()));
    assert!(codes.eligible_types.contains(&InstitutionType::NonProfit));
    let kinds = [DocumentKind::Degree, DocumentKind::Transcript];
    assert_eq!(codes.document_kinds, kinds);
    assert_eq!(codes.run_off_days, 30);

    assert_eq!(snapshot.agreements.len(), 4);
    let of_window = snapshot
        .agreements
        .iter()
        .find(|agreement| agreement.id == "codes/callers/single-window")
        .unwrap();
    assert_eq!(of_window.consumer, "callers/single-window");
    assert_eq!(of_window.call_id, "codes-1405");
    assert_eq!(of_window.state, AgreementState::Active);

    let workflow = &snapshot.workflows["certificate-v1"];
    assert_eq!(workflow.service, ServiceKind::EnrollmentCertificate);
    assert_eq!(
        (workflow.freshness_hours, workflow.auto_confirm),
        (24, true)
    );
    let term = snapshot.terms.current(fixtures::today()).unwrap();
    assert_eq!(term.id, fixtures::term());
}

async fn loading_twice_is_the_same_as_loading_once(store: TestStore) {
    let mut seed = fixtures::seed(&[&consumer()]);
    seed.tariff[0].row = vec![tariff_row("VALIDITY_CODE", 5)];
    let once = load(&store, &seed).await;
    let twice = load(&store, &seed).await;
    assert_eq!(text(&once), text(&twice));
    assert_eq!(twice.version, once.version + 1);
    // A changed entry replaces the one of its id.
    seed.call[0].state = "CLOSED".to_owned();
    seed.agreement[0].state = "TERMINATED".to_owned();
    let thrice = load(&store, &seed).await;
    assert_eq!(thrice.calls.len(), 2);
    assert_eq!(thrice.calls[1].state, ServiceCallState::Closed);
    let left: Vec<_> = thrice.agreements.iter().map(|left| &left.call_id).collect();
    assert_eq!(left, ["certificates-1405"], "what has ended is not in hand");
    // What has closed or ended stays so.
    for (call, agreement, refused) in [
        ("OPEN", "TERMINATED", "call[0] has closed"),
        ("CLOSED", "ACTIVE", "agreement[0] has ended"),
    ] {
        seed.call[0].state = call.to_owned();
        seed.agreement[0].state = agreement.to_owned();
        let loaded = store.load_seed(&operator(now()), &seed).await;
        let told = loaded.unwrap_err().to_string();
        assert!(told.contains(refused), "{told}");
    }
}

async fn a_tariff_table_without_rows_is_a_table(store: TestStore) {
    let snapshot = load(&store, &fixtures::seed(&[])).await;
    assert_eq!(snapshot.tariffs.len(), 1);
    assert_eq!(
        (snapshot.tariffs[0].year, snapshot.tariffs[0].rows.len()),
        (1405, 0)
    );
    let ask = |year| {
        let asked = Priced {
            service: ServiceKind::ValidityCode,
            request_type: ISSUE,
            institution_type: InstitutionType::State,
            date: JalaliDate::new(year, 1, 1).unwrap(),
        };
        quote(&snapshot.tariffs, &asked, sha256)
    };
    assert_eq!(ask(1405).unwrap().quote.basis, QuoteBasis::FreeNoTariffRow);
    assert!(ask(1406).is_err(), "no table is not free");
}

fn table(rows: &[TariffRowSeed]) -> TariffSeed {
    TariffSeed {
        year: 1405,
        legal_reference: "synthetic law".to_owned(),
        supersedes: None,
        row: rows.to_vec(),
    }
}

async fn a_published_tariff_never_changes(store: TestStore) {
    let rows = [
        tariff_row("VALIDITY_CODE", 70_000),
        tariff_row("ENROLLMENT_CERTIFICATE", 80_000),
    ];
    let seed = Seed {
        tariff: vec![table(&rows)],
        ..Seed::default()
    };
    let first = load(&store, &seed).await;
    let acts = store.acts().await;
    let later = operator(after(1));
    let again = store.publish_tariff(&later, &seed.tariff[0]).await;
    assert_eq!(again, Ok(TariffLoad::Unchanged(1)));
    assert_eq!(store.acts().await, acts, "nothing was done");

    for other in [
        table(&rows[..1]),
        table(&[rows[1].clone(), rows[0].clone()]),
        TariffSeed {
            legal_reference: "another law".to_owned(),
            ..table(&rows)
        },
        TariffSeed {
            row: vec![TariffRowSeed {
                unit: "IRR_NEW".to_owned(),
                ..rows[0].clone()
            }],
            ..table(&rows)
        },
    ] {
        let refused = store.publish_tariff(&operator(after(1)), &other).await;
        assert_eq!(refused, Ok(TariffLoad::Differs(1)));
        let seed = Seed {
            tariff: vec![other],
            term: fixtures::seed(&[]).term,
            ..Seed::default()
        };
        let loaded = store.load_seed(&operator(after(1)), &seed).await;
        assert!(
            matches!(&loaded, Err(StoreError::Config(text)) if text.contains("tariff[0] is published")),
            "{loaded:?}"
        );
    }
    let now = store.snapshot().await.unwrap();
    assert_eq!(text(&now), text(&first), "and nothing else was loaded");
    assert_eq!(store.acts().await, acts);
    let fees = now.tariffs[0].rows.iter().map(|row| row.fee);
    let expected = [70_000, 80_000].map(|amount| Money::new(amount, MoneyUnit::IrrCurrent));
    assert!(fees.eq(expected), "in the order of the file");
    assert_eq!(now.tariffs[0].publish_time, Some(fixtures::now()));
}

async fn a_correction_is_the_next_version_and_the_one_before_stays(store: TestStore) {
    let wrong = table(&[tariff_row("VALIDITY_CODE", 70_000)]);
    let right = TariffSeed {
        supersedes: Some(1),
        ..table(&[TariffRowSeed {
            from_date: Some("1405/07/01".to_owned()),
            unit: "IRR_NEW".to_owned(),
            ..tariff_row("VALIDITY_CODE", 7)
        }])
    };
    let publish = async |table: &TariffSeed| {
        let loaded = store.publish_tariff(&operator(now()), table).await;
        loaded.unwrap()
    };
    assert_eq!(publish(&right).await, TariffLoad::NotTheNewest(None));
    assert_eq!(publish(&wrong).await, TariffLoad::Published(1));
    let version = store.registry_version().await.unwrap();
    assert_eq!(publish(&right).await, TariffLoad::Published(2));
    assert_eq!(store.registry_version().await.unwrap(), version + 1);
    let acts = store.acts().await;
    assert_eq!(publish(&right).await, TariffLoad::Unchanged(2));
    assert_eq!(publish(&wrong).await, TariffLoad::Unchanged(1));
    let late = TariffSeed {
        supersedes: Some(1),
        ..table(&[])
    };
    assert_eq!(publish(&late).await, TariffLoad::NotTheNewest(Some(2)));
    assert_eq!(store.acts().await, acts);
    // Back to what was wrong is a correction too.
    let back = TariffSeed {
        supersedes: Some(2),
        ..wrong.clone()
    };
    assert_eq!(publish(&back).await, TariffLoad::Published(3));

    let snapshot = store.snapshot().await.unwrap();
    let versions = snapshot.tariffs.iter();
    let versions: Vec<_> = versions.map(|table| (table.year, table.version)).collect();
    assert_eq!(versions, [(1405, 1), (1405, 2), (1405, 3)]);
    let [first, second, third] = &snapshot.tariffs[..] else {
        panic!("three versions");
    };
    assert_eq!(
        (&first.rows, &first.digest),
        (&third.rows, &third.digest),
        "the digest is over the content"
    );
    assert_ne!(first.digest, second.digest);
    assert_eq!(second.digest, sha256(&second.canonical_text()));
    assert_eq!(second.rows[0].fee, Money::new(7, MoneyUnit::IrrNew));
    let from = JalaliDate::parse("1405/07/01").ok();
    assert_eq!(second.rows[0].from_date, from);
}

async fn two_who_correct_the_same_version_publish_one_correction(store: TestStore) {
    let publish = async |amount: i64, supersedes| {
        let table = TariffSeed {
            supersedes,
            ..table(&[tariff_row("VALIDITY_CODE", amount)])
        };
        let loaded = store.publish_tariff(&operator(now()), &table).await;
        loaded.unwrap()
    };
    publish(1, None).await;
    let both = tokio::join!(publish(2, Some(1)), publish(3, Some(1)));
    let both = [both.0, both.1];
    assert!(both.contains(&TariffLoad::Published(2)), "{both:?}");
    assert!(
        both.contains(&TariffLoad::NotTheNewest(Some(2))),
        "{both:?}"
    );
    assert_eq!(store.snapshot().await.unwrap().tariffs.len(), 2);
}

async fn tables_loaded_before_versions_are_version_one(store: TestStore) {
    let mut raw = store.place.superuser().await;
    // As the release before left them: what came after its last migration is not there yet.
    for statement in [
        "DROP TABLE tariff_version_row",
        "DROP TABLE tariff_version",
        "DELETE FROM seaql_migrations WHERE version = 'm0014_tariff_versions'",
        "INSERT INTO tariff_year VALUES (1404, 'old law'), (1403, 'older law')",
        "INSERT INTO tariff_row VALUES \
         (1404001, 1404, 'VALIDITY_CODE', 'ISSUE', 'STATE', 9, 'IRR_CURRENT', 'row 2'), \
         (1404000, 1404, 'ENROLLMENT_CERTIFICATE', NULL, NULL, 8, 'IRR_NEW', 'row 1')",
    ] {
        raw.run(statement).await.unwrap();
    }
    Store::migrate(&store.place.owner()).await.unwrap();
    store.place.grant().await;
    let tables = store.snapshot().await.unwrap().tariffs;
    let [older, old] = &tables[..] else {
        panic!("{tables:?}");
    };
    assert_eq!((older.year, older.version, older.rows.len()), (1403, 1, 0));
    assert_eq!((old.year, old.version, old.publish_time), (1404, 1, None));
    let references = old.rows.iter().map(|row| row.legal_reference.as_str());
    assert!(references.eq(["row 1", "row 2"]));
    assert_eq!(old.rows[1].institution_type, Some(InstitutionType::State));
    for table in &tables {
        assert_eq!(table.digest, sha256(&table.canonical_text()));
    }
}

async fn a_seed_may_refer_to_an_earlier_one(store: TestStore) {
    load(&store, &fixtures::seed(&[])).await;
    let mut later = Seed {
        agreement: fixtures::seed(&["callers/hub"]).agreement,
        ..Seed::default()
    };
    later.agreement.truncate(1);
    store.load_seed(&operator(after(1)), &later).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.agreements.len(), 1);
    assert_eq!(snapshot.calls.len(), 2);
}
