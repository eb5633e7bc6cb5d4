import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AccessRecord, accessLog } from "./access-log.ts";
import { createLog } from "./log.ts";

const record: AccessRecord = {
  startedAtMs: 1,
  durationMs: 1.23456,
  protocol: "HTTP/2",
  method: "POST",
  path: "/orders?q=ü",
  authority: "shop",
  status: 200,
  details: "via_upstream",
  flags: [],
  bytesReceived: 5,
  bytesSent: 7,
  peer: "127.0.0.1:4711",
  requestId: "r-1",
};

function written() {
  const lines: string[] = [];
  const log = createLog({ level: "info", destination: { write: (line) => void lines.push(line) } });
  return { log, lines, write: accessLog(log) };
}

describe("the access log", () => {
  it("writes a line of JSON with the fields of the record", () => {
    const { write, lines } = written();
    write(record);
    const { time, ...rest } = JSON.parse(lines[0] ?? "");
    const { startedAtMs: _, ...fields } = record;
    assert.deepEqual(rest, { level: 30, log: "access", ...fields, durationMs: 1.235, msg: "access" });
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it("has the fields that only some records have, and escapes what a client made up", () => {
    const { write, lines } = written();
    const more = { route: "r", upstream: "u", endpoint: "e:1", plugin: "p", userAgent: 'a"\n\\\u0007\u2028\ud800' };
    write({ ...record, ...more, flags: ["UF", "DC"], path: '/"' });
    const { route, upstream, endpoint, plugin, userAgent, flags, path } = JSON.parse(lines[0] ?? "");
    assert.deepEqual(
      { route, upstream, endpoint, plugin, userAgent, flags, path },
      { ...more, flags: ["UF", "DC"], path: '/"' },
    );
    assert.equal(lines[0]?.indexOf("\n"), (lines[0]?.length ?? 0) - 1);
  });

  it("follows each record, whatever the one before was", () => {
    const { write, lines } = written();
    const { startedAtMs: _, durationMs: __, ...plain } = record;
    const changes: Partial<AccessRecord>[] = [
      { path: "/b" },
      { protocol: "HTTP/1.1" },
      { method: "GET" },
      { authority: "other" },
      { route: "r" },
      { status: 404 },
      { details: "route_not_found" },
      { flags: ["NR"] },
      { flags: ["UF"] },
      { upstream: "u" },
      { endpoint: "e:1" },
      { plugin: "p" },
      { peer: "127.0.0.1:1" },
      { requestId: "r-2" },
      { userAgent: "ua" },
      { bytesReceived: 1 },
      { bytesSent: 1 },
    ];
    const records = changes.flatMap((change) => [record, { ...record, ...change }, { ...record, ...change }]);
    for (const one of records) write(one);
    const fields = lines.map((line) => {
      const { level: _level, time: _time, log: _log, msg: _msg, durationMs: _durationMs, ...rest } = JSON.parse(line);
      return rest;
    });
    assert.deepEqual(
      fields,
      changes.flatMap((change) => [plain, { ...plain, ...change }, { ...plain, ...change }]),
    );
  });

  it("is silent above level info, also when the level changes later", () => {
    const { log, write, lines } = written();
    log.level = "warn";
    write(record);
    assert.deepEqual(lines, []);
    log.level = "info";
    write(record);
    assert.equal(lines.length, 1);
  });
});
