"""ValidateCode from a map in memory, in Python with grpcio, over mutual TLS.

    python peer_grpcio.py aio|sync PROTO_FOLDER CERTIFICATE KEY CLIENT_CA CODES ANSWER READY_FILE

The protocol buffers are those that setup.sh compiled; PROTO_FOLDER is taken so that all peers are started alike.
"""

import asyncio
import json
import os
import sys
from concurrent import futures
from pathlib import Path

HERE = Path(__file__).resolve().parent
# In place of this folder: the compiled protocol buffers.
sys.path[0] = str(HERE / "generated")

import grpc  # noqa: E402
from gavah.v1 import validation_service_pb2 as pb  # noqa: E402
from gavah.v1 import validation_service_pb2_grpc as services  # noqa: E402

# As many as calls are in flight when nothing else is said.
THREADS = 64

kind, _, certificate, key, client_ca, codes_file, answer_file, ready_file = sys.argv[1:]
ANSWER = pb.ValidateCodeResponse.FromString(Path(answer_file).read_bytes())
CODES = dict.fromkeys(Path(codes_file).read_text().split(), ANSWER)


def credentials():
    pair = (Path(key).read_bytes(), Path(certificate).read_bytes())
    return grpc.ssl_server_credentials([pair], Path(client_ca).read_bytes(), True)


def tell_ready(port):
    draft = Path(f"{ready_file}.new")
    draft.write_text(json.dumps({"address": f"127.0.0.1:{port}"}))
    os.replace(draft, ready_file)


class Sync(services.ValidationServiceServicer):
    def ValidateCode(self, request, context):
        found = CODES.get(request.code)
        if found is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "")
        return found


class Aio(services.ValidationServiceServicer):
    async def ValidateCode(self, request, context):
        found = CODES.get(request.code)
        if found is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "")
        return found


def serve_sync():
    server = grpc.server(futures.ThreadPoolExecutor(THREADS))
    services.add_ValidationServiceServicer_to_server(Sync(), server)
    port = server.add_secure_port("127.0.0.1:0", credentials())
    server.start()
    tell_ready(port)
    server.wait_for_termination()


async def serve_aio():
    server = grpc.aio.server()
    services.add_ValidationServiceServicer_to_server(Aio(), server)
    port = server.add_secure_port("127.0.0.1:0", credentials())
    await server.start()
    tell_ready(port)
    await server.wait_for_termination()


if kind == "aio":
    asyncio.run(serve_aio())
else:
    serve_sync()
