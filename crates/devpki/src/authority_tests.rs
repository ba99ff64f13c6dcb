use std::os::unix::fs::PermissionsExt;

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject};
use x509_cert::{
    Certificate,
    crl::CertificateList,
    der::{Decode, asn1::OctetString},
    ext::pkix::{BasicConstraints, CrlNumber, ExtendedKeyUsage, SubjectAltName, name::GeneralName},
};

use super::*;
use crate::write;

const NOW: Timestamp = Timestamp::constant(1_795_334_400, 0);
const DAY: SignedDuration = SignedDuration::from_hours(24);

fn authority() -> (tempfile::TempDir, Authority) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::create(dir.path(), NOW).unwrap();
    (dir, authority)
}

fn parsed(pem: &str) -> Certificate {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        all.len(),
        1,
        "a leaf file carries the leaf and nothing else"
    );
    Certificate::from_der(&all[0]).unwrap()
}

fn crl(authority: &Authority) -> CertificateList {
    let pem = files::read(&authority.crl_path()).unwrap();
    CertificateList::from_der(
        &CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap(),
    )
    .unwrap()
}

fn crl_number(list: &CertificateList) -> u64 {
    let extensions = list.tbs_cert_list.crl_extensions.as_deref().unwrap();
    let number = extensions
        .iter()
        .find(|e| e.extn_id.to_string() == "2.5.29.20")
        .unwrap();
    let value: &OctetString = &number.extn_value;
    CrlNumber::from_der(value.as_bytes())
        .unwrap()
        .0
        .as_bytes()
        .iter()
        .fold(0, |n, b| n << 8 | u64::from(*b))
}

fn revoked(list: &CertificateList) -> Vec<String> {
    list.tbs_cert_list
        .revoked_certificates
        .iter()
        .flatten()
        .map(|entry| hex(entry.serial_number.as_bytes()))
        .collect()
}

#[test]
fn a_new_authority_has_a_certificate_a_private_key_and_an_empty_crl() {
    let (dir, authority) = authority();
    let certificate = parsed(&files::read(&authority.certificate_path()).unwrap());
    let (critical, constraints) = certificate
        .tbs_certificate
        .get::<BasicConstraints>()
        .unwrap()
        .unwrap();
    assert!(critical && constraints.ca && constraints.path_len_constraint == Some(0));
    let mode = std::fs::metadata(dir.path().join("ca.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let list = crl(&authority);
    assert_eq!((crl_number(&list), revoked(&list).len()), (1, 0));
    assert_eq!(
        list.tbs_cert_list.issuer,
        certificate.tbs_certificate.subject
    );
    let next = list
        .tbs_cert_list
        .next_update
        .unwrap()
        .to_unix_duration()
        .as_secs();
    assert_eq!(next.cast_signed(), NOW.as_second() + 30 * 86_400);
}

#[test]
fn an_authority_is_not_made_over_another() {
    let (dir, _authority) = authority();
    assert!(matches!(
        Authority::create(dir.path(), NOW),
        Err(Error::AlreadyExists { .. })
    ));
}

#[test]
fn a_caller_certificate_carries_exactly_one_uri_name_and_client_usage() {
    let (_dir, authority) = authority();
    let validity = Validity::starting(NOW, DAY).unwrap();
    let issued = authority
        .issue_caller("gavah.example", "window-1", validity)
        .unwrap();
    let certificate = parsed(&issued.cert_pem);
    let (_, names) = certificate
        .tbs_certificate
        .get::<SubjectAltName>()
        .unwrap()
        .unwrap();
    let [GeneralName::UniformResourceIdentifier(uri)] = names.0.as_slice() else {
        panic!("{names:?}")
    };
    assert_eq!(uri.as_str(), "spiffe://gavah.example/caller/window-1");
    let (_, usage) = certificate
        .tbs_certificate
        .get::<ExtendedKeyUsage>()
        .unwrap()
        .unwrap();
    assert_eq!(
        usage.0.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["1.3.6.1.5.5.7.3.2"]
    );
    assert_eq!(
        hex(certificate.tbs_certificate.serial_number.as_bytes()),
        issued.serial
    );
    let der = CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap();
    assert_eq!(sha256(&der), issued.fingerprint);
    let validity = certificate.tbs_certificate.validity;
    assert_eq!(
        validity
            .not_before
            .to_unix_duration()
            .as_secs()
            .cast_signed(),
        NOW.as_second() - 300
    );
    assert_eq!(
        validity
            .not_after
            .to_unix_duration()
            .as_secs()
            .cast_signed(),
        issued.not_after.as_second()
    );
}

#[test]
fn a_server_certificate_carries_dns_names_and_addresses() {
    let (_dir, authority) = authority();
    let validity = Validity::starting(NOW, DAY).unwrap();
    let issued = authority
        .issue_server(&["localhost", "127.0.0.1", "::1"], validity)
        .unwrap();
    let certificate = parsed(&issued.cert_pem);
    let (_, names) = certificate
        .tbs_certificate
        .get::<SubjectAltName>()
        .unwrap()
        .unwrap();
    assert!(matches!(
        names.0.as_slice(),
        [GeneralName::DnsName(_), GeneralName::IpAddress(v4), GeneralName::IpAddress(v6)]
            if v4.as_bytes().len() == 4 && v6.as_bytes().len() == 16
    ));
    assert!(matches!(
        authority.issue_server(&[], validity),
        Err(Error::Name { .. })
    ));
}

#[test]
fn names_that_are_no_caller_names_are_refused() {
    let (_dir, authority) = authority();
    let validity = Validity::starting(NOW, DAY).unwrap();
    for (domain, id) in [
        ("", "a"),
        ("a/b", "a"),
        ("a", ""),
        ("a", "-a"),
        ("a", "A"),
        ("a", "a/b"),
        ("a", "نام"),
    ] {
        assert!(
            matches!(
                authority.issue_caller(domain, id, validity),
                Err(Error::Name { .. })
            ),
            "{domain} {id}"
        );
    }
}

#[test]
fn a_validity_that_ends_before_it_begins_is_refused() {
    let (_dir, authority) = authority();
    let validity = Validity {
        not_before: NOW,
        not_after: NOW - DAY,
    };
    assert!(matches!(
        authority.issue_caller("a", "a", validity),
        Err(Error::Validity { .. })
    ));
    let validity = Validity {
        not_before: Timestamp::constant(-1, 0),
        not_after: NOW,
    };
    assert!(matches!(
        authority.issue_caller("a", "a", validity),
        Err(Error::Validity { .. })
    ));
}

#[test]
fn revoking_puts_the_serial_on_a_crl_with_a_higher_number_and_survives_reopening() {
    let (dir, authority) = authority();
    let validity = Validity::starting(NOW, DAY).unwrap();
    let first = authority.issue_caller("a", "first", validity).unwrap();
    let second = authority.issue_caller("a", "second", validity).unwrap();
    assert_ne!(first.serial, second.serial);
    authority.revoke(&first.serial, NOW + DAY).unwrap();
    let list = crl(&authority);
    assert_eq!(
        (crl_number(&list), revoked(&list)),
        (2, vec![first.serial.clone()])
    );

    let reopened = Authority::open(dir.path())
        .unwrap()
        .with_crl_lifetime(SignedDuration::from_hours(1));
    reopened.revoke(&second.serial, NOW + DAY).unwrap();
    reopened
        .revoke(&second.serial.to_uppercase(), NOW + DAY + DAY)
        .unwrap();
    let list = crl(&reopened);
    assert_eq!(
        (crl_number(&list), revoked(&list)),
        (4, vec![first.serial.clone(), second.serial.clone()])
    );
    let at =
        |n: usize| list.tbs_cert_list.revoked_certificates.as_ref().unwrap()[n].revocation_date;
    assert_eq!(
        at(1).to_unix_duration(),
        at(0).to_unix_duration(),
        "revoking again keeps the first instant"
    );
    let next = list
        .tbs_cert_list
        .next_update
        .unwrap()
        .to_unix_duration()
        .as_secs();
    assert_eq!(next.cast_signed(), (NOW + DAY + DAY).as_second() + 3600);

    reopened.refresh_crl(NOW).unwrap();
    assert_eq!(revoked(&crl(&reopened)).len(), 2);
    assert!(matches!(
        reopened.revoke("00", NOW),
        Err(Error::UnknownSerial { .. })
    ));
}

#[test]
fn opening_with_another_key_is_refused() {
    let (dir, _authority) = authority();
    let (other, _other_authority) = self::authority();
    std::fs::copy(other.path().join("ca.key"), dir.path().join("ca.key")).unwrap();
    assert!(matches!(
        Authority::open(dir.path()),
        Err(Error::Key { .. })
    ));
    std::fs::write(dir.path().join("ca.key"), "nonsense").unwrap();
    let error = Authority::open(dir.path()).unwrap_err();
    assert!(!error.to_string().contains("nonsense"), "{error}");
}

#[test]
fn written_keys_are_private_and_debug_text_holds_no_key() {
    let (dir, authority) = authority();
    let issued = authority
        .issue_caller("a", "a", Validity::starting(NOW, DAY).unwrap())
        .unwrap();
    let written = write(&issued, &dir.path().join("out"), "a").unwrap();
    assert_eq!(
        std::fs::metadata(&written.key)
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    assert_eq!(files::read(&written.certificate).unwrap(), issued.cert_pem);
    assert!(issued.key_pem.contains("BEGIN PRIVATE KEY"), "PKCS#8");
    assert!(!format!("{issued:?} {authority:?}").contains("PRIVATE"));
}

#[test]
fn several_threads_may_issue_from_one_folder() {
    let (dir, _authority) = authority();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let dir = dir.path();
            scope.spawn(move || {
                let authority = Authority::open(dir).unwrap();
                for m in 0..5 {
                    authority
                        .issue_caller(
                            "a",
                            &format!("c{n}-{m}"),
                            Validity::starting(NOW, DAY).unwrap(),
                        )
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(
        Index::read(&dir.path().join(INDEX)).unwrap().issued.len(),
        20
    );
}
