//! What a verdict tells of the document, by who asks and for what: one table.
//!
//! A purpose only narrows what a class is told: nobody is told more for what they say of themselves. Neither an identity
//! number nor the father's name is ever told.

use crate::{caller::CallerClass, enums::text_enum};

text_enum! {
    /// For what a caller asks.
    pub enum AskingPurpose {
        /// To check a document that lies before the asker.
        DocumentCheck = "DOCUMENT_CHECK",
        /// To know only whether the code is good.
        StatusCheck = "STATUS_CHECK",
    }
}

/// How much of something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Nothing.
    Hidden,
    /// A name as first letters and asterisks.
    Masked,
    /// All of it.
    Whole,
}

/// What is told of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Which of the two documents it is, its kind, and from when to when it holds.
    pub document: Extent,
    /// The institution's names.
    pub institution: Extent,
    /// Degree level and field of study.
    pub program: Extent,
    /// The subject's name.
    pub name: Extent,
    /// The resource name.
    pub resource: Extent,
    /// The resource name of the document that replaced it.
    pub superseded_by: Extent,
}

impl Told {
    /// Nothing at all.
    pub const NOTHING: Self = told([
        Extent::Hidden,
        Extent::Hidden,
        Extent::Hidden,
        Extent::Hidden,
        Extent::Hidden,
        Extent::Hidden,
    ]);
}

const fn told(
    [
        document,
        institution,
        program,
        name,
        resource,
        superseded_by,
    ]: [Extent; 6],
) -> Told {
    Told {
        document,
        institution,
        program,
        name,
        resource,
        superseded_by,
    }
}

use AskingPurpose::{DocumentCheck, StatusCheck};
use CallerClass::{Auditor, CentralBody, NationalHub, Organization, SingleWindow, University};
use Extent::{Hidden as H, Masked as M, Whole as W};

/// Whose document it is: the caller's own institution's or unit's, or somebody else's.
const OWN: bool = true;
const OTHERS: bool = false;

/// The table. A combination without a row, such as any of a monitor, is told nothing.
#[rustfmt::skip] // one row a line
pub const DISCLOSURE: &[(CallerClass, bool, AskingPurpose, Told)] = &[
    // class        whose   for what              document institution program name resource superseded_by
    (SingleWindow,  OWN,    DocumentCheck, told([ W,       W,          W,      W,   W,       W ])),
    (SingleWindow,  OTHERS, DocumentCheck, told([ W,       W,          W,      M,   H,       H ])),
    (University,    OWN,    DocumentCheck, told([ W,       W,          W,      W,   W,       W ])),
    (University,    OTHERS, DocumentCheck, told([ W,       W,          W,      M,   H,       H ])),
    (CentralBody,   OWN,    DocumentCheck, told([ W,       W,          W,      W,   W,       W ])),
    (CentralBody,   OTHERS, DocumentCheck, told([ W,       W,          W,      M,   H,       H ])),
    (NationalHub,   OTHERS, DocumentCheck, told([ W,       W,          W,      M,   H,       H ])),
    (Organization,  OTHERS, DocumentCheck, told([ W,       W,          W,      W,   W,       H ])),
    (Auditor,       OTHERS, DocumentCheck, told([ W,       W,          W,      M,   H,       H ])),
    (SingleWindow,  OWN,    StatusCheck,   told([ W,       H,          H,      H,   H,       H ])),
    (SingleWindow,  OTHERS, StatusCheck,   told([ W,       H,          H,      H,   H,       H ])),
    (University,    OWN,    StatusCheck,   told([ W,       H,          H,      H,   H,       H ])),
    (University,    OTHERS, StatusCheck,   told([ W,       H,          H,      H,   H,       H ])),
    (CentralBody,   OWN,    StatusCheck,   told([ W,       H,          H,      H,   H,       H ])),
    (CentralBody,   OTHERS, StatusCheck,   told([ W,       H,          H,      H,   H,       H ])),
    (NationalHub,   OTHERS, StatusCheck,   told([ W,       H,          H,      H,   H,       H ])),
    (Organization,  OTHERS, StatusCheck,   told([ W,       H,          H,      H,   H,       H ])),
    (Auditor,       OTHERS, StatusCheck,   told([ W,       H,          H,      H,   H,       H ])),
];

/// What a caller of `class` is told of a document for `purpose`; `owns` says whether it is the caller's own. A class that
/// can own nothing is told what it is told of others' documents.
#[must_use]
pub fn disclosed(class: CallerClass, owns: bool, purpose: AskingPurpose) -> Told {
    let row = |whose: bool| {
        let mut rows = DISCLOSURE.iter();
        rows.find(|(of, own, for_what, _)| *of == class && *own == whose && *for_what == purpose)
    };
    let row = if owns {
        row(OWN).or_else(|| row(OTHERS))
    } else {
        row(OTHERS)
    };
    row.map_or(Told::NOTHING, |(.., told)| *told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extents(told: Told) -> [Extent; 6] {
        [
            told.document,
            told.institution,
            told.program,
            told.name,
            told.resource,
            told.superseded_by,
        ]
    }

    #[test]
    fn every_class_but_monitors_has_one_row_for_each_purpose_and_each_side() {
        for class in CallerClass::ALL.iter().copied() {
            for purpose in AskingPurpose::ALL.iter().copied() {
                let rows = |own| {
                    let rows = DISCLOSURE.iter();
                    rows.filter(|row| (row.0, row.1, row.2) == (class, own, purpose))
                        .count()
                };
                let owner = matches!(class, SingleWindow | University | CentralBody);
                let asks = class != CallerClass::Monitor;
                assert_eq!(rows(OWN), usize::from(owner), "{class} {purpose}");
                assert_eq!(rows(OTHERS), usize::from(asks), "{class} {purpose}");
            }
        }
    }

    #[test]
    fn a_purpose_only_narrows_and_a_stranger_is_never_told_more_than_an_owner() {
        let rank = |extent: &Extent| [H, M, W].iter().position(|it| it == extent);
        let within = |less: Told, more: Told| {
            let pairs = extents(less).into_iter().zip(extents(more));
            pairs
                .into_iter()
                .all(|(less, more)| rank(&less) <= rank(&more))
        };
        for class in CallerClass::ALL.iter().copied() {
            for owns in [OWN, OTHERS] {
                let check = disclosed(class, owns, DocumentCheck);
                assert!(
                    within(disclosed(class, owns, StatusCheck), check),
                    "{class}"
                );
                assert!(within(
                    disclosed(class, OTHERS, DocumentCheck),
                    disclosed(class, OWN, DocumentCheck)
                ));
            }
        }
    }

    #[test]
    fn only_the_owner_is_told_what_replaced_a_document() {
        for (class, own, _, told) in DISCLOSURE {
            assert!(*own || told.superseded_by == H, "{class}");
        }
    }

    #[test]
    fn whole_names_and_resources_are_the_owners_and_the_organizations() {
        for (class, own, purpose, told) in DISCLOSURE {
            let may = (*own || *class == Organization) && *purpose == DocumentCheck;
            assert_eq!(told.name == W, may, "{class}");
            assert_eq!(told.resource == W, may, "{class}");
        }
    }

    #[test]
    fn who_can_own_nothing_is_told_as_of_others() {
        for class in [NationalHub, Organization, Auditor] {
            let told = disclosed(class, OWN, DocumentCheck);
            assert_eq!(told, disclosed(class, OTHERS, DocumentCheck));
        }
        assert_eq!(
            disclosed(CallerClass::Monitor, OWN, DocumentCheck),
            Told::NOTHING
        );
    }
}
