import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { describe, it } from "node:test";
import { deflateSync, inflateSync } from "node:zlib";
import { bytesField, readMessage, textField, writeMessage } from "../../../runtime/proxy-wasm/protobuf.ts";
import { drop, out, outside, type PlaceText, say, tell } from "../../support/proxy-wasm-guest.ts";
import { grpcReply, type StartOptions, startText, TestServices, TestStream } from "../../support/proxy-wasm-host.ts";

type Build = (text: PlaceText) => string[];
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const call = (name: string, argument: string, results = out): string =>
  say(`(call $proxy_call_foreign_function ${name} ${argument} ${results})`);
/** Copies what the call gave into a property of the stream, whose bytes the test can read. */
const keep = (name: string): string =>
  drop(`(call $proxy_set_property ${name} (i32.load (i32.const 0)) (i32.load (i32.const 4)))`);

/** Runs the calls in a stream's first callback. */
async function run(build: Build, options: StartOptions = {}) {
  const services = options.services ?? new TestServices();
  const stream = new TestStream();
  await using guest = await startText(
    (text) => ({ on: { proxy_on_request_headers: `${build(text).join("\n")} (i32.const 0)` } }),
    { fuelPerCall: 50_000_000, ...options, services },
  );
  const filter = guest.instance.open(stream);
  if (filter.requestHeaders(true) === "suspended") await stream.saw("settle");
  const kept = (name: string): Uint8Array => {
    const value = stream.properties.get(name);
    return value instanceof Uint8Array ? value : assert.fail(`'${name}' was kept`);
  };
  return { lines: services.lines, lost: guest.lost, stream, kept };
}

describe("proxy_call_foreign_function", () => {
  it("knows no other names, and says so", async () => {
    const { lines } = await run((text) => [
      call(text("no_such"), text("")),
      call(text(""), text("")),
      drop("(call $proxy_get_status (i32.const 8) (i32.const 0) (i32.const 4))"),
      tell,
    ]);
    assert.deepEqual(lines, ["1", "1", "there is no foreign function ''"]);
  });

  it("checks its pointers, and needs none for what is not wanted", async () => {
    const { lines } = await run((text) => [
      call(`${outside} (i32.const 1)`, text("x")),
      call(text("compress"), `${outside} (i32.const 1)`),
      call(text("compress"), text("x"), `${outside} (i32.const 4)`),
      call(text("compress"), text("x"), `(i32.const 4) ${outside}`),
      call(text("compress"), text("x"), "(i32.const 0) (i32.const 0)"),
      call(text("compress"), text("x"), "(i32.const 4) (i32.const 0)"),
      call(text("compress"), text("x"), `${outside} (i32.const 0)`),
    ]);
    assert.deepEqual(lines, ["6", "6", "6", "6", "0", "0", "6"]);
  });

  it("gives a guest that suspends the methods of the runtime, and the same functions", async () => {
    const services = new TestServices();
    services.methods.set("/pkg.Store/Get", async () => grpcReply({ text: "stored" }));
    const { lines } = await run(
      (text) => [
        call(text("/pkg.Store/Get"), text("")),
        tell,
        call(text("compress"), text("aaaa")),
        keep(text("zipped")),
        call(text("uncompress"), text("what")),
      ],
      { services, suspends: true },
    );
    assert.deepEqual(lines, ["0", "stored", "0", "3"]);
  });
});

describe("compress and uncompress", () => {
  const plain = "to be or not to be, ".repeat(50);

  it("speak zlib's format", async () => {
    const { lines, kept } = await run((text) => [
      call(text("compress"), text(plain)),
      keep(text("zipped")),
      call(text("uncompress"), text(latin1(deflateSync(plain)))),
      keep(text("plain")),
      call(text("uncompress"), text(latin1(deflateSync("")))),
      say("(i32.load (i32.const 4))"),
    ]);
    assert.deepEqual(lines, ["0", "0", "0", "0"]);
    assert.equal(latin1(inflateSync(kept("zipped"))), plain);
    assert.equal(latin1(kept("plain")), plain.slice(0, 1000));
  });

  it("answer SERIALIZATION_FAILURE to what is not of it", async () => {
    const { lines, lost } = await run((text) => [
      call(text("uncompress"), text("nonsense")),
      call(text("uncompress"), text("")),
      call(text("uncompress"), text(latin1(deflateSync(plain).subarray(0, 20)))),
    ]);
    assert.deepEqual([lines, lost], [["3", "3", "3"], []]);
  });

  it("stop at the limit of their output", async () => {
    const bomb = latin1(deflateSync(Buffer.alloc(17 * 1024 ** 2)));
    const { lines, lost } = await run((text) => [call(text("uncompress"), text(bomb))], { fuelPerCall: 500_000_000 });
    assert.deepEqual([lines, lost], [["10"], []]);
  });

  it("cost a guest that asks for too much its fuel", async () => {
    const bomb = latin1(deflateSync(Buffer.alloc(8 * 1024 ** 2)));
    const { lines, lost } = await run((text) => [call(text("uncompress"), text(bomb))], { fuelPerCall: 2_000_000 });
    assert.deepEqual(lines, []);
    assert.equal(lost[0]?.fault, "fuel");
  });
});

describe("compress and uncompress, however little they are given,", () => {
  /** How often the guest gets to call before its fuel is used up. */
  const callsOf = async (name: string, argument: string): Promise<number> => {
    await using guest = await startText(
      (text) => ({
        fields: "(global $calls (mut i32) (i32.const 0))",
        on: {
          proxy_on_request_headers: `(loop $more
            (call $say (global.get $calls))
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            ${drop(`(call $proxy_call_foreign_function ${text(name)} ${text(argument)} (i32.const 0) (i32.const 0))`)}
            (br $more)) (i32.const 0)`,
        },
      }),
      { fuelPerCall: 5_000_000 },
    );
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.equal(guest.lost[0]?.fault, "fuel");
    return guest.services.lines.length;
  };

  it("cost what they take of zlib", async () => {
    assert.ok((await callsOf("compress", "x")) <= 50);
    assert.ok((await callsOf("uncompress", latin1(deflateSync("x")))) <= 50);
  });

  it("cost more when they fail", async () => {
    assert.ok((await callsOf("uncompress", "no")) <= 15);
  });
});

describe("verify_signature and sign", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const curve = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const edwards = generateKeyPairSync("ed25519");
  const message = Buffer.from("what was signed");
  const spki = (key: KeyObject): Buffer => key.export({ format: "der", type: "spki" });
  const pkcs8 = (key: KeyObject): Buffer => key.export({ format: "der", type: "pkcs8" });
  const resultOf = (bytes: Uint8Array, errorField: number) => {
    const fields = readMessage(bytes) ?? assert.fail("a message came");
    return {
      isGood: fields.some(({ number, value }) => number === 1 && value === 1),
      error: textField(fields, errorField),
      signature: bytesField(fields, 2),
    };
  };

  it("agree with the signatures of others, by keys in both forms", async () => {
    const verifying = (hash: string, key: readonly [2 | 5, Buffer | string], signature: Uint8Array): string =>
      latin1(writeMessage([[1, hash], key, [3, signature], [4, message]]));
    const { lines, kept } = await run((text) => [
      call(
        text("verify_signature"),
        text(verifying("sha256", [2, spki(rsa.publicKey)], sign("sha256", message, rsa.privateKey))),
      ),
      keep(text("rsa")),
      call(
        text("verify_signature"),
        text(
          verifying(
            "SHA384",
            [5, curve.publicKey.export({ format: "pem", type: "spki" }).toString()],
            sign("sha384", message, curve.privateKey),
          ),
        ),
      ),
      keep(text("curve")),
      call(text("verify_signature"), text(verifying("sha256", [2, spki(rsa.publicKey)], Buffer.from("forged")))),
      keep(text("forged")),
      call(text("verify_signature"), text(verifying("md5", [2, spki(rsa.publicKey)], Buffer.from("x")))),
      keep(text("hash")),
    ]);
    assert.deepEqual(lines, ["0", "0", "0", "0"]);
    assert.equal(resultOf(kept("rsa"), 2).isGood, true);
    assert.equal(resultOf(kept("curve"), 2).isGood, true);
    assert.deepEqual(
      [resultOf(kept("forged"), 2).isGood, resultOf(kept("forged"), 2).error],
      [false, "the signature is not that of the key"],
    );
    assert.deepEqual(
      [resultOf(kept("hash"), 2).isGood, resultOf(kept("hash"), 2).error],
      [false, "md5 is not supported."],
    );
  });

  it("sign what others verify", async () => {
    const signing = (hash: string, key: readonly [2 | 4, Buffer | string]): string =>
      latin1(writeMessage([[1, hash], key, [3, message]]));
    const { lines, kept } = await run((text) => [
      call(text("sign"), text(signing("sha256", [2, pkcs8(rsa.privateKey)]))),
      keep(text("rsa")),
      call(
        text("sign"),
        text(signing("sha512", [4, curve.privateKey.export({ format: "pem", type: "pkcs8" }).toString()])),
      ),
      keep(text("curve")),
      call(text("sign"), text(signing("crc", [2, pkcs8(rsa.privateKey)]))),
      keep(text("hash")),
    ]);
    assert.deepEqual(lines, ["0", "0", "0"]);
    assert.ok(verify("sha256", message, rsa.publicKey, resultOf(kept("rsa"), 3).signature));
    assert.ok(verify("sha512", message, curve.publicKey, resultOf(kept("curve"), 3).signature));
    assert.deepEqual(
      [resultOf(kept("hash"), 3).isGood, resultOf(kept("hash"), 3).error],
      [false, "crc is not supported."],
    );
  });

  it("cost fuel by the curve of the key, and answer BAD_ARGUMENT to those that nobody should use", async () => {
    const verifying = (namedCurve: string) => {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve });
      const signature = sign("sha256", message, privateKey);
      return latin1(
        writeMessage([
          [1, "sha256"],
          [2, spki(publicKey)],
          [3, signature],
          [4, message],
        ]),
      );
    };
    const once = (namedCurve: string, fuelPerCall: number) =>
      run((text) => [call(text("verify_signature"), text(verifying(namedCurve)))], { fuelPerCall });
    for (const curve of ["P-224", "P-256", "secp256k1", "P-384"])
      assert.deepEqual((await once(curve, 2_000_000)).lines, ["0"], curve);
    assert.equal((await once("P-521", 2_000_000)).lost[0]?.fault, "fuel");
    assert.deepEqual((await once("P-521", 4_000_000)).lines, ["0"]);
    assert.deepEqual((await once("sect571r1", 4_000_000)).lines, ["2"]);
  });

  it("answer BAD_ARGUMENT to what is no message, and to no key, two keys and keys of other kinds", async () => {
    const edwardsKey = latin1(writeMessage([[2, spki(edwards.publicKey)]]));
    const large = generateKeyPairSync("rsa", { modulusLength: 4104 });
    const { lines, lost } = await run((text) => [
      call(text("verify_signature"), text("\xff")),
      call(text("verify_signature"), text("")),
      call(text("verify_signature"), text(latin1(writeMessage([[2, "no key"]])))),
      call(text("verify_signature"), text(edwardsKey)),
      call(
        text("verify_signature"),
        text(
          latin1(
            writeMessage([
              [2, spki(rsa.publicKey)],
              [5, "x"],
            ]),
          ),
        ),
      ),
      call(text("sign"), text("\xff")),
      call(text("sign"), text("")),
      call(text("sign"), text(latin1(writeMessage([[2, spki(rsa.publicKey)]])))),
      call(text("sign"), text(latin1(writeMessage([[2, pkcs8(large.privateKey)]])))),
    ]);
    assert.deepEqual([lines, lost], [["2", "2", "2", "2", "2", "2", "2", "2", "2"], []]);
  });
});

describe("clear_route_cache", () => {
  it("clears the route of the stream, and does nothing without one", async () => {
    const { lines, stream } = await run((text) => [
      call(text("clear_route_cache"), text("")),
      say("(i32.load (i32.const 4))"),
    ]);
    assert.deepEqual(lines, ["0", "0"]);
    assert.equal(stream.events[0], "clear route");
    await using guest = await startText((text) => ({
      on: { proxy_on_vm_start: `${call(text("clear_route_cache"), text(""))} (i32.const 1)` },
    }));
    assert.deepEqual(guest.services.lines, ["0"]);
  });
});

describe("set_envoy_filter_state", () => {
  it("keeps a value that is read as filter_state", async () => {
    const argument = latin1(
      writeMessage([
        [1, "envoy.tcp_proxy.cluster"],
        [2, "blue"],
      ]),
    );
    const { lines } = await run((text) => [
      call(text("set_envoy_filter_state"), text(argument)),
      say(`(call $proxy_get_property ${text("filter_state\0envoy.tcp_proxy.cluster")} ${out})`),
      tell,
    ]);
    assert.deepEqual(lines, ["0", "0", "blue"]);
  });

  it("answers BAD_ARGUMENT, INTERNAL_FAILURE when the stream has no room, and NOT_FOUND without one", async () => {
    const { lines } = await run((text) => [
      call(text("set_envoy_filter_state"), text("\x0a\x7f")),
      call(text("set_envoy_filter_state"), text("")),
      call(
        text("set_envoy_filter_state"),
        text(
          latin1(
            writeMessage([
              [1, "a"],
              [2, "x".repeat(1001)],
            ]),
          ),
        ),
      ),
    ]);
    assert.deepEqual(lines, ["2", "2", "10"]);
    await using guest = await startText((text) => ({
      on: {
        proxy_on_vm_start: `${call(text("set_envoy_filter_state"), text(latin1(writeMessage([[1, "a"]]))))} (i32.const 1)`,
      },
    }));
    assert.deepEqual(guest.services.lines, ["1"]);
  });
});

describe("declare_property", () => {
  it("lets a stream have a read-only property set once", async () => {
    const declared = (name: string, isReadOnly: boolean): string =>
      latin1(
        writeMessage([
          [1, name],
          [2, isReadOnly],
        ]),
      );
    const { lines } = await run((text) => [
      call(text("declare_property"), text(declared("once", true))),
      call(text("declare_property"), text(declared("often", false))),
      call(text("declare_property"), text(declared("once", false))),
      ...["once", "once", "often", "often", "other", "other"].map((name) =>
        say(`(call $proxy_set_property ${text(name)} ${text("v")})`),
      ),
    ]);
    assert.deepEqual(lines, ["0", "0", "2", "0", "2", "0", "0", "0", "0"]);
  });

  it("answers BAD_ARGUMENT, and INTERNAL_FAILURE when there are too many", async () => {
    const { lines } = await run((text) => [
      call(text("declare_property"), text("")),
      call(text("declare_property"), text("\xff\xff")),
    ]);
    assert.deepEqual(lines, ["2", "2"]);
    await using guest = await startText((text) => ({
      fields: `(func $next (param $argument i32) (result i32)
        (i32.store8 (i32.const 1026) (i32.add (i32.const 33) (i32.rem_u (local.get $argument) (i32.const 64))))
        (i32.store8 (i32.const 1027) (i32.add (i32.const 33) (i32.div_u (local.get $argument) (i32.const 64))))
        (call $proxy_call_foreign_function (i32.const 1040) (i32.const 16) (i32.const 1024) (i32.const 4) (i32.const 0) (i32.const 0)))`,
      on: {
        proxy_on_vm_start: `(local $n i32) (local $status i32)
          ${drop(text("\x0a\x02..............").replace(/\(i32.const (\d+)\) .*/, "(i32.const $1)"))}
          ${drop(text("declare_property").replace(/\(i32.const (\d+)\) .*/, "(i32.const $1)"))}
          (loop $more
            (local.set $status (call $next (local.get $n)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $more (i32.eqz (local.get $status))))
          ${say("(local.get $n)")} ${say("(local.get $status)")} (i32.const 1)`,
      },
    }));
    assert.deepEqual(guest.services.lines, ["1001", "10"]);
  });
});
