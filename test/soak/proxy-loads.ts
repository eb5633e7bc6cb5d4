import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Agent } from "node:http";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { ask } from "../support/http.ts";
import { type ServiceClient, serviceClient } from "../support/service-client.ts";
import { echoDefinition, manyAnswers } from "./application.ts";
import { patienceMs, type SoakLoad } from "./load.ts";

const messagesOfStream = 20;
const largest = 100_000;

type Echo = ServiceClient<typeof echoDefinition>;

/** What passes through the ingress to the application: gRPC of every shape, cancelled calls, HTTP/1.1 behind a filter. */
export function proxyLoads(ingress: string): { readonly loads: SoakLoad[] } & Disposable {
  const echo = serviceClient(echoDefinition, ingress);
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const octets = (): Buffer => randomBytes(Math.floor(Math.random() ** 4 * largest) + 1);
  const loads: SoakLoad[] = [
    { name: "proxied unary calls", inFlight: 8, once: () => unary(echo, octets()) },
    { name: "proxied server streams", inFlight: 2, once: () => many(echo, octets()) },
    { name: "proxied bidirectional streams", inFlight: 2, once: () => both(echo, octets) },
    { name: "cancelled streams", inFlight: 1, once: () => cancelled(echo, octets()) },
    { name: "HTTP/1.1 behind a filter", inFlight: 8, once: () => http(ingress, octets(), agent) },
    { name: "HTTP/1.1 connections", inFlight: 1, once: () => http(ingress, octets(), undefined) },
  ];
  return {
    loads,
    [Symbol.dispose]() {
      echo.close();
      agent.destroy();
    },
  };
}

const deadline = (): { deadline: number } => ({ deadline: Date.now() + patienceMs });

function unary(echo: Echo, sent: Buffer): Promise<void> {
  return new Promise((resolve, reject) =>
    echo.unary(sent, new Metadata(), deadline(), (error, got) => {
      if (error !== null) reject(error);
      else if (!got.equals(sent)) reject(new Error(`${got.length} other octets came back for ${sent.length}`));
      else resolve();
    }),
  );
}

async function many(echo: Echo, sent: Buffer): Promise<void> {
  let count = 0;
  for await (const got of echo.many(sent, new Metadata(), deadline())) {
    assert.ok(sent.equals(got), "a message is another");
    count++;
  }
  assert.equal(count, manyAnswers);
}

async function both(echo: Echo, octets: () => Buffer): Promise<void> {
  const stream = echo.both(new Metadata(), deadline());
  const sent = Array.from({ length: messagesOfStream }, octets);
  for (const message of sent) stream.write(message);
  stream.end();
  let at = 0;
  for await (const got of stream) assert.ok(sent[at++]?.equals(got), `message ${at} is another`);
  assert.equal(at, messagesOfStream);
}

/** The client loses interest after the first answer: nothing may be left of it. */
function cancelled(echo: Echo, sent: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = echo.both(new Metadata(), deadline());
    stream.on("data", () => stream.cancel());
    stream.on("error", ({ code, message }: ServiceError) =>
      code === status.CANCELLED ? resolve() : reject(new Error(message)),
    );
    stream.on("end", () => reject(new Error("a stream ended that was cancelled")));
    stream.write(sent);
  });
}

async function http(ingress: string, body: Buffer, agent: Agent | undefined): Promise<void> {
  const answer = await ask(ingress, "/http/echo", { method: "POST", body, ...(agent === undefined ? {} : { agent }) });
  assert.equal(answer.status, 200, answer.text.slice(0, 200));
  assert.ok(answer.body.equals(body), "another body came back");
  assert.equal(answer.headers["x-served-by"], "bench", "the filter left no mark");
}
