#!/usr/bin/env python3
"""A caller that shares no code with this project: Google's C-core gRPC, the contract learned from the service itself.

    client.py PLAN.json

Reads from the file where the service is, who calls, under which trace contexts, and for which synthetic student;
asks as a university and as the hub, and prints as JSON what came back: answers, verdicts, refusals with their decoded
`google.rpc` details, and the trace context of each answer.
"""

import datetime
import json
import sys
import uuid

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

DEADLINE_SECONDS = 50
TRACEPARENT = "traceparent"
DETAILS = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.LocalizedMessage,
    error_details_pb2.RetryInfo,
)


def read(path):
    """The bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


class Caller:
    """A connection with a client certificate, or with none."""

    def __init__(self, plan, name):
        certificate, key = (read(path) for path in plan["callers"][name]) if name else (None, None)
        credentials = grpc.ssl_channel_credentials(read(plan["server_ca"]), key, certificate)
        self.channel = grpc.secure_channel(plan["authority"], credentials)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.database)

    def services(self):
        """Names of all services."""
        return sorted(self.database.get_services())

    def call(self, service, method, request, traceparent, on_behalf=()):
        """The answer to a call as a dictionary, with the names of the contract."""
        method = self.pool.FindServiceByName(service).methods_by_name[method]
        request_class = message_factory.GetMessageClass(method.input_type)
        response_class = message_factory.GetMessageClass(method.output_type)
        stub = self.channel.unary_unary(
            f"/{service}/{method.name}",
            request_serializer=request_class.SerializeToString,
            response_deserializer=response_class.FromString,
        )
        message = json_format.ParseDict(request, request_class())
        try:
            metadata = ((TRACEPARENT, traceparent), *on_behalf)
            answer, call = stub.with_call(message, timeout=DEADLINE_SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            return {"refused": refusal(error)}
        told = json_format.MessageToDict(answer, preserving_proto_field_name=True)
        return {"answer": told, TRACEPARENT: dict(call.initial_metadata()).get(TRACEPARENT)}


def refusal(error):
    """A failed call with its details."""
    metadata = dict(error.initial_metadata() or ()) | dict(error.trailing_metadata() or ())
    told = {"code": error.code().name, "message": error.details(), TRACEPARENT: metadata.get(TRACEPARENT)}
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        for kind in DETAILS:
            if detail.Is(kind.DESCRIPTOR):
                message = kind()
                detail.Unpack(message)
                decoded = json_format.MessageToDict(message, preserving_proto_field_name=True)
                told.setdefault(kind.DESCRIPTOR.name, []).append(decoded)
    return told


def issue_request(student):
    """A validity code for a synthetic student's degree."""
    institution = student["institution_code"]
    return {
        "request_id": str(uuid.uuid4()),
        "subject": {
            "person_id": {"national_code": student["national_code"]},
            "name": {"given_name_fa": "آزمایشی", "family_name_fa": "ساختگی"},
        },
        "program": {
            "institution_code": institution,
            "student_number": student["student_number"],
            "degree_level": "DEGREE_LEVEL_BACHELOR_CONTINUOUS",
            "field_code": "1234",
            "field_title_fa": "مهندسی آزمایشی",
            "study_mode": "STUDY_MODE_DAY",
            "entry_term": {"academic_year": 1402, "kind": "TERM_KIND_FIRST"},
        },
        "document_kind": "DOCUMENT_KIND_DEGREE",
        "attestation": {
            "expert": {"expert": f"institutions/{institution}/experts/{student['expert_code']}"},
            "statement_version": "1",
            "attest_time": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        },
    }


def main():
    plan = json.loads(read(sys.argv[1]))
    traceparents = plan["traceparents"]
    codes, validation = "gavah.v1.ValidityCodeService", "gavah.v1.ValidationService"
    university, hub = Caller(plan, "university"), Caller(plan, "hub")
    request = issue_request(plan["student"])

    mistaken = json.loads(json.dumps(request))
    mistaken["subject"]["person_id"]["national_code"] = "1111111111"
    mistaken["program"]["student_number"] = "12"
    told = {
        "mistaken": university.call(codes, "IssueValidityCode", mistaken, traceparents["mistaken"]),
        "wrong_class": hub.call(codes, "IssueValidityCode", request, traceparents["wrong_class"]),
        "issued": university.call(codes, "IssueValidityCode", request, traceparents["issued"]),
        "services": hub.services(),
    }
    code = told["issued"].get("answer", {}).get("validity_code", {}).get("code", "")
    on_behalf = tuple(plan["on_behalf"].items())
    told["validated"] = hub.call(validation, "ValidateCode", {"code": code}, traceparents["validated"], on_behalf)

    # Nobody at all: the connection itself is refused, reflection included.
    try:
        told["nobody"] = {"services": Caller(plan, None).services()}
    except grpc.RpcError as error:
        told["nobody"] = {"refused": refusal(error)}
    json.dump(told, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
