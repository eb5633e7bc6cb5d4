import assert from "node:assert/strict";
import { it } from "node:test";
import asc from "assemblyscript/asc";
import { type Guest, startGuest, TestFields, TestStream } from "../../support/proxy-wasm-host.ts";

/** A filter as its compiler makes it: with a start function, a garbage collector, and imports of its own. */
const source = `
@external("env", "proxy_get_header_map_value")
declare function getHeader(map: u32, key: usize, keySize: usize, data: usize, size: usize): u32;
@external("env", "proxy_add_header_map_value")
declare function addHeader(map: u32, key: usize, keySize: usize, value: usize, valueSize: usize): u32;

const seen = new Map<string, i32>();
const data = memory.data(8);

export function proxy_abi_version_0_2_1(): void {}

export function malloc(size: usize): usize {
  const memory = new ArrayBuffer(<i32>size);
  return __pin(changetype<usize>(memory));
}

function header(name: string): string {
  const key = String.UTF8.encode(name);
  if (getHeader(0, changetype<usize>(key), key.byteLength, data, data + 4) != 0) return "";
  const pointer = load<usize>(data);
  const text = String.UTF8.decodeUnsafe(pointer, load<usize>(data + 4));
  if (pointer != 0) __unpin(pointer);
  return text;
}

export function proxy_on_request_headers(id: u32, count: u32, end: u32): u32 {
  const user = header("x-user");
  if (user == "") throw new Error("nobody asked");
  if (Math.random() < 0) trace("never");
  seen.set(user, seen.has(user) ? seen.get(user) + 1 : 1);
  const name = String.UTF8.encode("x-seen");
  const value = String.UTF8.encode(user + " " + seen.get(user).toString());
  addHeader(0, changetype<usize>(name), name.byteLength, changetype<usize>(value), value.byteLength);
  return 0;
}
`;

async function compile(): Promise<Uint8Array<ArrayBuffer>> {
  let wasm: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main(["plugin.ts", "-o", "plugin.wasm", "--exportRuntime", "-O"], {
    readFile: (name) => (name === "plugin.ts" ? source : null),
    writeFile: (_name, contents) => {
      wasm = Uint8Array.from(Buffer.from(contents));
    },
    listFiles: () => null,
  });
  assert.ifError(error);
  return wasm ?? assert.fail(stderr.toString());
}

function show(guest: Guest, user: string): TestStream {
  const stream = new TestStream();
  stream.maps["request-headers"] = new TestFields(user === "" ? [] : [["x-user", user]]);
  guest.instance.open(stream).requestHeaders(true);
  return stream;
}

it("runs a filter made by the AssemblyScript compiler", async () => {
  await using guest = await startGuest(await compile());
  for (let round = 1; round <= 200; round++)
    assert.equal(show(guest, "ada").maps["request-headers"]?.get("x-seen"), `ada ${round}`);
  assert.equal(show(guest, "bob").maps["request-headers"]?.get("x-seen"), "bob 1");
  const failed = show(guest, "");
  assert.deepEqual(failed.events, ["failed trap"]);
  assert.match(String(failed.error?.message), /it aborted at plugin\.ts:\d+:\d+: nobody asked$/);
});
