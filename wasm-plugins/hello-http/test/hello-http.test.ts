import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { answer } from "../src/hello-http.ts";

const post = (path: string, body: BodyInit): Request =>
  new Request(`http://localhost${path}`, { method: "POST", body, headers: { "content-type": "text/plain" } });

test("greets by name", async () => {
  for (const path of ["/hello?name=Ada", "/hello/?name=Ada", "/?name=Ada"]) {
    const response = await answer(new Request(`http://localhost${path}`));
    assert.deepEqual(await response.json(), { greeting: "hello Ada" });
  }
  assert.equal((await answer(new Request("http://localhost/elsewhere"))).status, 404);
});

test("gives a body back as it comes, or in capitals", async () => {
  const echo = await answer(post("/hello/echo", "one two"));
  assert.equal(echo.headers.get("content-type"), "text/plain");
  assert.equal(await echo.text(), "one two");
  assert.equal(await (await answer(post("/hello/shout", "one Zwei ä"))).text(), "ONE ZWEI ä");
  assert.equal(await (await answer(new Request("http://localhost/hello/shout"))).text(), "");
});

test("asks an upstream who it is", async () => {
  const asked = mock.method(globalThis, "fetch", async (_: string, { headers }: RequestInit = {}) =>
    Object(headers).authorization === "ada" ? new Response("Ada") : new Response("", { status: 403 }),
  );
  const ask = async (headers: Record<string, string>): Promise<unknown> =>
    (await answer(new Request("http://localhost/hello/whoami", { headers }))).json();
  assert.deepEqual(await ask({ authorization: "ada" }), { greeting: "hello Ada" });
  assert.deepEqual(await ask({}), { greeting: "hello stranger" });
  assert.equal(asked.mock.calls[0]?.arguments[0], "http://people/whoami");
  asked.mock.restore();
});
