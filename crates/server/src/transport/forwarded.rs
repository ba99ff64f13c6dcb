//! A client certificate that a forwarder brings in a header: where the hub's own proxy ends TLS, RFC 9440.
//!
//! A header proves nothing by itself. It is read only from the peers whose certificates are pinned in the configuration,
//! and what it brings is verified as in a handshake, but for the possession of the key, for which the forwarder answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use rustls_pki_types::CertificateDer;

/// The leaf, as `:base64:`.
pub const CLIENT_CERT: &str = "client-cert";
/// What the client sent with it, as a list of the same.
pub const CLIENT_CERT_CHAIN: &str = "client-cert-chain";

/// Most certificates beside the leaf.
const CHAIN_MAX: usize = 4;

/// The header is there, and it is not as RFC 9440 wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// The forwarded certificates, leaf first; `None` without the headers.
///
/// # Errors
///
/// [`Malformed`].
pub fn read(headers: &HeaderMap) -> Result<Option<Vec<CertificateDer<'static>>>, Malformed> {
    let mut leaves = headers.get_all(CLIENT_CERT).iter();
    let mut chains = headers.get_all(CLIENT_CERT_CHAIN).iter();
    let Some(leaf) = leaves.next() else {
        // A chain without a leaf says nothing of anybody.
        return match chains.next() {
            None => Ok(None),
            Some(_) => Err(Malformed),
        };
    };
    if leaves.next().is_some() {
        return Err(Malformed);
    }
    let mut certificates = vec![item(leaf.to_str().map_err(|_| Malformed)?)?];
    for line in chains {
        let line = line.to_str().map_err(|_| Malformed)?;
        for member in line.split(',') {
            certificates.push(item(member)?);
        }
    }
    if certificates.len() > 1 + CHAIN_MAX {
        return Err(Malformed);
    }
    Ok(Some(certificates))
}

/// A byte sequence of RFC 8941: Base64 between colons.
fn item(text: &str) -> Result<CertificateDer<'static>, Malformed> {
    let inner = text.trim_matches([' ', '\t']);
    let inner = inner.strip_prefix(':').and_then(|it| it.strip_suffix(':'));
    let der = STANDARD.decode(inner.ok_or(Malformed)?);
    match der {
        Ok(der) if !der.is_empty() => Ok(der.into()),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn given(lines: &[(&'static str, &str)]) -> Result<Option<Vec<Vec<u8>>>, Malformed> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let read = read(&headers)?;
        Ok(read.map(|chain| chain.iter().map(|der| der.to_vec()).collect()))
    }

    #[test]
    fn leaf_and_chain_are_byte_sequences() {
        assert_eq!(given(&[]), Ok(None));
        let leaf = (CLIENT_CERT, ":AQID:");
        assert_eq!(given(&[leaf]), Ok(Some(vec![vec![1, 2, 3]])));
        for chain in [
            vec![(CLIENT_CERT_CHAIN, ":BA==:, :BQ==:")],
            vec![(CLIENT_CERT_CHAIN, ":BA==:"), (CLIENT_CERT_CHAIN, ":BQ==:")],
        ] {
            let lines = [&[leaf][..], &chain].concat();
            let expected = vec![vec![1, 2, 3], vec![4], vec![5]];
            assert_eq!(given(&lines), Ok(Some(expected)));
        }
    }

    #[test]
    fn everything_else_is_malformed() {
        for leaf in [
            "",
            "AQID",
            ":AQID",
            "AQID:",
            "::",
            ":AQI:",
            ":A_ID:",
            ":AQID:;a=1",
            "\"AQID\"",
        ] {
            assert_eq!(given(&[(CLIENT_CERT, leaf)]), Err(Malformed), "{leaf:?}");
        }
        let leaf = (CLIENT_CERT, ":AQID:");
        for lines in [
            vec![leaf, leaf],
            vec![(CLIENT_CERT_CHAIN, ":BA==:")],
            vec![leaf, (CLIENT_CERT_CHAIN, ":BA==:,")],
            vec![
                leaf,
                (CLIENT_CERT_CHAIN, ":BA==:,:BA==:,:BA==:,:BA==:,:BA==:"),
            ],
        ] {
            assert_eq!(given(&lines), Err(Malformed), "{lines:?}");
        }
    }
}
