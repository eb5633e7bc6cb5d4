/** Makes unary calls with our client or with grpc-js's when it is asked to over HTTP: `/?client=ours&calls=1000&inFlight=100`. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { GrpcChannel } from "../../../runtime/grpc/client-channel.ts";
import { getStateMessage, getStatePath } from "./state-call.ts";

const [target = ""] = process.argv.slice(2);
const path = getStatePath;
const message = Buffer.from(getStateMessage);
const timeoutMs = 10_000;

type Call = () => Promise<void>;

function ours(): Call {
  const channel = new GrpcChannel({ address: target, maxMessageBytes: 4 * 1024 ** 2 });
  const options = { timeoutMs };
  return async () => {
    const { status } = await channel.unary(path, message, options);
    if (status.code !== 0) throw new Error(status.message);
  };
}

function grpcJs(): Call {
  const client = new Client(target, credentials.createInsecure());
  const identity = (bytes: Buffer): Buffer => bytes;
  return () =>
    new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + timeoutMs };
      client.makeUnaryRequest(path, identity, identity, message, new Metadata(), options, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
}

const clients: Readonly<Record<string, Call>> = { ours: ours(), "grpc-js": grpcJs() };

async function load(call: Call, calls: number, inFlight: number): Promise<void> {
  let left = calls;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await call();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
}

const server = http.createServer((request, response) => {
  const asked = new URL(request.url ?? "/", "http://caller").searchParams;
  const call = clients[asked.get("client") ?? ""];
  const answer = (status: number, text: string): void => void response.writeHead(status).end(text);
  if (call === undefined) answer(404, "there are the clients ours and grpc-js");
  else
    load(call, Number(asked.get("calls")), Number(asked.get("inFlight"))).then(
      () => answer(200, ""),
      (error: unknown) => answer(500, String(error)),
    );
});
server.listen(0, "127.0.0.1", () => console.log(`takes orders at 127.0.0.1:${(server.address() as AddressInfo).port}`));
