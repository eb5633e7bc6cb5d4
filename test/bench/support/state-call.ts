/** The call that the benchmarks make: GetState of one key with a value of 256 bytes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  GetStateRequest,
  GetStateResponse,
  SaveStateRequest,
} from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import { lengthPrefixed, openProbe } from "./grpc-probe.ts";
import { drive, grpcHeaders } from "./h2load.ts";

/** The name of the state store, and of the key in it. */
export const storeName = "bench";
const key = "bench";
export const value = new Uint8Array(256).fill("v".charCodeAt(0));

export const getStatePath = "/spec.proto.runtime.v1.Runtime/GetState";
export const getStateMessage: Uint8Array = GetStateRequest.encode(
  GetStateRequest.fromPartial({ storeName, key }),
).finish();

/** Writes the value through the API, for servers that do not have it from the start. */
export async function seedState(address: string): Promise<void> {
  const message = SaveStateRequest.encode(
    SaveStateRequest.fromPartial({ storeName, states: [{ key, value }] }),
  ).finish();
  using probe = await openProbe({ address, path: "/spec.proto.runtime.v1.Runtime/SaveState", message });
  await probe.call();
}

/** Makes the call once and checks the answer, so that nothing is measured that answers something else. */
export async function checkState(address: string): Promise<void> {
  using probe = await openProbe({ address, path: getStatePath, message: getStateMessage });
  const { data } = GetStateResponse.decode(await probe.call());
  if (!Buffer.from(data).equals(value)) throw new Error(`${address} answers GetState with ${data.length} other bytes`);
}

/** GetState as load for h2load. */
export interface StateLoad extends Disposable {
  /** Makes the calls one at a time on one connection; resolves to the microseconds of each. */
  latencies(address: string, calls: number): Promise<number[]>;
  drive(address: string, shape: Shape): Promise<void>;
}

interface Shape {
  readonly connections: number;
  readonly streams: number;
  readonly requests: number;
}

export function stateLoad(): StateLoad {
  const directory = mkdtempSync(join(tmpdir(), "outrigger-bench-"));
  const bodyFile = join(directory, "get-state");
  writeFileSync(bodyFile, lengthPrefixed(getStateMessage));
  const logFile = join(directory, "log");
  const load = async (address: string, shape: Shape, more: { logFile?: string } = {}): Promise<void> => {
    const url = `http://${address}${getStatePath}`;
    const { bodyBytes } = await drive({ url, headers: grpcHeaders, bodyFile, ...shape, ...more });
    const least = shape.requests * value.length;
    if (bodyBytes < least) throw new Error(`${address} answered ${bodyBytes} bytes where ${least} were due`);
  };
  return {
    drive: load,
    async latencies(address, calls) {
      rmSync(logFile, { force: true });
      await load(address, { connections: 1, streams: 1, requests: calls }, { logFile });
      const lines = readFileSync(logFile, "utf8").trimEnd().split("\n");
      if (lines.length !== calls) throw new Error(`h2load wrote ${lines.length} lines for ${calls} calls`);
      return lines.map((line) => Number(line.split("\t")[2]));
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
