import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { out, outside, say, tell } from "../../support/proxy-wasm-guest.ts";
import { startText, TestStream } from "../../support/proxy-wasm-host.ts";

/** Functions of WASI by their parameters. */
const functions: Readonly<Record<string, string>> = {
  fd_write: "i32 i32 i32 i32",
  fd_read: "i32 i32 i32 i32",
  fd_close: "i32",
  fd_seek: "i32 i64 i32 i32",
  fd_fdstat_get: "i32 i32",
  fd_fdstat_set_flags: "i32 i32",
  fd_filestat_get: "i32 i32",
  fd_prestat_get: "i32 i32",
  fd_prestat_dir_name: "i32 i32 i32",
  path_open: "i32 i32 i32 i32 i32 i64 i64 i32 i32",
  path_filestat_get: "i32 i32 i32 i32 i32",
  args_sizes_get: "i32 i32",
  args_get: "i32 i32",
  environ_sizes_get: "i32 i32",
  environ_get: "i32 i32",
  clock_res_get: "i32 i32",
  clock_time_get: "i32 i64 i32",
  random_get: "i32 i32",
  poll_oneoff: "i32 i32 i32 i32",
  sched_yield: "",
};

async function run(
  calls: readonly string[],
  fields = "",
  module = "wasi_snapshot_preview1",
  environment: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  const imports = Object.entries(functions).map(
    ([name, parameters]) => `(import "${module}" "${name}" (func $${name} (param ${parameters}) (result i32)))`,
  );
  const text = () => ({
    imports: imports.join("\n"),
    fields,
    on: { proxy_on_request_headers: `${calls.join("\n")} (i32.const 0)` },
  });
  await using guest = await startText(text, { environment });
  guest.instance.open(new TestStream()).requestHeaders(true);
  assert.deepEqual(guest.lost, []);
  return guest.services.lines;
}

describe("fd_write", () => {
  const vectors = `(data (i32.const 700) "\\20\\03\\00\\00\\03\\00\\00\\00\\30\\03\\00\\00\\04\\00\\00\\00")
    (data (i32.const 800) "hel") (data (i32.const 816) "lo\\0a\\0a")`;
  const write = (fd: number, at = 700, count = 2, written = "(i32.const 8)"): string =>
    say(`(call $fd_write (i32.const ${fd}) (i32.const ${at}) (i32.const ${count}) ${written})`);

  it("logs what is written to the output and the error output, without one line end", async () => {
    const lines = await run([write(1), say("(i32.load (i32.const 8))"), write(2)], vectors);
    assert.deepEqual(lines, ["hello\n", "0", "7", "error: hello\n", "0"]);
  });

  it("puts the pieces of a line together, up to its end or that of the callback", async () => {
    const pieces = `(data (i32.const 700) "\\20\\03\\00\\00\\03\\00\\00\\00\\30\\03\\00\\00\\05\\00\\00\\00")
      (data (i32.const 800) "pan") (data (i32.const 816) "ic: \\0a")`;
    const lines = await run([write(2, 700, 1), write(2, 708, 1), write(1, 700, 1), write(1, 700, 1)], pieces);
    assert.deepEqual(lines, ["0", "error: panic: ", "0", "0", "0", "panpan"]);
  });

  it("does not wait for the end of a line without end", async () => {
    const longest = 16_384;
    const vector = `(data (i32.const 700) "\\00\\10\\00\\00\\00\\30\\00\\00") (data (i32.const 4096) "${"a".repeat(12_288)}")`;
    const lines = await run([write(1, 700, 1), write(1, 700, 1), write(1, 700, 1)], vector);
    assert.deepEqual(lines, ["0", `${"a".repeat(longest)}…`, "0", "0", "a".repeat(12_288)]);
  });

  it("refuses other files, and vectors and bytes outside the memory", async () => {
    const lines = await run(
      [write(0), write(3), write(1, 0x7fff0000), write(1, 700, -1), write(1, 700, 2, outside), write(1, 704, 1)],
      `(data (i32.const 700) "\\00\\00\\00\\00\\03\\00\\00\\00\\00\\00\\00\\7f")`,
    );
    assert.deepEqual(lines, ["8", "8", "21", "21", "21", "21"]);
  });
});

describe("WASI", () => {
  it("has no arguments, no environment, no files", async () => {
    const lines = await run([
      say(`(call $args_sizes_get ${out})`),
      say("(i32.load (i32.const 0))"),
      say(`(call $environ_sizes_get ${out})`),
      say(`(call $args_get ${out})`),
      say(`(call $environ_get ${out})`),
      say("(call $fd_prestat_get (i32.const 3) (i32.const 0))"),
      say("(call $fd_prestat_dir_name (i32.const 3) (i32.const 0) (i32.const 0))"),
      say(`(call $path_open ${"(i32.const 0)".repeat(5)} (i64.const 0) (i64.const 0) ${out})`),
      say(`(call $path_filestat_get ${"(i32.const 0)".repeat(5)})`),
      say("(call $fd_filestat_get (i32.const 1) (i32.const 0))"),
      say(`(call $fd_read ${"(i32.const 0)".repeat(4)})`),
      say("(call $fd_seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 0))"),
      say("(call $fd_close (i32.const 1))"),
      say("(call $fd_fdstat_set_flags (i32.const 1) (i32.const 0))"),
      say(`(call $environ_sizes_get ${outside} (i32.const 0))`),
    ]);
    assert.deepEqual(lines, ["0", "0", "0", "0", "0", "8", "52", "44", "58", "8", "52", "0", "0", "52", "21"]);
  });

  it("gives the environment of the manifest", async () => {
    const shownAs = (at: number, size: number): string =>
      `(i32.store (i32.const 0) (i32.const ${at})) (i32.store (i32.const 4) (i32.const ${size})) ${tell}`;
    const calls = [
      say(`(call $environ_sizes_get ${out})`),
      say("(i32.load (i32.const 0))"),
      say("(i32.load (i32.const 4))"),
      say("(call $environ_get (i32.const 16) (i32.const 64))"),
      say("(i32.load (i32.const 16))"),
      say("(i32.load (i32.const 20))"),
      shownAs(64, 17),
      say(`(call $environ_get ${outside} (i32.const 64))`),
      say(`(call $environ_get (i32.const 16) ${outside})`),
      say("(call $environ_get (i32.const -4) (i32.const 64))"),
    ];
    const lines = await run(calls, "", "wasi_snapshot_preview1", { GOGC: "50", WHERE: "é" });
    assert.deepEqual(lines, ["0", "2", "17", "0", "64", "72", "GOGC=50\0WHERE=é\0", "21", "21", "21"]);
  });

  it("says that its outputs are terminals", async () => {
    const lines = await run([
      say("(call $fd_fdstat_get (i32.const 1) (i32.const 16))"),
      say("(i32.load8_u (i32.const 16))"),
      say("(i32.load (i32.const 24))"),
      say("(call $fd_fdstat_get (i32.const 3) (i32.const 16))"),
      say(`(call $fd_fdstat_get (i32.const 2) ${outside})`),
    ]);
    assert.deepEqual(lines, ["0", "2", "64", "8", "21"]);
  });

  it("has two clocks", async () => {
    const lines = await run([
      say("(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 16))"),
      say("(i64.gt_u (i64.load (i32.const 16)) (i64.const 1600000000000000000))"),
      say("(call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 16))"),
      say("(i64.ne (i64.load (i32.const 16)) (i64.const 0))"),
      say("(call $clock_time_get (i32.const 2) (i64.const 0) (i32.const 16))"),
      say(`(call $clock_time_get (i32.const 0) (i64.const 0) ${outside})`),
      say("(call $clock_res_get (i32.const 0) (i32.const 16))"),
      say("(i32.load (i32.const 16))"),
    ]);
    assert.deepEqual(lines, ["0", "1", "0", "1", "58", "21", "0", "1"]);
  });

  it("gives random bytes, not too many at once, and lets nobody sleep", async () => {
    const lines = await run([
      say("(call $random_get (i32.const 16) (i32.const 16))"),
      say("(i64.ne (i64.load (i32.const 16)) (i64.load (i32.const 24)))"),
      say("(call $random_get (i32.const 0) (i32.const 65537))"),
      say(`(call $random_get ${outside} (i32.const 1))`),
      say("(call $random_get (i32.const 0) (i32.const 0))"),
      "(i32.store (i32.const 16) (i32.const 5))",
      say("(call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16))"),
      say("(i32.load (i32.const 16))"),
      say("(call $sched_yield)"),
    ]);
    assert.deepEqual(lines, ["0", "1", "28", "21", "0", "0", "0", "0"]);
  });

  it("is known by its older name too", async () => {
    assert.deepEqual(await run([say("(call $sched_yield)")], "", "wasi_unstable"), ["0"]);
  });
});
