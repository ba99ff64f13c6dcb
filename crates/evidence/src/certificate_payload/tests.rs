use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::signer::{Signer, generate_key_file, verify};

/// A synthetic certificate of a synthetic person.
fn sample() -> CertificatePayload {
    CertificatePayload {
        version: PAYLOAD_VERSION,
        certificate_id: *b"\x01\x93\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x01",
        serial: "1405-00000001".into(),
        code: "22345678901234567871".into(),
        institution_code: "U-101".into(),
        institution_name_fa: "دانشگاه نمونه".into(),
        subject_key: "N:0012345678".into(),
        name_fa: "نمونهٔ ساختگی".into(),
        name_en: Some("Synthetic Sample".into()),
        student_number: "400123456".into(),
        degree_level: "MASTER_CONTINUOUS".into(),
        field_title_fa: "ریاضی".into(),
        study_mode: "DAY".into(),
        term: "1404-2".into(),
        purpose: "EMBASSY".into(),
        addressee_fa: "سفارت نمونه".into(),
        addressee_en: Some("Sample Embassy".into()),
        issue_time_micros: 1_779_000_000_000_000,
        valid_from_micros: 1_779_000_000_000_000,
        valid_until: "1405/12/30".into(),
        valid_until_micros: 1_805_000_000_000_000,
        workflow_version: "enrollment-certificate-1".into(),
        confirmed_number: None,
        confirmed_date: None,
        replaces: None,
    }
}

prop_compose! {
    fn payloads()(
        certificate_id in any::<[u8; 16]>(),
        texts in prop::collection::vec(".{0,40}", 15),
        name_en in option::of(".{0,40}"),
        addressee_en in option::of(".{0,40}"),
        confirmed in option::of(".{0,40}"),
        replaces in option::of(".{0,40}"),
        micros in any::<[i64; 3]>(),
    ) -> CertificatePayload {
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap_or_default();
        CertificatePayload {
            version: PAYLOAD_VERSION,
            certificate_id,
            serial: text(),
            code: text(),
            institution_code: text(),
            institution_name_fa: text(),
            subject_key: text(),
            name_fa: text(),
            name_en,
            student_number: text(),
            degree_level: text(),
            field_title_fa: text(),
            study_mode: text(),
            term: text(),
            purpose: text(),
            addressee_fa: text(),
            addressee_en,
            issue_time_micros: micros[0],
            valid_from_micros: micros[1],
            valid_until: text(),
            valid_until_micros: micros[2],
            workflow_version: text(),
            confirmed_number: confirmed.clone(),
            confirmed_date: confirmed,
            replaces,
        }
    }
}

/// The sample's map with one change, encoded without any check.
fn changed(change: impl FnOnce(&mut Vec<(Value, Value)>)) -> Vec<u8> {
    let bytes = sample().encode().unwrap();
    let mut map: Vec<_> = ciborium::from_reader::<Value, _>(bytes.as_slice())
        .unwrap()
        .into_map()
        .unwrap();
    change(&mut map);
    let mut bytes = Vec::new();
    ciborium::into_writer(&Value::Map(map), &mut bytes).unwrap();
    bytes
}

proptest! {
    #[test]
    fn every_payload_survives_the_round_trip(payload in payloads()) {
        let bytes = payload.encode().unwrap();
        prop_assert!(CertificatePayload::decode(&bytes).unwrap() == payload);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic_or_accept_what_it_would_not_write(
        mut bytes in Just(sample().encode().unwrap()),
        index in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let index = index.index(bytes.len());
        bytes[index] = value;
        if let Ok(payload) = CertificatePayload::decode(&bytes) {
            prop_assert_eq!(payload.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn rubbish_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(CertificatePayload::decode(&bytes).is_err());
    }
}

#[test]
fn the_encoding_is_one_map_of_ascending_integer_keys() {
    let bytes = sample().encode().unwrap();
    assert_eq!(
        bytes[..4],
        [0xb6, 1, PAYLOAD_VERSION, 2],
        "a map of 22 entries"
    );
    let map = ciborium::from_reader::<Value, _>(bytes.as_slice()).unwrap();
    let keys: Vec<_> = map
        .into_map()
        .unwrap()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys, (1..=22).map(Value::from).collect::<Vec<_>>());
}

#[test]
fn what_is_not_said_has_no_key() {
    let payload = CertificatePayload {
        name_en: None,
        addressee_en: None,
        ..sample()
    };
    let bytes = payload.encode().unwrap();
    assert_eq!(bytes[0], 0xb4, "a map of 20 entries");
    assert!(CertificatePayload::decode(&bytes).unwrap() == payload);
}

#[test]
fn each_fault_of_a_payload_has_its_own_answer() {
    let cases = [
        (changed(|map| drop(map.remove(4))), PayloadError::Missing(5)),
        (
            changed(|map| map[2].1 = Value::from(7)),
            PayloadError::WrongType(3),
        ),
        (
            changed(|map| map[8].1 = Value::Null),
            PayloadError::WrongType(9),
        ),
        (
            changed(|map| map[1].1 = Value::from([0; 15].as_slice())),
            PayloadError::WrongType(2),
        ),
        (
            changed(|map| map[17].1 = Value::from(u64::MAX)),
            PayloadError::WrongType(18),
        ),
        (
            changed(|map| map[0].1 = Value::from(2)),
            PayloadError::UnknownVersion,
        ),
        (
            changed(|map| map.push((Value::from(26), Value::Null))),
            PayloadError::UnknownKey,
        ),
        (
            changed(|map| map.push((Value::from("a"), Value::Null))),
            PayloadError::NotAMap,
        ),
        (
            changed(|map| map.push(map[21].clone())),
            PayloadError::NotDeterministic,
        ),
        (
            changed(|map| map.swap(3, 4)),
            PayloadError::NotDeterministic,
        ),
        (vec![0x80], PayloadError::NotAMap),
        (vec![], PayloadError::NotAMap),
        (
            [sample().encode().unwrap(), vec![0]].concat(),
            PayloadError::NotAMap,
        ),
    ];
    for (index, (bytes, expected)) in cases.into_iter().enumerate() {
        assert_eq!(
            CertificatePayload::decode(&bytes),
            Err(expected),
            "case {index}"
        );
    }
    let unknown = CertificatePayload {
        version: 2,
        ..sample()
    };
    assert_eq!(unknown.encode(), Err(PayloadError::UnknownVersion));
}

#[test]
fn an_integer_in_a_longer_form_is_refused() {
    let bytes = sample().encode().unwrap();
    let longer = [&bytes[..2], &[0x18, PAYLOAD_VERSION], &bytes[3..]].concat();
    assert_eq!(
        CertificatePayload::decode(&longer),
        Err(PayloadError::NotDeterministic)
    );
}

#[test]
fn a_signed_certificate_changed_in_any_byte_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let signer = generate_key_file(&folder.path().join("signing.pem")).unwrap();
    let message = signer.sign(&sample().encode().unwrap()).unwrap();
    let payload = verify(&message, signer.public_key_spki_der()).unwrap();
    assert!(CertificatePayload::decode(&payload).unwrap() == sample());
    for index in 0..message.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut changed = message.clone();
            changed[index] ^= mask;
            let verdict = verify(&changed, signer.public_key_spki_der());
            assert!(verdict.is_err(), "byte {index} changed by {mask:02x}");
        }
    }
}

#[test]
fn debug_shows_nothing_of_the_content() {
    assert_eq!(
        format!("{:?}", sample()),
        "CertificatePayload { version: 1, .. }"
    );
}
