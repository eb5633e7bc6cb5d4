/** What plugins are put to whose language is not ours: the tests of one language, and what plugins of several do alike. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { TestContext } from "node:test";
import { eventually } from "../conformance/backend.ts";
import { collect, type Echoed, fieldsOf } from "../integration/ingress-rig.ts";
import type { Conversation } from "./conversation.ts";
import type { HttpAnswer, HttpQuestion } from "./http.ts";
import { openPluginScene, type PluginCast, type PluginScene } from "./plugin-scene.ts";

/** Longest time that it takes to build the plugins of a language, and to run them. */
export const buildAndRunMs = 600_000;

export type PluginChecks = Readonly<Record<string, (scene: PluginScene) => Promise<void>>>;

export interface LanguageChecks {
  readonly checks: PluginChecks;
  /** The one plugin that logs warnings and errors of its own. */
  readonly complains?: string;
  /** What is left of `stumbler` after each way to fail, and what its author reads about it. */
  readonly failures: Readonly<Record<string, RegExp>>;
  /** What the guest itself says of a failure. */
  readonly outcries?: Readonly<Record<string, RegExp>>;
}

export async function checkPlugins(
  context: TestContext,
  cast: PluginCast,
  { checks, complains, failures, outcries = {} }: LanguageChecks,
): Promise<void> {
  await using scene = await openPluginScene(cast);
  for (const [name, check] of Object.entries(checks)) await context.test(name, () => check(scene));
  await context.test("no plugin was surprised by the host, and none died", () => {
    const complaints = scene.sidecar.log.filter(({ level, plugin }) => Number(level) >= 40 && plugin !== complains);
    assert.deepEqual(
      complaints.map(({ msg }) => msg),
      [],
    );
  });
  for (const [how, told] of Object.entries(failures))
    await context.test(`stumbler ends by its ${how}, and says where`, async () => {
      const { sidecar, ask } = scene;
      assert.equal((await ask("/stumbler", { headers: { "x-stumble": how } })).status, 503);
      await sidecar.logged(({ level, msg, source }) => level === 50 && source !== "guest" && told.test(msg));
      const outcry = outcries[how];
      if (outcry !== undefined) await sidecar.logged(({ source, msg }) => source === "guest" && outcry.test(msg));
      await eventually("it is replaced", async () => (await ask("/stumbler")).status === 200);
    });
}

export const echoed = ({ text }: HttpAnswer): Echoed => JSON.parse(text) as Echoed;

export const post = (body: string, headers: Readonly<Record<string, string>> = {}): HttpQuestion => ({
  method: "POST",
  body,
  headers,
});

/** Says `hello` to the filter of TCP connections; gives back the conversation when it is over. */
export async function saysHello({ talk }: PluginScene): Promise<Conversation> {
  const client = await talk();
  client.say("hel");
  client.say("lo\n");
  await client.heard("it says: HELLO\n");
  client.say("quit\n");
  await client.over;
  return client;
}

/** What plugins of the same names do alike in every language that has them. */
export const alike: PluginChecks = {
  "headers changes trailers, too": async ({ sidecar }) => {
    const url = new URL(`http://${sidecar.ingress}/headers/summed`);
    const request = httpRequest(url, { method: "POST", agent: false, headers: { trailer: "x-sum, x-more" } });
    request.write("a body");
    request.addTrailers({ "x-sum": "1", "x-more": "2" });
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const answer = await collect(response);
    assert.deepEqual({ ...answer.trailers }, { "x-sum": "33" });
    const got = JSON.parse(answer.body) as Echoed;
    assert.deepEqual(got.trailers, { "x-sum": "1", "x-more": "2", "x-counted": "ii" });
    assert.equal(fieldsOf(got).get("x-has-body"), "yes");
    assert.equal(got.body, "a body");
  },

  "bodies changes the body of a request": async ({ ask }) => {
    const got = async (edit: string): Promise<string> =>
      echoed(await ask("/bodies", post("the body", { "x-request-body": edit }))).body;
    assert.equal(await got("append: , and a tail"), "the body, and a tail");
    assert.equal(await got("prepend: head:"), "head:the body");
    assert.equal(await got("replace: short"), "short");
    assert.equal(await got("shout: it"), "THE BODY");
    assert.equal(echoed(await ask("/bodies", post("the body"))).body, "the body");
  },

  "bodies changes the body of a response, in one piece or in several": async ({ ask }) => {
    for (const path of ["/bodies/text", "/bodies/slowly"]) {
      const got = async (edit: string): Promise<string> =>
        (await ask(path, { headers: { "x-response-body": edit } })).text;
      assert.equal(await got("append: , and a tail"), "some text, and a tail");
      assert.equal(await got("prepend: head:"), "head:some text");
      assert.equal(await got("replace: short"), "short");
      assert.equal(await got("shout: it"), "SOME TEXT");
    }
  },

  "gatekeeper lets pass whom an upstream knows": async ({ ask }) => {
    const knocked = (headers: Record<string, string>): Promise<HttpAnswer> =>
      ask("/gatekeeper", post("hello", headers));
    const known = await knocked({ authorization: "Bearer ada", "x-user": "root" });
    assert.equal(fieldsOf(echoed(known)).get("x-user"), "ada");
    assert.equal(echoed(known).body, "hello");
    const unknown = await knocked({ authorization: "Bearer eve" });
    assert.equal(unknown.status, 403);
    assert.equal(unknown.text, "the token is not known");
    assert.equal(unknown.headers["www-authenticate"], "Bearer");
    assert.equal((await knocked({})).status, 401);
  },

  "doorman answers in place of the application": async ({ ask }) => {
    for (const point of ["request-headers", "request-body", "response-headers", "response-body"]) {
      const answer = await ask("/doorman", post("a body", { "x-answer-at": point }));
      assert.equal(answer.status, 429, point);
      assert.equal(answer.text, `not now: ${point}`);
      assert.equal(answer.headers["x-door"], "closed");
    }
    assert.equal((await ask("/doorman/text")).text, "some text");
  },
};
