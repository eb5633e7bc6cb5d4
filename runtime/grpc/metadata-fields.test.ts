import assert from "node:assert/strict";
import { test } from "node:test";
import { appendMetadata, metadataIn, type Pairs } from "./metadata-fields.ts";

const fieldsOf = (pairs: Pairs): string[] => {
  const flat: string[] = [];
  appendMetadata(flat, pairs);
  return flat;
};

test("metadata becomes fields in lower case, without blanks around values, and comes back as it was", () => {
  const fields = fieldsOf([
    ["X-Tenant", " a b "],
    ["x-key-bin", "AQI"],
    ["x-empty", ""],
  ]);
  assert.deepEqual(fields, ["x-tenant", "a b", "x-key-bin", "AQI=", "x-empty", ""]);
  assert.deepEqual(metadataIn(fields), [
    ["x-tenant", "a b"],
    ["x-key-bin", "AQI="],
    ["x-empty", ""],
  ]);
});

test("names that gRPC and HTTP/2 write themselves are left out", () => {
  const names = [":path", "grpc-status", "Grpc-Timeout", "content-type", "te", "Connection", "host", "content-length"];
  assert.deepEqual(fieldsOf(names.map((name) => [name, "x"])), []);
});

test("what cannot travel as metadata is refused", () => {
  for (const [name, value] of [
    ["", "v"],
    ["x name", "v"],
    ["x-name", "naïve"],
    ["x-name", "a\r\nb: c"],
    ["x-näme", "v"],
  ] as const) {
    assert.throws(() => fieldsOf([[name, value]]), { code: "INVALID_ARGUMENT", reason: "METADATA_INVALID" });
  }
});
