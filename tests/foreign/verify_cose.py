#!/usr/bin/env python3
"""Reads a signed enrollment certificate without any code of this project.

    verify_cose.py MESSAGE.cose PUBLIC_KEY.pem

MESSAGE.cose is a tagged COSE_Sign1 message (RFC 9052) under ES256, PUBLIC_KEY.pem the signer's public key. Prints the
certificate's content as JSON and exits with 0 when the signature is good; says why not on standard error and exits
with 1 otherwise.
"""

import hashlib
import io
import json
import sys

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

COSE_SIGN1_TAG = 18
ALGORITHM, CONTENT_TYPE, KEY_ID = 1, 3, 4
ES256 = -7
HALF_SIGNATURE_BYTES = 32
KEY_ID_BYTES = 16

# The integer keys of the certificate's map, as its documentation lists them.
NAMES = {
    1: "version",
    2: "certificate_id",
    3: "serial",
    4: "code",
    5: "institution_code",
    6: "institution_name_fa",
    7: "subject_key",
    8: "name_fa",
    9: "name_en",
    10: "student_number",
    11: "degree_level",
    12: "field_title_fa",
    13: "study_mode",
    14: "term",
    15: "purpose",
    16: "addressee_fa",
    17: "addressee_en",
    18: "issue_time_micros",
    19: "valid_from_micros",
    20: "valid_until",
    21: "valid_until_micros",
    22: "workflow_version",
}


class Refused(Exception):
    """The message is not what it should be."""


def decode(data):
    """The one CBOR item that fills all of `data`."""
    stream = io.BytesIO(data)
    item = cbor2.load(stream)
    if stream.tell() != len(data):
        raise Refused("bytes follow the CBOR item")
    return item


def key_id_of(public_key):
    """The first 16 bytes of the SHA-256 of the SubjectPublicKeyInfo in DER."""
    spki = public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).digest()[:KEY_ID_BYTES]


def verify(message, public_key):
    """The payload of a COSE_Sign1 message that `public_key` signed."""
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or public_key.curve.name != "secp256r1":
        raise Refused("the public key is not on P-256")
    item = decode(message)
    if not isinstance(item, cbor2.CBORTag) or item.tag != COSE_SIGN1_TAG:
        raise Refused("not a tagged COSE_Sign1 message")
    if not isinstance(item.value, (list, tuple)) or len(item.value) != 4:
        raise Refused("not an array of four")
    protected, unprotected, payload, signature = item.value
    if not all(isinstance(part, bytes) for part in (protected, payload, signature)):
        raise Refused("a part is no byte string")
    if unprotected != {}:
        raise Refused("there are unprotected headers")
    expected = {ALGORITHM: ES256, CONTENT_TYPE: "application/cbor", KEY_ID: key_id_of(public_key)}
    if decode(protected) != expected:
        raise Refused("the protected headers are not ES256, application/cbor and this key's id")
    if len(signature) != 2 * HALF_SIGNATURE_BYTES:
        raise Refused("the signature has another length")
    r = int.from_bytes(signature[:HALF_SIGNATURE_BYTES], "big")
    s = int.from_bytes(signature[HALF_SIGNATURE_BYTES:], "big")
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    public_key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    return payload


def content_of(payload):
    """The certificate's fields by name."""
    fields = decode(payload)
    if not isinstance(fields, dict) or not set(fields) <= set(NAMES):
        raise Refused("the payload is not a map of the documented keys")
    if fields.get(1) != 1:
        raise Refused("the payload has another version")
    if cbor2.dumps(fields, canonical=True) != payload:
        raise Refused("the payload is not in deterministic encoding")
    return {
        NAMES[key]: value.hex() if isinstance(value, bytes) else value
        for key, value in fields.items()
    }


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 1
    message_path, key_path = arguments
    try:
        with open(key_path, "rb") as file:
            public_key = serialization.load_pem_public_key(file.read())
        with open(message_path, "rb") as file:
            payload = verify(file.read(), public_key)
        print(json.dumps(content_of(payload), ensure_ascii=False, indent=2))
        return 0
    except InvalidSignature:
        print("refused: the signature does not belong to this message and key", file=sys.stderr)
    except (Refused, ValueError, TypeError, OSError, cbor2.CBORDecodeError) as error:
        print(f"refused: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
