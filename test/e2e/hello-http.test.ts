/** hello-http, a component of wasi:http, in the sidecar: bodies as they come, trailers, and a request to an upstream. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";

import { build, deploy } from "../support/demo.ts";
import { ask, askUntil } from "../support/http.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../support/sidecar.ts";

const open = new AsyncDisposableStack();
let sidecar: Sidecar;
before(
  async () => {
    const people = createServer(({ headers }, response) => {
      response.statusCode = headers.authorization === "ada" ? 200 : 403;
      response.end("Ada");
    }).listen(0, "127.0.0.1");
    open.defer(() => void people.close());
    await once(people, "listening");
    const { path } = open.use(await temporaryDirectory());
    await deploy(path, "hello-http", await build("hello-http", "1.0.0"));
    sidecar = open.use(
      await startSidecar(path, {
        upstreams: { people: { endpoints: [`127.0.0.1:${(people.address() as AddressInfo).port}`] } },
        plugins: { directory: "./plugins", grants: { "hello-http": { upstreams: ["people"] } } },
        ingress: { routes: [{ match: { prefix: "/hello" }, to: { plugin: "hello-http" } }] },
      }),
    );
    await askUntil(sidecar.ingress, "/hello", ({ status }) => status === 200);
  },
  { timeout: 300_000 },
);
after(() => open.disposeAsync());

const post = (path: string) => {
  const [host, port] = sidecar.ingress.split(":");
  return request({ host, port, path, method: "POST", headers: { "content-type": "text/plain" } });
};

test("greets, one request after the other and many at once", async () => {
  const names = Array.from({ length: 6 }, (_, index) => `guest-${index}`);
  const answers = await Promise.all(names.map((name) => ask(sidecar.ingress, `/hello?name=${name}`)));
  assert.deepEqual(
    answers.map(({ text }) => JSON.parse(text).greeting),
    names.map((name) => `hello ${name}`),
  );
  assert.equal(answers[0]?.headers["x-hello-version"], "1.0.0");
});

test("gives back the beginning of a body before the end has come", async () => {
  const asked = post("/hello/echo");
  asked.write("first");
  const [response] = await once(asked, "response");
  const [first] = await once(response, "data");
  assert.equal(String(first), "first");
  asked.end("last");
  let rest = "";
  for await (const chunk of response) rest += chunk;
  assert.equal(rest, "last");
});

test("gives back a large body whole", async () => {
  const body = Buffer.alloc(1_000_000, "0123456789");
  const answer = await ask(sidecar.ingress, "/hello/echo", { method: "POST", body });
  assert.ok(answer.body.equals(body));
});

test("ends an answer with trailers", async () => {
  const asked = post("/hello/shout");
  asked.end("one two");
  const [response] = await once(asked, "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  assert.equal(text, "ONE TWO");
  assert.deepEqual(response.trailers, { "x-length": "7" });
});

test("asks an upstream that it was granted", async () => {
  const greeting = async (headers: Record<string, string>): Promise<unknown> =>
    JSON.parse((await ask(sidecar.ingress, "/hello/whoami", { headers })).text);
  assert.deepEqual(await greeting({ authorization: "ada" }), { greeting: "hello Ada" });
  assert.deepEqual(await greeting({}), { greeting: "hello stranger" });
});
