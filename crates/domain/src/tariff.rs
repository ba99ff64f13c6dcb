//! Fees: quoted from the tables of the budget year, and free only for a reason that can be shown.

use crate::{
    enums::text_enum, institution::InstitutionType, money::Money, reason::Reason,
    service::ServiceKind,
};

/// A row of a tariff table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TariffRow {
    /// The service.
    pub service: ServiceKind,
    /// Type of request the row is for; `None` means any.
    pub request_type: Option<String>,
    /// Kind of institution the row is for; `None` means any.
    pub institution_type: Option<InstitutionType>,
    /// The fee.
    pub fee: Money,
    /// The provision the fee rests on.
    pub legal_reference: String,
}

/// The tariff table of a budget year. A table without rows is a table: everything is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TariffYear {
    /// The budget year, which is the Jalali year.
    pub year: i32,
    /// Its rows.
    pub rows: Vec<TariffRow>,
}

text_enum! {
    /// On what ground a fee was decided.
    pub enum QuoteBasis {
        /// A row of the year's table with a price.
        TariffRow = "TARIFF_ROW",
        /// A row of the year's table with price zero.
        ZeroRow = "ZERO_ROW",
        /// The year's table has no row for it: completely free.
        FreeNoTariffRow = "FREE_NO_TARIFF_ROW",
        /// Exempt by rule.
        Exempt = "EXEMPT",
    }
}

/// The fee of an act and its ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The ground.
    pub basis: QuoteBasis,
    /// The fee; set exactly when something is to be paid.
    pub fee: Option<Money>,
    /// The budget year of the table.
    pub year: i32,
    /// The legal reference of the row, or that there is none.
    pub evidence: String,
}

impl Quote {
    /// Whether the act may go on without a payment.
    ///
    /// # Errors
    ///
    /// [`Reason::PaymentRequired`] when there is a fee.
    pub const fn require_free(&self) -> Result<(), Reason> {
        match self.basis {
            QuoteBasis::TariffRow => Err(Reason::PaymentRequired),
            QuoteBasis::ZeroRow | QuoteBasis::FreeNoTariffRow | QuoteBasis::Exempt => Ok(()),
        }
    }
}

/// The fee of a request in the budget year `year`. Of the rows that fit, the most specific one decides: both type of request
/// and kind of institution, then type of request, then kind of institution, then neither; of equals the first.
///
/// # Errors
///
/// [`Reason::TariffYearNotLoaded`] when there is no table for the year: that nothing is known does not make it free.
pub fn quote(
    years: &[TariffYear],
    year: i32,
    service: ServiceKind,
    request_type: &str,
    institution_type: InstitutionType,
) -> Result<Quote, Reason> {
    let table = years
        .iter()
        .find(|table| table.year == year)
        .ok_or(Reason::TariffYearNotLoaded)?;
    let fitting = table.rows.iter().filter(|row| {
        row.service == service
            && row
                .request_type
                .as_deref()
                .is_none_or(|only| only == request_type)
            && row
                .institution_type
                .is_none_or(|only| only == institution_type)
    });
    // false sorts before true, so the least key names most; `min_by_key` keeps the first of equals
    let row =
        fitting.min_by_key(|row| (row.request_type.is_none(), row.institution_type.is_none()));
    let (basis, fee, evidence) = match row {
        None => (
            QuoteBasis::FreeNoTariffRow,
            None,
            format!("no row in table of year {year}"),
        ),
        Some(row) if row.fee.amount == 0 => {
            (QuoteBasis::ZeroRow, None, row.legal_reference.clone())
        }
        Some(row) => (
            QuoteBasis::TariffRow,
            Some(row.fee),
            row.legal_reference.clone(),
        ),
    };
    Ok(Quote {
        basis,
        fee,
        year,
        evidence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::MoneyUnit;

    const FEE: Money = Money {
        amount: 500_000,
        unit: MoneyUnit::IrrCurrent,
    };

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
            fee: Money { amount, ..FEE },
            legal_reference: legal_reference.to_owned(),
        }
    }

    fn quoted(rows: Vec<TariffRow>) -> Quote {
        let years = [
            TariffYear {
                year: 1404,
                rows: Vec::new(),
            },
            TariffYear { year: 1405, rows },
        ];
        quote(
            &years,
            1405,
            ServiceKind::ValidityCode,
            "DEGREE",
            InstitutionType::State,
        )
        .unwrap()
    }

    #[test]
    fn a_year_without_a_table_is_an_error_and_never_free() {
        let years = [TariffYear {
            year: 1404,
            rows: Vec::new(),
        }];
        for (years, year) in [(&years[..], 1405), (&years[..], 1403), (&[][..], 1404)] {
            let service = ServiceKind::ValidityCode;
            assert_eq!(
                quote(years, year, service, "DEGREE", InstitutionType::State),
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
        for rows in [
            vec![],
            vec![other_service],
            vec![row(Some("TRANSCRIPT"), None, 500_000, "x")],
            vec![row(None, Some(InstitutionType::NonProfit), 500_000, "x")],
            vec![row(
                Some("DEGREE"),
                Some(InstitutionType::NonProfit),
                500_000,
                "x",
            )],
        ] {
            let quote = quoted(rows);
            assert_eq!(
                quote,
                Quote {
                    basis: QuoteBasis::FreeNoTariffRow,
                    fee: None,
                    year: 1405,
                    evidence: "no row in table of year 1405".to_owned(),
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
}
