use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaSigningAlgorithm};
use coset::cbor::Value;

use super::*;

const PAYLOAD: &[u8] = b"\xa1\x01\x02";

fn new_key() -> FileSigner {
    let folder = tempfile::tempdir().unwrap();
    generate_key_file(&folder.path().join("signing.pem")).unwrap()
}

fn pem_of(label: &str, algorithm: &'static EcdsaSigningAlgorithm) -> String {
    let pkcs8 = EcdsaKeyPair::generate(algorithm).unwrap().to_pkcs8v1();
    pem::encode(&Pem::new(label, pkcs8.unwrap().as_ref()))
}

#[test]
fn a_signed_payload_is_verified_under_the_der_key_and_under_the_point() {
    let signer = new_key();
    let message = signer.sign(PAYLOAD).unwrap();
    assert_eq!(
        verify(&message, signer.public_key_spki_der()).unwrap(),
        PAYLOAD
    );
    let point = signer.key_pair.public_key().as_ref();
    assert_eq!(point.len(), 65);
    assert_eq!(verify(&message, point).unwrap(), PAYLOAD);
}

#[test]
fn a_message_has_the_documented_shape() {
    let signer = new_key();
    let message = signer.sign(PAYLOAD).unwrap();
    let Value::Tag(18, inner) = coset::cbor::from_reader(message.as_slice()).unwrap() else {
        panic!("tag 18 expected");
    };
    let parts = inner.into_array().unwrap();
    assert_eq!(parts.len(), 4);
    let protected: Value =
        coset::cbor::from_reader(parts[0].as_bytes().unwrap().as_slice()).unwrap();
    let expected = Value::Map(vec![
        (Value::from(1), Value::from(-7)),
        (Value::from(3), Value::from("application/cbor")),
        (Value::from(4), Value::from(signer.key_id_bytes.as_slice())),
    ]);
    assert_eq!(protected, expected);
    assert_eq!(parts[1], Value::Map(vec![]));
    assert_eq!(parts[2], Value::from(PAYLOAD));
    assert_eq!(
        parts[3].as_bytes().unwrap().len(),
        64,
        "r and s of 32 bytes each"
    );
}

#[test]
fn a_message_changed_in_any_byte_is_refused() {
    let signer = new_key();
    let message = signer.sign(PAYLOAD).unwrap();
    for index in 0..message.len() {
        for bit in 0..8 {
            let mut changed = message.clone();
            changed[index] ^= 1 << bit;
            let verdict = verify(&changed, signer.public_key_spki_der());
            assert!(verdict.is_err(), "bit {bit} of byte {index}");
        }
    }
}

#[test]
fn a_message_that_is_cut_or_continued_is_refused() {
    let signer = new_key();
    let message = signer.sign(PAYLOAD).unwrap();
    for length in 0..message.len() {
        let verdict = verify(&message[..length], signer.public_key_spki_der());
        assert_eq!(verdict, Err(VerifyError::Malformed), "first {length} bytes");
    }
    let continued = [message.as_slice(), &[0]].concat();
    assert_eq!(
        verify(&continued, signer.public_key_spki_der()),
        Err(VerifyError::Malformed)
    );
}

#[test]
fn another_key_and_a_broken_key_are_refused() {
    let (signer, other) = (new_key(), new_key());
    let message = signer.sign(PAYLOAD).unwrap();
    for key in [other.public_key_spki_der(), &[], &[4; 65], b"rubbish"] {
        assert_eq!(verify(&message, key), Err(VerifyError::BadSignature));
    }
}

#[test]
fn a_good_signature_under_other_headers_is_refused() {
    let signer = new_key();
    let sign_under = |protected: Header, unprotected: Header, payload: Option<&[u8]>| {
        let mut builder = CoseSign1Builder::new()
            .protected(protected)
            .unprotected(unprotected);
        if let Some(payload) = payload {
            builder = builder.payload(payload.to_vec());
        }
        let signed = builder.create_signature(&[], |message| {
            let signature = signer.key_pair.sign(&SystemRandom::new(), message);
            signature.unwrap().as_ref().to_vec()
        });
        verify(
            &signed.build().to_tagged_vec().unwrap(),
            signer.public_key_spki_der(),
        )
    };
    let usual = || protected_header(&signer.key_id_bytes);
    let none = Header::default;
    assert_eq!(sign_under(usual(), none(), Some(PAYLOAD)).unwrap(), PAYLOAD);

    let other_algorithm = Header {
        alg: HeaderBuilder::new()
            .algorithm(iana::Algorithm::ES384)
            .build()
            .alg,
        ..usual()
    };
    let no_content_type = Header {
        content_type: None,
        ..usual()
    };
    let short_key_id = protected_header(&[1; 15]);
    let one_more = Header {
        rest: vec![(coset::Label::Int(99), Value::Null)],
        ..usual()
    };
    for protected in [
        other_algorithm,
        no_content_type,
        short_key_id,
        one_more,
        none(),
    ] {
        let verdict = sign_under(protected, none(), Some(PAYLOAD));
        assert_eq!(verdict, Err(VerifyError::UnexpectedHeaders));
    }
    assert_eq!(
        sign_under(usual(), protected_header(&[1; 16]), Some(PAYLOAD)),
        Err(VerifyError::UnexpectedHeaders)
    );
    assert_eq!(
        sign_under(usual(), none(), None),
        Err(VerifyError::Malformed),
        "detached"
    );
}

#[test]
fn another_encoding_of_the_same_message_is_refused() {
    let signer = new_key();
    let message = signer.sign(PAYLOAD).unwrap();
    assert_eq!(message[0], 0xd2, "tag 18 in one byte");
    let longer_tag = [&[0xd8, 18], &message[1..]].concat();
    assert_eq!(
        verify(&longer_tag, signer.public_key_spki_der()),
        Err(VerifyError::Malformed)
    );
}

#[test]
fn a_generated_key_is_loaded_again_as_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.pem");
    let generated = generate_key_file(&path).unwrap();
    let loaded = FileSigner::load(&path).unwrap();
    assert_eq!(loaded.key_id(), generated.key_id());
    assert_eq!(loaded.key_id().len(), 32);
    assert_eq!(
        loaded.public_key_spki_der(),
        generated.public_key_spki_der()
    );
    let message = loaded.sign(PAYLOAD).unwrap();
    assert!(verify(&message, generated.public_key_spki_der()).is_ok());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    assert!(matches!(
        generate_key_file(&path),
        Err(KeyError::Exists { .. })
    ));
    assert_eq!(
        FileSigner::load(&path).unwrap().key_id(),
        generated.key_id()
    );
}

#[test]
fn the_key_id_is_the_first_half_of_the_hash_of_the_public_key() {
    let signer = new_key();
    let whole = digest::digest(&digest::SHA256, signer.public_key_spki_der());
    assert_eq!(signer.key_id(), &hex::encode(whole.as_ref())[..32]);
    let block = pem::parse(signer.public_key_pem()).unwrap();
    assert_eq!(
        (block.tag(), block.contents()),
        ("PUBLIC KEY", signer.public_key_spki_der())
    );
}

#[test]
fn files_that_hold_no_usable_key_are_refused_by_name_and_without_their_content() {
    let p256 = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let good = pem_of("PRIVATE KEY", p256);
    let mut damaged = pem::parse(&good).unwrap().into_contents();
    damaged[40] ^= 1;
    let cases = [
        (
            "another curve",
            pem_of("PRIVATE KEY", &ECDSA_P384_SHA384_FIXED_SIGNING),
        ),
        ("encrypted", pem_of("ENCRYPTED PRIVATE KEY", p256)),
        ("sec1", pem_of("EC PRIVATE KEY", p256)),
        ("certificate", pem_of("CERTIFICATE", p256)),
        ("two keys", good.repeat(2)),
        ("damaged", pem::encode(&Pem::new("PRIVATE KEY", damaged))),
        ("rubbish", "this is no key at all".to_owned()),
        ("broken pem", good.replace("-----END", "-----")),
        ("empty", String::new()),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in cases {
        let path = folder.path().join(name);
        secret_file::write_new(&path, content.as_bytes()).unwrap();
        let error = FileSigner::load(&path).unwrap_err();
        assert!(
            matches!(error, KeyError::Malformed { .. }),
            "{name}: {error:?}"
        );
        let text = format!("{error} {error:?}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        let secret_lines = content
            .lines()
            .filter(|line| line.len() > 40 || name == "rubbish");
        assert!(
            !secret_lines.into_iter().any(|line| text.contains(line)),
            "{name}: {text}"
        );
    }
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.pem");
    generate_key_file(&path).unwrap();
    for mode in [0o640, 0o604, 0o644] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert!(
            matches!(FileSigner::load(&path), Err(KeyError::Exposed { .. })),
            "{mode:o}"
        );
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert!(FileSigner::load(&path).is_ok());
}

#[test]
fn debug_shows_the_key_id_and_nothing_of_the_key() {
    let signer = new_key();
    let shown = format!("{signer:?}");
    assert_eq!(
        shown,
        format!("FileSigner {{ key_id: \"{}\", .. }}", signer.key_id())
    );
}
