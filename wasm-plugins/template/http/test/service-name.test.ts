import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { answer } from "../src/service-name.ts";

test("greets by name", async () => {
  const response = await answer(new Request("http://localhost/?name=Ada"));
  assert.deepEqual(await response.json(), { greeting: "hello Ada" });
});

test("gives a body back as it comes", async () => {
  const init = { method: "POST", body: "one two", headers: { "content-type": "text/plain" } };
  const response = await answer(new Request("http://localhost/echo", init));
  assert.equal(response.headers.get("content-type"), "text/plain");
  assert.equal(await response.text(), "one two");
});

test("passes on what the backend answers", async () => {
  const asked = mock.method(globalThis, "fetch", async () => new Response("from behind", { status: 203 }));
  const response = await answer(new Request("http://localhost/backend"));
  assert.deepEqual([response.status, await response.text()], [203, "from behind"]);
  assert.deepEqual(asked.mock.calls[0]?.arguments, ["http://backend/"]);
  asked.mock.restore();
});
