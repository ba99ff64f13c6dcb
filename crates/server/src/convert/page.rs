//! Pages of lists: size, place and the opaque token of the next page.
//!
//! A token says where the page before ended, and for which filters: used with
//! others it is refused instead of giving a list with holes. It gives no rights,
//! so it is not signed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gavah_api::v1 as pb;
use gavah_domain::{Reason, Violations};
use gavah_store::PageKey;
use prost::Message;
use uuid::Uuid;

use super::head::digest_of;

/// Rows of a page when the caller does not say.
pub const DEFAULT_SIZE: u64 = 50;

/// Most rows of a page.
pub const MAX_SIZE: u64 = 1000;

/// The kinds of token: place by time and id, place by a text.
const BY_TIME: u8 = 1;
const BY_TEXT: u8 = 2;

/// The beginning of the digest over a list's filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filters([u8; 8]);

/// Which page is asked for; `K` is what the list is ordered by.
#[derive(Clone, PartialEq, Eq)]
pub struct Page<K> {
    /// Most rows of the page, 1 to 1,000.
    pub size: u64,
    /// Where the page before ended; `None` for the first.
    pub after: Option<K>,
    /// For which filters.
    pub filters: Filters,
}

/// Without the place: it may be an expert's code.
impl<K> std::fmt::Debug for Page<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What a list can be ordered by.
pub trait Place: Sized {
    /// Writes the place behind the token's first bytes.
    fn write(&self, token: &mut Vec<u8>);

    /// Reads what was written; `None` when it is nothing of the kind.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// The kind of token.
    const KIND: u8;
}

impl Place for PageKey {
    const KIND: u8 = BY_TIME;

    fn write(&self, token: &mut Vec<u8>) {
        token.extend_from_slice(&self.micros.to_be_bytes());
        token.extend_from_slice(self.id.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (micros, id) = bytes.split_first_chunk::<8>()?;
        let id = Uuid::from_slice(id).ok()?;
        Some(Self {
            micros: i64::from_be_bytes(*micros),
            id,
        })
    }
}

impl Place for String {
    const KIND: u8 = BY_TEXT;

    fn write(&self, token: &mut Vec<u8>) {
        token.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}

impl<K: Place> Page<K> {
    /// The token of the page after the one that ended at `last`.
    #[must_use]
    pub fn token_after(&self, last: &K) -> String {
        let mut token = vec![K::KIND];
        token.extend_from_slice(&self.filters.0);
        last.write(&mut token);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// How many rows to ask the store for: one more than the page has tells
    /// whether there is another page.
    #[must_use]
    pub const fn probe(&self) -> u64 {
        self.size + 1
    }

    /// Cuts the rows found by [`Page::probe`] to the page, with the token of the
    /// next one, empty on the last.
    #[must_use]
    pub fn cut<T>(&self, mut rows: Vec<T>, place: impl Fn(&T) -> K) -> (Vec<T>, String) {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|last| self.token_after(&place(last)));
        (rows, next.unwrap_or_default())
    }
}

/// A request for a page of a list.
pub(super) trait ListRequest: Message {
    const NAME: &'static str;

    /// Takes page_size and page_token out of the request; what is left are its
    /// filters.
    fn take_page(&mut self) -> (i32, String);
}

macro_rules! list_requests {
    ($($name:ident),+ $(,)?) => {
        $(
            impl ListRequest for pb::$name {
                const NAME: &'static str = concat!("gavah.v1.", stringify!($name));

                fn take_page(&mut self) -> (i32, String) {
                    let size = std::mem::take(&mut self.page_size);
                    (size, std::mem::take(&mut self.page_token))
                }
            }
        )+
    };
}

list_requests! {
    ListCallersRequest,
    ListDisputeMessagesRequest,
    ListDisputesRequest,
    ListEnrollmentCertificateApplicationsRequest,
    ListEnrollmentCertificatesRequest,
    ListExpertsRequest,
    ListInstitutionsRequest,
    ListPaymentsRequest,
    ListValidityCodeApplicationsRequest,
    ListValidityCodesRequest,
}

/// Takes the page out of a list request whose annotated rules were checked: the
/// size is not checked again.
pub(super) fn take_page<K: Place, R: ListRequest>(
    request: &mut R,
    found: &mut Violations,
) -> Option<Page<K>> {
    let (size, token) = request.take_page();
    let digest = digest_of(R::NAME, request);
    let filters = Filters(std::array::from_fn(|byte| digest[byte]));
    let size = match u64::try_from(size) {
        Ok(0) | Err(_) => DEFAULT_SIZE,
        Ok(size) => size.min(MAX_SIZE),
    };
    let after = found.take("page_token", place(&token, filters))?;
    Some(Page {
        size,
        after,
        filters,
    })
}

fn place<K: Place>(token: &str, filters: Filters) -> Result<Option<K>, Reason> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| Reason::PageTokenInvalid)?;
    let rest = bytes
        .strip_prefix(&[K::KIND])
        .and_then(|rest| rest.strip_prefix(&filters.0));
    rest.and_then(K::read)
        .map(Some)
        .ok_or(Reason::PageTokenInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page<K: Place>(size: i32, token: &str, institution: &str) -> (Option<Page<K>>, Violations) {
        let mut found = Violations::default();
        let mut request = pb::ListValidityCodesRequest {
            page_size: size,
            page_token: token.to_owned(),
            institution_code: institution.to_owned(),
            ..Default::default()
        };
        (take_page(&mut request, &mut found), found)
    }

    fn first(institution: &str) -> Page<PageKey> {
        page(0, "", institution).0.unwrap()
    }

    fn key(micros: i64) -> PageKey {
        PageKey {
            micros,
            id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        }
    }

    #[test]
    fn a_token_of_something_else_is_refused() {
        let own = first("UT").token_after(&key(5));
        let other_filters = first("SBU").token_after(&key(5));
        let mut found = Violations::default();
        let mut other_list = pb::ListEnrollmentCertificatesRequest {
            institution_code: "UT".to_owned(),
            ..Default::default()
        };
        let other_list = take_page::<PageKey, _>(&mut other_list, &mut found).unwrap();
        let other_list = other_list.token_after(&key(5));
        let other_kind = page::<String>(0, "", "UT")
            .0
            .unwrap()
            .token_after(&"A".to_owned());
        for token in [
            other_filters.as_str(),
            &other_list,
            &other_kind,
            "x",
            "=",
            "AQ",
            &own[..own.len() - 4],
            &format!("{own}AAAA"),
            &format!("{own}="),
            "کد",
        ] {
            let (page, found) = page::<PageKey>(0, token, "UT");
            assert_eq!(page, None, "{token:?}");
            let found = found.into_vec();
            assert_eq!(found.len(), 1, "{token:?}");
            assert_eq!(found[0].field, "page_token");
            assert_eq!(found[0].reason, Reason::PageTokenInvalid, "{token:?}");
        }
    }

    #[test]
    fn the_size_has_a_default_and_a_maximum() {
        for (asked, given) in [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (-1, 50)] {
            let (page, _) = page::<PageKey>(asked, "", "");
            assert_eq!(page.map(|page| page.size), Some(given), "{asked}");
        }
    }

    #[test]
    fn a_token_leads_to_the_place_where_the_page_ended() {
        for micros in [i64::MIN, -1, 0, 1_778_661_000_000_000, i64::MAX] {
            let token = first("UT").token_after(&key(micros));
            // Another size is the same list.
            let (page, found) = page::<PageKey>(7, &token, "UT");
            assert!(found.is_empty());
            assert_eq!(page.unwrap().after, Some(key(micros)));
        }
        let token = page::<String>(0, "", "UT")
            .0
            .unwrap()
            .token_after(&"E_1".to_owned());
        assert_eq!(
            page::<String>(0, &token, "UT").0.unwrap().after.as_deref(),
            Some("E_1")
        );
    }

    #[test]
    fn only_a_page_with_a_successor_has_a_token() {
        let (page, _) = page::<PageKey>(2, "", "UT");
        let page = page.unwrap();
        assert_eq!(page.probe(), 3);
        assert_eq!(
            page.cut(vec![9, 8], |row| key(*row)),
            (vec![9, 8], String::new())
        );
        assert_eq!(
            page.cut(Vec::<i64>::new(), |row| key(*row)),
            (vec![], String::new())
        );
        let (rows, token) = page.cut(vec![9, 8, 7], |row| key(*row));
        assert_eq!((rows, token), (vec![9, 8], page.token_after(&key(8))));
        assert_eq!(format!("{page:?}"), "Page { size: 2, .. }");
    }
}
