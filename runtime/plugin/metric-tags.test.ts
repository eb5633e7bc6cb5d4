import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type MetricTag, MetricTagger } from "./metric-tags.ts";

const tagged = (name: string, tags: readonly MetricTag[] = []) => new MetricTagger(tags, assert.fail).of(name);

describe("the tags of a metric's name", () => {
  it("are taken out of it, the second group as the value", () => {
    assert.deepEqual(tagged("requests_host=shop_total", [{ tag: "host", regex: "(_host=([a-z]+))" }]), {
      name: "requests_total",
      labels: { host: "shop" },
    });
  });

  it("are the group itself when there is only one", () => {
    assert.deepEqual(tagged("http.5xx", [{ tag: "class", regex: "(\\dxx)$" }]), {
      name: "http.",
      labels: { class: "5xx" },
    });
  });

  it("may be looked for behind the namespace that Envoy puts before the name", () => {
    const tags = [{ tag: "tenant", regex: "^wasmcustom\\.(([a-z]+)\\.)" }];
    assert.deepEqual(tagged("acme.requests", tags), { name: "requests", labels: { tenant: "acme" } });
    assert.deepEqual(tagged("wasmcustom.acme.requests", tags), {
      name: "wasmcustom.requests",
      labels: { tenant: "acme" },
    });
  });

  it("are all looked for in the whole name, and the first of a kind counts", () => {
    const tags = [
      { tag: "a", regex: "(x=(\\d)y=\\d)" },
      { tag: "b", regex: "(y=(\\d))" },
      { tag: "a", regex: "(z=(\\d))" },
    ];
    assert.deepEqual(tagged("m_x=1y=2z=3", tags), { name: "m_", labels: { a: "1", b: "2" } });
  });

  it("leave a name alone that has none, and one of which nothing would be left", () => {
    assert.deepEqual(tagged("plain", [{ tag: "a", regex: "(b)" }]), { name: "plain", labels: {} });
    assert.deepEqual(tagged("plain", [{ tag: "a", regex: "(plain)" }]), { name: "plain", labels: { a: "plain" } });
  });

  it("become labels that Prometheus takes and nobody else has", () => {
    const tags = ["plugin", "__name__", "cluster.name"].map((tag, at) => ({ tag, regex: `(<${at}>)` }));
    assert.deepEqual(tagged("m<0><1><2>", tags).labels, {
      cluster_name: "<2>",
      exported___name__: "<1>",
      exported_plugin: "<0>",
    });
  });

  it("are given up when their regular expression takes too long, and the others go on", () => {
    const slow: string[] = [];
    const tags = [
      { tag: "bomb", regex: "((a+)+)$" },
      { tag: "fine", regex: "(!(\\d))" },
    ];
    const tagger = new MetricTagger(tags, (tag) => slow.push(tag));
    const bait = `${"a".repeat(200)}!1`;
    // A search counts only when the processor worked on it: a busy machine takes more of them.
    for (let searches = 0; slow.length === 0 && searches < 1_000; searches++)
      assert.deepEqual(tagger.of(bait).labels, { fine: "1" });
    assert.deepEqual(slow, ["bomb"]);
    assert.deepEqual(tagger.of(bait).labels, { fine: "1" });
    assert.deepEqual(slow, ["bomb"]);
  });

  it("are looked for again when the search was ended though the processor had done nothing", () => {
    // As if the machine had given its time to others.
    const tagger = new MetricTagger(
      [
        { tag: "late", regex: "((a+)+)$" },
        { tag: "fine", regex: "(!(\\d))" },
      ],
      assert.fail,
      () => 0,
    );
    for (let times = 0; times < 3; times += 1) {
      assert.deepEqual(tagger.of(`${"a".repeat(200)}!1`).labels, { fine: "1" });
      assert.deepEqual(tagger.of("!2_aaa").labels, { fine: "2", late: "aaa" });
    }
  });

  it("are given up when they take a little too long for many names", () => {
    let now = 0;
    const slow: string[] = [];
    const tagger = new MetricTagger(
      [{ tag: "a", regex: "(a)" }],
      (tag) => slow.push(tag),
      () => (now += 10),
    );
    const labels = Array.from({ length: 5 }, () => tagger.of("a_b").labels);
    assert.deepEqual(labels, [...Array.from({ length: 4 }, () => ({ a: "a" })), {}]);
    assert.deepEqual(slow, ["a"]);
  });

  it("cost fuel by how many they are and how long the name is", () => {
    const tagger = (count: number) =>
      new MetricTagger(
        Array.from({ length: count }, (_, at) => ({ tag: `t${at}`, regex: "(a)" })),
        assert.fail,
      );
    assert.equal(tagger(0).costOf("name"), 0);
    assert.ok(tagger(20).costOf("name") > tagger(1).costOf("name"));
    assert.ok(tagger(20).costOf("n".repeat(200)) > tagger(20).costOf("name"));
  });
});
