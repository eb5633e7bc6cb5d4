import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bytesText, durationText, openProgress } from "./progress.ts";

const clearLine = "\r\u001b[K";

function screen(columns = 80) {
  const drawn: string[] = [];
  const lines: string[] = [];
  const terminal = { columns, write: (text: string) => drawn.push(text) };
  return { drawn, lines, terminal, err: (line: string) => lines.push(line) };
}

describe("the progress of a command", () => {
  it("is a line for each step where there is no terminal", () => {
    const { lines, err } = screen();
    using progress = openProgress(undefined, err);
    progress.bytes("upload", 10, 100);
    progress.step("upload", 1234.5, "1.0 MiB");
    progress.now("waiting");
    progress.step("compile", 12.34);
    assert.deepEqual(lines, ["  upload      1.2 s  1.0 MiB", "  compile   12.3 ms"]);
  });

  it("is one line with a bar on a terminal, which is drawn anew and gives way to what stays", () => {
    const { drawn, lines, terminal, err } = screen();
    using progress = openProgress(terminal, err);
    progress.bytes("fetch", 0, 2 * 1024 ** 2);
    progress.bytes("fetch", 2 * 1024 ** 2, 2 * 1024 ** 2);
    assert.equal(drawn[0], `${clearLine}  fetch    [........................] 0 %  0 B of 2.0 MiB`);
    assert.match(drawn[1]?.slice(clearLine.length) ?? "", /^ {2}fetch {4}\[#{24}\] 100 % {2}2\.0 MiB of 2\.0 MiB/);
    progress.step("fetch", 3);
    assert.equal(drawn[2], clearLine);
    assert.deepEqual(lines, ["  fetch      3.0 ms"]);
    progress.bytes("upload", 1536, undefined);
    assert.equal(drawn[3], `${clearLine}  upload   1.5 KiB`);
  });

  it("is no wider than the terminal, and clears what it drew at the end", () => {
    const { drawn, terminal, err } = screen(20);
    const progress = openProgress(terminal, err);
    progress.now("x".repeat(30));
    assert.equal(drawn[0], `${clearLine}${"x".repeat(19)}`);
    progress[Symbol.dispose]();
    progress[Symbol.dispose]();
    assert.deepEqual(drawn.slice(1), [clearLine]);
  });

  it("lets nothing through that controls a terminal", () => {
    const { drawn, lines, terminal, err } = screen();
    using progress = openProgress(terminal, err);
    progress.now("a\u001b[2Jb");
    progress.say("c\u0007\u202ed");
    assert.deepEqual([drawn[0], lines[0]], [`${clearLine}a?[2Jb`, "c??d"]);
  });

  it("says sizes and times with their units", () => {
    assert.deepEqual([0, 1023, 1024, 5 * 1024 ** 2].map(bytesText), ["0 B", "1023 B", "1.0 KiB", "5.0 MiB"]);
    assert.deepEqual([0.25, 1_500, 200_000].map(durationText), ["0.3 ms", "1.5 s", "3 min 20 s"]);
  });
});
