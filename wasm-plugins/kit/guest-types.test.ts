import assert from "node:assert/strict";
import { test } from "node:test";
import { forQuickJs } from "./guest-types.ts";

test("declarations say what QuickJS has: numbers for bigint, null for an option that is none", () => {
  const written = `  /**
   * A bigint? No: text | undefined.
   */
  export function get(store: string, cursor: string | undefined): Entry | undefined;
  export function many(keys: Array<string | undefined>): Array<Entry | undefined>;
  export function increment(delta: bigint): bigint;
    ttlSeconds?: number,
    cursor?: string
    nested: Array<string | undefined>,`;
  assert.equal(
    forQuickJs(written),
    `  /**
   * A bigint? No: text | undefined.
   */
  export function get(store: string, cursor: string | null | undefined): Entry | null;
  export function many(keys: Array<string | null | undefined>): Array<Entry | null>;
  export function increment(delta: number): number;
    ttlSeconds?: number | null,
    cursor?: string | null
    nested: Array<string | null | undefined>,`,
  );
});
