// ValidateCode from a map in memory, in Node with @grpc/grpc-js, over mutual TLS.
//
//     node peer_grpc_js.mjs PROTO_FOLDER CERTIFICATE KEY CLIENT_CA CODES ANSWER READY_FILE

import fs from "node:fs";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [protos, certificate, key, clientCa, codesFile, answerFile, readyFile] = process.argv.slice(2);
const definition = loader.loadSync("gavah/v1/validation_service.proto", { includeDirs: [protos], keepCase: true });
const service = definition["gavah.v1.ValidationService"];
const answer = service.ValidateCode.responseDeserialize(fs.readFileSync(answerFile));
const codes = new Map(fs.readFileSync(codesFile, "utf8").split("\n").filter(Boolean).map((code) => [code, answer]));

const server = new grpc.Server();
server.addService(service, {
  ValidateCode(call, callback) {
    const found = codes.get(call.request.code);
    if (found) callback(null, found);
    else callback({ code: grpc.status.NOT_FOUND });
  },
});
const credentials = grpc.ServerCredentials.createSsl(
  fs.readFileSync(clientCa),
  [{ cert_chain: fs.readFileSync(certificate), private_key: fs.readFileSync(key) }],
  true,
);
server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
  if (error) throw error;
  fs.writeFileSync(`${readyFile}.new`, JSON.stringify({ address: `127.0.0.1:${port}` }));
  fs.renameSync(`${readyFile}.new`, readyFile);
});
