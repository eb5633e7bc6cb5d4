/** What is taken from a guest by name: hostcalls, functions of WASI, callbacks. Envoy calls it capability restriction. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { supportedVersions } from "../../../runtime/proxy-wasm/abi.ts";
import { drop, hostcalls, outside, say } from "../../support/proxy-wasm-guest.ts";
import { startText, TestServices, TestStream } from "../../support/proxy-wasm-host.ts";
import { callbackSections, hostcallSections } from "./abi-list.ts";

const markerOf = (version: string): string => `proxy_abi_version_${version.replaceAll(".", "_")}`;
const heldTo = (...functions: string[]) => ({
  restrictions: [{ by: "allowedFunctions of its manifest", functions }],
});
const zeros = (count: number): string => "(i32.const 0)".repeat(count);
const answersOf = (lines: readonly string[]): string[] => lines.filter((line) => !line.startsWith("warn: "));
const warnings = (lines: readonly string[]): string[] => lines.filter((line) => line.startsWith("warn: "));

const wasiImport = (name: string, count: number): string =>
  `(import "wasi_snapshot_preview1" "${name}" (func $${name} ${"(param i32)".repeat(count)} (result i32)))
  (import "wasi_unstable" "${name}" (func $old_${name} ${"(param i32)".repeat(count)} (result i32)))`;

for (const version of supportedVersions)
  describe(`a guest of ABI ${version} that is held to some functions`, () => {
    const marker = markerOf(version);

    it("is answered INTERNAL_FAILURE by every other hostcall, and told so once for each", async () => {
      const names = Object.keys(hostcalls).filter((name) => name !== "proxy_log");
      const calls = names.map((name) => say(`(call $${name} ${zeros(hostcalls[name] ?? 0)})`));
      const wide = ["proxy_record_metric", "proxy_increment_metric"].map((name) =>
        say(`(call $${name} (i32.const 0) (i64.const 0))`),
      );
      const called = [...calls, ...wide];
      await using guest = await startText(
        () => ({ marker, on: { proxy_on_request_headers: `${called.join("\n")} ${called.join("\n")} (i32.const 0)` } }),
        { ...heldTo("proxy_log", "proxy_on_request_headers"), fuelPerCall: 5_000_000 },
      );
      guest.instance.open(new TestStream()).requestHeaders(true);
      assert.deepEqual(answersOf(guest.services.lines), Array(2 * called.length).fill("10"));
      assert.equal(warnings(guest.services.lines).length, called.length);
      assert.match(
        warnings(guest.services.lines).join("\n"),
        /^warn: proxy_http_call is not allowed to this plugin; it answers INTERNAL_FAILURE$/m,
      );
      assert.deepEqual(guest.lost, []);
    });

    it("reaches nothing by a hostcall that it may not call", async () => {
      await using guest = await startText(
        (text) => ({
          marker,
          on: {
            proxy_on_request_headers: `${drop(`(call $proxy_add_header_map_value (i32.const 0) ${text("x-a")} ${text("1")})`)}
              ${drop(`(call $proxy_replace_header_map_value (i32.const 0) ${text("x-b")} ${text("1")})`)} (i32.const 0)`,
          },
        }),
        heldTo("proxy_log", "proxy_on_request_headers", "proxy_replace_header_map_value"),
      );
      const stream = new TestStream();
      guest.instance.open(stream).requestHeaders(true);
      const fields = stream.maps["request-headers"];
      assert.deepEqual([fields?.get("x-a"), fields?.get("x-b")], [undefined, "1"]);
    });

    it("is answered ENOTCAPABLE by other functions of WASI, by both names of the module", async () => {
      const imports = `${wasiImport("random_get", 2)} ${wasiImport("fd_close", 1)}`;
      const calls = ["", "old_"].flatMap((old) => [
        say(`(call $${old}random_get ${outside} (i32.const 1))`),
        say(`(call $${old}fd_close (i32.const 1))`),
      ]);
      await using guest = await startText(
        () => ({ marker, imports, on: { proxy_on_request_headers: `${calls.join("\n")} (i32.const 0)` } }),
        heldTo("proxy_log", "proxy_on_request_headers", "fd_close"),
      );
      guest.instance.open(new TestStream()).requestHeaders(true);
      assert.deepEqual(answersOf(guest.services.lines), ["76", "0", "76", "0"]);
      assert.deepEqual(warnings(guest.services.lines), [
        "warn: random_get is not allowed to this plugin; it answers ENOTCAPABLE",
      ]);
    });

    it("has no other callback called, and counts as done where it would have answered", async () => {
      const trapping = ["vm_start", "configure", "request_body", "request_trailers", "done", "log", "delete"];
      const on = Object.fromEntries(trapping.map((name) => [`proxy_on_${name}`, "unreachable"]));
      await using guest = await startText(
        () => ({
          marker,
          on: {
            ...on,
            proxy_on_context_create: "unreachable",
            proxy_on_request_headers: `${say("(i32.const 7)")} (i32.const 0)`,
          },
        }),
        heldTo("proxy_log", "proxy_on_request_headers"),
      );
      const filter = guest.instance.open(new TestStream());
      const answers = [filter.requestHeaders(false), filter.requestBody(false), filter.requestTrailers()];
      filter.end();
      await guest.instance.drain();
      assert.deepEqual([answers, guest.services.lines, guest.lost], [Array(3).fill("continue"), ["7"], []]);
    });

    it("is initialized, and gives memory, all the same", async () => {
      await using guest = await startText(
        (text) => ({
          marker,
          on: {
            _initialize: say("(i32.const 1)"),
            main: `${say("(i32.const 2)")} (i32.const 0)`,
            proxy_on_request_headers: `${say(`(call $proxy_get_header_map_value (i32.const 0) ${text(":method")} (i32.const 0) (i32.const 4))`)}
              (call $tell) (i32.const 0)`,
          },
        }),
        heldTo("proxy_log", "proxy_on_request_headers", "proxy_get_header_map_value"),
      );
      guest.instance.open(new TestStream()).requestHeaders(true);
      assert.deepEqual(guest.services.lines, ["1", "2", "0", "GET"]);
    });
  });

describe("the functions that a guest is held to", () => {
  const on = { proxy_on_request_headers: `${say("(i32.const 7)")} (i32.const 0)` };

  it("are those that stand in every list", async () => {
    const lists = [["proxy_log", "proxy_on_request_headers"], ["proxy_on_request_headers"]];
    const restrictions = lists.map((functions) => ({ by: "a list", functions }));
    await using guest = await startText(() => ({ on }), { restrictions });
    guest.instance.open(new TestStream()).requestHeaders(true);
    const told = "warn: proxy_log is not allowed to this plugin; it answers INTERNAL_FAILURE";
    assert.deepEqual(guest.services.lines, [told]);
  });

  it("are none by an empty list", async () => {
    await using guest = await startText(() => ({ on }), heldTo());
    assert.equal(guest.instance.open(new TestStream()).requestHeaders(true), "continue");
    assert.deepEqual(guest.services.lines, []);
  });

  it("may be any of the ABI, and those that this host never calls", async () => {
    const sections = [...callbackSections, ...hostcallSections];
    const names = sections.flatMap(({ functions }) => functions.map(({ name }) => name.replace(/^wasi_\w+\./, "")));
    const ours = names.filter((name) => name !== "malloc");
    await using guest = await startText(
      () => ({ on }),
      heldTo(...ours, "proxy_on_foreign_function", "proxy_validate_configuration", "proxy_on_request_metadata"),
    );
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.deepEqual(guest.services.lines, ["7"]);
  });

  it("must exist", async () => {
    const refused = (...functions: string[]) => startText(() => ({ on }), heldTo("proxy_log", ...functions));
    await assert.rejects(refused("proxy_on_request_header"), {
      fault: "refused",
      message:
        "plugin 'guest' 1.0.0 cannot run: 'proxy_on_request_header' in allowedFunctions of its manifest is no function of Proxy-Wasm or of WASI that this host knows; did you mean 'proxy_on_request_headers'?",
    });
    await assert.rejects(refused("everything"), /'everything' in .* knows; docs\/reference\/proxy-wasm\.md lists all$/);
  });

  it("do not turn what compilers import into failures", async () => {
    const services = new TestServices();
    const imports = `(import "env" "pthread_equal" (func $pthread_equal (param i32 i32) (result i32)))`;
    const call = say("(call $pthread_equal (i32.const 3) (i32.const 3))");
    await using guest = await startText(
      () => ({ imports, on: { proxy_on_request_headers: `${call} (i32.const 0)` } }),
      { ...heldTo("proxy_log", "proxy_on_request_headers"), services },
    );
    guest.instance.open(new TestStream()).requestHeaders(true);
    assert.deepEqual(services.lines, ["1"]);
  });
});
