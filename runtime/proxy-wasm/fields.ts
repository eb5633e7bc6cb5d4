import type { HeaderMap } from "../plugin/contract.ts";
import type { Pairs } from "./pairs.ts";

/** Fields that may only be read: those of an answer. */
export type ReadableFields = Pick<HeaderMap, "size" | "get" | "entries">;

/** The fields of an answer as guests look at them. */
export function answerFields(pairs: Pairs): ReadableFields {
  return {
    size: pairs.length,
    get: (name) => pairs.find(([key]) => key === name)?.[1],
    entries: () => pairs,
  };
}

const fieldName = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const forbiddenInValue = /[\0\r\n]/;

/** Whether a field can go on a wire as it is, without becoming another one. Names are lower-case. */
export function isField(name: string, value: string): boolean {
  return fieldName.test(name) && !forbiddenInValue.test(value);
}

/** The pairs as fields, names in lower case; undefined when one of them could not go on a wire. */
export function toFields(pairs: Pairs): [string, string][] | undefined {
  const fields = pairs.map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  return fields.every(([name, value]) => isField(name, value)) ? fields : undefined;
}
