import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CallContext } from "../../components/component.ts";
import { RuntimeError } from "../../components/error.ts";
import { HealthCheckRequest, HealthCheckResponse, HealthService } from "../../proto/gen/grpc/health/v1/health.ts";
import { createLog } from "../telemetry/log.ts";
import { inProcessCaller } from "./in-process.ts";
import { reflectionServices } from "./reflection.ts";
import { defineService } from "./service.ts";

const call: CallContext = {
  signal: new AbortController().signal,
  peer: { address: "plugin:test" },
  appId: "app",
  log: createLog({ level: "silent" }),
};
const served: string[] = [];
const health = defineService(HealthService, {
  async check({ service }) {
    served.push(service);
    return { status: 1 };
  },
});
const caller = inProcessCaller([health, ...reflectionServices([])]);
const check = "/grpc.health.v1.Health/Check";
const request = (service: string): Uint8Array => HealthCheckRequest.encode({ service }).finish();
const allow = (): void => undefined;

describe("a call within the process", () => {
  it("takes and gives encoded messages, also from the middle of a larger buffer", async () => {
    const bytes = Buffer.concat([Buffer.from("guest memory"), request("orders"), Buffer.from("more of it")]);
    const message = new Uint8Array(bytes.buffer, bytes.byteOffset + 12, request("orders").length);
    assert.deepEqual(HealthCheckResponse.decode(await caller.call(check, message, call, allow)), { status: 1 });
    assert.equal(served.at(-1), "orders");
  });

  it("is refused before the handler sees it", async () => {
    const before = served.length;
    const refuse = (method: string, message: unknown): void => {
      assert.deepEqual([method, message], [check, { service: "orders" }]);
      throw new RuntimeError("PERMISSION_DENIED", "REFUSED", "no");
    };
    await assert.rejects(caller.call(check, request("orders"), call, refuse), { code: "PERMISSION_DENIED" });
    await assert.rejects(caller.call(check, new Uint8Array([255]), call, allow), { code: "INVALID_ARGUMENT" });
    await assert.rejects(caller.call(check, request(""), { ...call, signal: AbortSignal.abort() }, allow));
    assert.equal(served.length, before);
  });

  it("says of a method why it cannot be called", async () => {
    const why = async (method: string): Promise<string> =>
      caller.call(method, new Uint8Array(), call, allow).then(
        () => assert.fail("it was called"),
        ({ code, message }: RuntimeError) => `${code}: ${message}`,
      );
    assert.match(await why("/a.B/C"), /^UNIMPLEMENTED: .*does not exist/);
    assert.match(await why("/grpc.health.v1.Health/Watch"), /^UNIMPLEMENTED: .*is not built yet/);
    assert.match(
      await why("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
      /^UNIMPLEMENTED: .*streams, which plugins cannot do/,
    );
    assert.deepEqual([caller.has(check), caller.has("/a.B/C")], [true, false]);
  });
});
