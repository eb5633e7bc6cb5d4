import assert from "node:assert/strict";
import http from "node:http";
import { describe, it } from "node:test";
import type { SettledAction, StreamHost } from "../../runtime/plugin/contract.ts";
import { note, reply, withFilters } from "./ingress-filters-rig.ts";
import type { OpenFilter } from "./ingress-rig.ts";

describe("a filter that waits in a callback", () => {
  it("is shown nothing in either direction until it settles", async () => {
    const trace: string[] = [];
    const waiting = Promise.withResolvers<StreamHost>();
    await withFilters(
      {
        a: (host) => ({
          requestHeaders: () => {
            waiting.resolve(host);
            return "suspended";
          },
          requestBody: (end) => note(trace, `body ${end}`),
        }),
      },
      async (rig) => {
        const answered = rig.send({ method: "POST", path: "/" }, "x");
        const host = await waiting.promise;
        for (let at = 0; at < 20; at += 1) await new Promise((resolve) => setImmediate(resolve));
        assert.deepEqual(trace, []);
        host.settle("continue");
        assert.equal((await answered).status, 200);
        assert.deepEqual(trace, ["body true"]);
      },
    );
  });

  it("may answer, and may pause and resume, when it settles", async () => {
    const hosts: StreamHost[] = [];
    const suspend: OpenFilter = (host) => ({
      requestHeaders: () => {
        setImmediate(() => hosts.push(host));
        return "suspended";
      },
    });
    const next = async () => {
      while (hosts.length === 0) await new Promise((resolve) => setImmediate(resolve));
      return hosts.pop();
    };
    await withFilters({ suspend }, async (rig) => {
      const first = rig.send({ path: "/" });
      const host = await next();
      host?.respond(reply(403, "no"));
      host?.settle("pause");
      assert.deepEqual([(await first).status, (await first).body], [403, "no"]);
      const second = rig.send({ path: "/" });
      const other = await next();
      other?.settle("pause");
      other?.resume("request");
      assert.equal((await second).status, 200);
    });
  });

  it("may take in what follows a head, or keep a body out of sight, when it settles", async () => {
    const settle = (head: SettledAction, body: SettledAction, then: SettledAction): OpenFilter => {
      const soon = (host: StreamHost, action: SettledAction): "suspended" => {
        setImmediate(() => host.settle(action));
        return "suspended";
      };
      return (host) => ({
        requestHeaders: () => soon(host, head),
        requestBody: (end) => soon(host, end ? then : body),
      });
    };
    const filters = {
      gathers: settle("buffer", "continue", "continue"),
      keeps: settle("continue", "watermark", "continue"),
    };
    const large = "x".repeat(200_000);
    for (const [name, status] of [["gathers", 413] as const, ["keeps", 200] as const]) {
      await withFilters(
        { [name]: filters[name] },
        async (rig) => {
          const answer = await rig.send({ method: "POST", path: "/" }, name === "gathers" ? large : "aaa");
          assert.equal(answer.status, status);
          if (status === 200) assert.equal(JSON.parse(answer.body).body, "aaa");
        },
        { maxBufferBytes: 1000 },
      );
    }
  });

  it("is told the end when the client goes away", async () => {
    const ended = Promise.withResolvers<void>();
    const waiting = Promise.withResolvers<StreamHost>();
    await withFilters(
      {
        a: (host) => ({
          requestHeaders: () => {
            waiting.resolve(host);
            return "suspended";
          },
          end: () => ended.resolve(),
        }),
      },
      async (rig) => {
        const request = http.get({ port: rig.port, path: "/", agent: false });
        request.on("error", () => undefined);
        const host = await waiting.promise;
        request.destroy();
        await ended.promise;
        host.settle("continue");
        host.respond(reply(200));
        assert.equal(host.headers("request-headers")?.get(":path"), "/");
      },
    );
  });
});
