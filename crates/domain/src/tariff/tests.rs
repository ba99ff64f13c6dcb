use super::*;
use crate::money::MoneyUnit;

const FEE: Money = Money {
    amount: 500_000,
    unit: MoneyUnit::IrrCurrent,
};

/// No hash, but another one for each length, which is enough to see where it goes.
fn length(text: &str) -> String {
    format!("length {}", text.len())
}

fn day(text: &str) -> JalaliDate {
    JalaliDate::parse(text).unwrap()
}

fn row(
    request_type: Option<&str>,
    institution_type: Option<InstitutionType>,
    amount: i64,
    legal_reference: &str,
) -> TariffRow {
    TariffRow {
        service: ServiceKind::ValidityCode,
        request_type: request_type.map(str::to_owned),
        institution_type,
        from_date: None,
        fee: Money { amount, ..FEE },
        legal_reference: legal_reference.to_owned(),
    }
}

fn table(year: i32, version: i32, rows: Vec<TariffRow>) -> TariffYear {
    TariffYear {
        year,
        version,
        legal_reference: "budget law".to_owned(),
        digest: format!("digest of {version}"),
        publish_time: None,
        rows,
    }
}

fn on(date: &str) -> Priced<'static> {
    Priced {
        service: ServiceKind::ValidityCode,
        request_type: "DEGREE",
        institution_type: InstitutionType::State,
        date: day(date),
    }
}

fn asked(tables: &[TariffYear], date: &str) -> Quoted {
    quote(tables, &on(date), length).unwrap()
}

/// The quote without its ground.
fn quoted(rows: Vec<TariffRow>) -> Quote {
    let tables = [table(1404, 1, Vec::new()), table(1405, 1, rows)];
    Quote {
        ground: None,
        ..asked(&tables, "1405/02/23").quote
    }
}

#[test]
fn a_year_without_a_table_is_an_error_and_never_free() {
    let tables = [table(1404, 1, Vec::new())];
    for (tables, date) in [
        (&tables[..], "1405/01/01"),
        (&tables[..], "1403/12/30"),
        (&[][..], "1404/06/31"),
    ] {
        assert_eq!(
            quote(tables, &on(date), length),
            Err(Reason::TariffYearNotLoaded)
        );
    }
}

#[test]
fn a_priced_row_must_be_paid() {
    let quote = quoted(vec![row(None, None, 500_000, "budget law, table 7")]);
    assert_eq!(
        quote,
        Quote {
            basis: QuoteBasis::TariffRow,
            fee: Some(FEE),
            year: 1405,
            evidence: "budget law, table 7".to_owned(),
            ground: None,
        }
    );
    assert_eq!(quote.require_free(), Err(Reason::PaymentRequired));
}

#[test]
fn a_zero_row_is_free_by_its_own_reference() {
    let quote = quoted(vec![row(None, None, 0, "budget law, table 8")]);
    assert_eq!(
        quote,
        Quote {
            basis: QuoteBasis::ZeroRow,
            fee: None,
            year: 1405,
            evidence: "budget law, table 8".to_owned(),
            ground: None,
        }
    );
    assert_eq!(quote.require_free(), Ok(()));
}

#[test]
fn a_table_without_a_fitting_row_is_free_and_says_so() {
    let other_service = TariffRow {
        service: ServiceKind::EnrollmentCertificate,
        ..row(None, None, 500_000, "x")
    };
    let not_yet = TariffRow {
        from_date: Some(day("1405/02/24")),
        ..row(None, None, 500_000, "x")
    };
    let other_institution = Some(InstitutionType::NonProfit);
    for rows in [
        vec![],
        vec![other_service],
        vec![not_yet],
        vec![row(Some("TRANSCRIPT"), None, 500_000, "x")],
        vec![row(None, other_institution, 500_000, "x")],
        vec![row(Some("DEGREE"), other_institution, 500_000, "x")],
    ] {
        let quote = quoted(rows);
        assert_eq!(
            quote,
            Quote {
                basis: QuoteBasis::FreeNoTariffRow,
                fee: None,
                year: 1405,
                evidence: "no row in table of year 1405".to_owned(),
                ground: None,
            }
        );
        assert_eq!(quote.require_free(), Ok(()));
    }
}

#[test]
fn an_exemption_is_free() {
    let exempt = Quote {
        basis: QuoteBasis::Exempt,
        ..quoted(vec![row(None, None, 0, "directive 3")])
    };
    assert_eq!(exempt.require_free(), Ok(()));
}

#[test]
fn the_most_specific_row_decides_wherever_it_stands() {
    let state = Some(InstitutionType::State);
    let ranked = [
        row(Some("DEGREE"), state, 1, "both"),
        row(Some("DEGREE"), None, 0, "request type"),
        row(None, state, 3, "institution type"),
        row(None, None, 4, "any"),
    ];
    for best in 0..ranked.len() {
        let mut rows = ranked[best..].to_vec();
        assert_eq!(quoted(rows.clone()).evidence, ranked[best].legal_reference);
        rows.reverse();
        assert_eq!(quoted(rows).evidence, ranked[best].legal_reference);
    }
}

#[test]
fn a_year_may_go_over_to_the_new_rial_on_a_day() {
    let before = row(None, None, 500_000, "in current rials");
    let after = TariffRow {
        from_date: Some(day("1405/07/01")),
        fee: Money::new(50, MoneyUnit::IrrNew),
        ..row(None, None, 0, "in new rials")
    };
    for rows in [vec![before.clone(), after.clone()], vec![after, before]] {
        let tables = [table(1405, 1, rows)];
        let on = |date| asked(&tables, date).quote.fee.unwrap();
        assert_eq!(on("1405/01/01"), FEE);
        assert_eq!(on("1405/06/31"), FEE);
        let new = Money::new(50, MoneyUnit::IrrNew);
        assert_eq!(on("1405/07/01"), new);
        assert_eq!(on("1405/12/29"), new);
        assert_eq!(FEE.convert(MoneyUnit::IrrNew), Ok(new), "the same value");
    }
}

#[test]
fn the_newest_version_decides_and_is_named() {
    let tables = [
        table(1405, 2, vec![row(None, None, 7, "corrected")]),
        table(1405, 1, vec![row(None, None, 6, "wrong")]),
        table(1406, 3, vec![row(None, None, 8, "another year")]),
    ];
    let Quoted { quote, text } = asked(&tables, "1405/02/23");
    assert_eq!(quote.evidence, "corrected");
    let ground = quote.ground.unwrap();
    assert_eq!((ground.version, ground.digest), (2, length(&text)));
    assert!(newest(&tables, 1404).is_none());
}

#[test]
fn the_text_of_a_quote_says_all_that_decided_it() {
    let tables = [table(1405, 2, vec![row(None, None, 7, "law, row 1\nb")])];
    assert_eq!(
        asked(&tables, "1405/02/23").text,
        "gavah quote 1\nservice 13:VALIDITY_CODE\nrequest_type 6:DEGREE\ninstitution_type 5:STATE\n\
         budget_year 4:1405\ntariff_version 1:2\ntariff_digest 11:digest of 2\nbasis 10:TARIFF_ROW\n\
         fee 13:7 IRR_CURRENT\nevidence 12:law, row 1\nb\n"
    );
    let free = [table(1405, 2, Vec::new())];
    let text = asked(&free, "1405/02/23").text;
    assert!(text.contains("basis 18:FREE_NO_TARIFF_ROW\nfee 0:\n"));
}

#[test]
fn two_tables_with_other_content_have_other_texts() {
    let rows = [
        row(None, None, 7, "a"),
        row(Some("DEGREE"), None, 7, "a"),
        row(None, Some(InstitutionType::State), 7, "a"),
        row(None, None, 8, "a"),
        row(None, None, 7, "b"),
        TariffRow {
            from_date: Some(day("1405/07/01")),
            ..row(None, None, 7, "a")
        },
        TariffRow {
            fee: Money::new(7, MoneyUnit::IrrNew),
            ..row(None, None, 7, "a")
        },
    ];
    let mut tables: Vec<_> = rows.iter().map(|row| vec![row.clone()]).collect();
    tables.push(Vec::new());
    tables.push(vec![rows[0].clone(), rows[3].clone()]);
    tables.push(vec![rows[3].clone(), rows[0].clone()]);
    let texts = tables.iter().map(|rows| table(1405, 1, rows.clone()));
    let mut texts: Vec<_> = texts.map(|table| table.canonical_text()).collect();
    texts.push(table(1406, 1, Vec::new()).canonical_text());
    let count = texts.len();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), count);
    assert_eq!(
        table(1405, 1, Vec::new()).canonical_text(),
        table(1405, 9, Vec::new()).canonical_text(),
        "the version is not content"
    );
}
