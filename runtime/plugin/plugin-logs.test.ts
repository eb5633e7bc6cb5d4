import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PluginLogs } from "./plugin-logs.ts";

const messagesOf = (lines: readonly { readonly message: string }[]): string[] => lines.map(({ message }) => message);

describe("the log of a plugin", () => {
  it("keeps the last lines, each no longer than allowed", () => {
    const logs = new PluginLogs({ lines: 3, length: 4, plugins: 10 });
    assert.deepEqual(logs.tail("orders", 5), []);
    for (const message of ["one", "two", "three", "four"]) logs.add("orders", "1.0.0", "info", message);
    assert.deepEqual(messagesOf(logs.tail("orders", 5)), ["two", "thre", "four"]);
    assert.deepEqual(messagesOf(logs.tail("orders", 1)), ["four"]);
  });

  it("forgets the plugin that logged first when there are too many", () => {
    const logs = new PluginLogs({ lines: 3, length: 10, plugins: 2 });
    for (const plugin of ["a", "b", "c"]) logs.add(plugin, "1.0.0", "info", plugin);
    assert.deepEqual(
      ["a", "b", "c"].map((plugin) => logs.tail(plugin, 1).length),
      [0, 1, 1],
    );
  });

  it("can be followed until nobody wants to, by a reader who is slow, too", async () => {
    const logs = new PluginLogs();
    const ended = new AbortController();
    logs.add("orders", "1.0.0", "info", "before");
    const lines = logs.follow("orders", 10, ended.signal);
    assert.equal((await lines.next()).value?.message, "before");
    const waiting = lines.next();
    logs.add("orders", "1.0.0", "info", "0");
    assert.equal((await waiting).value?.message, "0");
    for (let number = 1; number <= 5_000; number++) logs.add("orders", "1.0.0", "info", `${number}`);
    assert.equal((await lines.next()).value?.message, "1");
    ended.abort();
    let count = 1;
    for await (const _line of lines) count++;
    assert.ok(count <= 1_000, `${count} lines waited`);
  });
});
