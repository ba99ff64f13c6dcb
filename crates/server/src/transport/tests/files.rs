//! What is refused when the files are loaded, and how the refusal reads.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::*;

fn refusal(files: &TlsFiles) -> TlsError {
    Tls::load(files.clone(), TRUST_DOMAIN.to_owned(), now()).expect_err("loaded")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn good_files_load_and_the_status_tells_when_they_end() {
    let pki = Pki::new();
    let status = pki.load().status();
    assert_eq!(status.generation, 1);
    assert!(status.server_not_after > now() && status.server_not_after <= now() + HOUR);
    assert!(
        status.crl_next_update > now() + HOUR * 24 * 29
            && status.crl_next_update <= now() + HOUR * 24 * 30
    );
}

#[test]
fn a_missing_file_is_named() {
    let pki = Pki::new();
    for missing in 0..4 {
        let mut files = pki.files.clone();
        let path = match missing {
            0 => &mut files.certificate,
            1 => &mut files.key,
            2 => &mut files.client_ca,
            _ => &mut files.crls[0],
        };
        *path = pki.path("nowhere.pem");
        let error = refusal(&files);
        assert!(
            matches!(error, TlsError::Read { .. }) && error.to_string().contains("nowhere.pem"),
            "{error}"
        );
    }
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let pki = Pki::new();
    for mode in [0o640, 0o604, 0o660, 0o602] {
        fs::set_permissions(&pki.files.key, fs::Permissions::from_mode(mode)).unwrap();
        let error = refusal(&pki.files);
        assert!(
            matches!(error, TlsError::KeyMode { mode: found, .. } if found == mode),
            "{error}"
        );
        assert!(
            error.to_string().contains(&format!("{mode:04o}")),
            "{error}"
        );
    }
    fs::set_permissions(&pki.files.key, fs::Permissions::from_mode(0o400)).unwrap();
    pki.load();
}

#[test]
fn a_refusal_never_quotes_the_key() {
    let pki = Pki::new();
    let key = text(&pki.files.key);
    let secret = key.lines().nth(1).unwrap();
    for broken in [
        key.replace("-----END PRIVATE KEY-----", ""),
        key.replace(
            "-----BEGIN PRIVATE KEY-----",
            &format!("-----BEGIN {secret}"),
        ),
        key.replace(secret, &format!("{secret}!")),
        key.replace("PRIVATE KEY", "PUBLIC KEY"),
    ] {
        fs::write(&pki.files.key, broken).unwrap();
        let error = refusal(&pki.files);
        let told = format!("{error} {error:?}");
        assert!(
            told.contains("server.key") && !told.contains(&secret[..16]),
            "{told}"
        );
    }
}

#[test]
fn a_trust_bundle_is_taken_whole_or_not_at_all() {
    let pki = Pki::new();
    let good = text(&pki.files.client_ca);
    let mut damaged = good.clone();
    damaged.insert_str(good.find('\n').unwrap() + 1, "MAAw\n");
    for (content, expected) in [
        (String::new(), "holds no certificate"),
        ("just words\n".to_owned(), "holds no certificate"),
        (
            format!("{good}{damaged}"),
            "certificate number 2 cannot be parsed",
        ),
        (
            format!("{good}{}", good.replace("CERTIFICATE", "CERTIFICTE")),
            "something other than a certificate",
        ),
        (
            format!("{good}{}", text(&pki.files.key)),
            "something other than a certificate",
        ),
        (good.replace("-----END", "----END"), "malformed PEM"),
        (
            text(&pki.files.certificate),
            "not a certificate authority's",
        ),
    ] {
        fs::write(&pki.files.client_ca, content).unwrap();
        let error = refusal(&pki.files).to_string();
        assert!(
            error.contains("ca.pem: ") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn every_authority_needs_a_revocation_list_of_its_own() {
    let (pki, other) = (Pki::new(), Pki::new());
    let mut files = pki.files.clone();
    files.crls.clear();
    assert!(matches!(
        refusal(&files),
        TlsError::CrlMissing { position: 1, .. }
    ));

    fs::write(
        &files.client_ca,
        text(&pki.files.client_ca) + &text(&other.files.client_ca),
    )
    .unwrap();
    files.crls = pki.files.crls.clone();
    let error = refusal(&files);
    assert!(
        matches!(error, TlsError::CrlMissing { position: 2, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("ca.pem"), "{error}");

    // In a file of its own or together in one.
    files.crls = vec![pki.authority.crl_path(), other.authority.crl_path()];
    Tls::load(files.clone(), TRUST_DOMAIN.to_owned(), now()).unwrap();
    fs::write(
        pki.path("both.pem"),
        text(&pki.authority.crl_path()) + &text(&other.authority.crl_path()),
    )
    .unwrap();
    files.crls = vec![pki.path("both.pem")];
    Tls::load(files, TRUST_DOMAIN.to_owned(), now()).unwrap();
}

#[test]
fn a_revocation_list_past_its_time_or_without_content_is_refused() {
    let pki = Pki::new();
    let dir = pki.authority.dir();
    let brief = Authority::open(dir)
        .unwrap()
        .with_crl_lifetime(SignedDuration::from_mins(1));
    brief.refresh_crl(now() - HOUR).unwrap();
    let error = refusal(&pki.files);
    assert!(
        matches!(error, TlsError::CrlExpired { position: 1, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("crl.pem"), "{error}");
    fs::write(pki.authority.crl_path(), "").unwrap();
    assert!(matches!(refusal(&pki.files), TlsError::Empty { .. }));
    fs::write(pki.authority.crl_path(), text(&pki.files.client_ca)).unwrap();
    assert!(matches!(refusal(&pki.files), TlsError::Foreign { .. }));
}

#[test]
fn a_revocation_list_with_a_forged_entry_is_refused() {
    let pki = Pki::new();
    let pem = text(&pki.authority.crl_path());
    let mut der = rustls_pki_types::CertificateRevocationListDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec();
    // The CRL number stands near the end of what is signed: changing it keeps the list well-formed.
    let number = der
        .windows(5)
        .rposition(|bytes| bytes == [0x04, 0x03, 0x02, 0x01, 0x01])
        .unwrap();
    der[number + 4] = 2;
    let forged =
        x509_cert::der::pem::encode_string("X509 CRL", x509_cert::der::pem::LineEnding::LF, &der)
            .unwrap();
    fs::write(pki.authority.crl_path(), forged).unwrap();
    assert!(matches!(
        refusal(&pki.files),
        TlsError::CrlSignature { position: 1, .. }
    ));
}

#[test]
fn a_certificate_and_a_key_that_do_not_fit_are_refused() {
    let pki = Pki::new();
    let other = Pki::new();
    let files = TlsFiles {
        key: other.files.key.clone(),
        ..pki.files.clone()
    };
    assert!(matches!(refusal(&files), TlsError::KeyMismatch { .. }));
}

#[test]
fn a_server_certificate_that_is_over_or_not_begun_is_refused() {
    let pki = Pki::new();
    for then in [now() - HOUR, now() + HOUR * 2] {
        let error = Tls::load(pki.files.clone(), TRUST_DOMAIN.to_owned(), then).unwrap_err();
        assert!(matches!(error, TlsError::NotValidNow { .. }), "{error}");
    }
}
