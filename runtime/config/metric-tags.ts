/** How labels are made of the names that plugins give their metrics. */
import { z } from "zod";
import { messageOf } from "../../components/thrown.ts";

const mostTags = 64;

/** A tag as in Envoy's `stats_tags`. */
const metricTag = z.strictObject({
  tag: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_.]{0,99}$/, "expected letters, digits, '_' and '.', not beginning with a digit")
    .describe("Name of the label"),
  regex: z
    .string()
    .max(1_000)
    .superRefine((regex, context) => {
      const mistake = mistakeIn(regex);
      if (mistake !== undefined) context.addIssue({ code: "custom", message: mistake });
    })
    .describe(
      "What is looked for in a name, with `wasmcustom.` before it: the first group is taken out of the name; the second, or the only one, is the label's value",
    ),
});

export const metricTags = z.array(metricTag).max(mostTags);

function mistakeIn(regex: string): string | undefined {
  if (/\[\[:\^?[a-z]+:\]/.test(regex)) return "expected no POSIX class: write [0-9] for [[:digit:]]";
  try {
    // With an empty alternative it matches, and tells its groups.
    const groups = (new RegExp(`${regex}|`).exec("")?.length ?? 1) - 1;
    return groups === 0 ? "expected a group: what it matches is taken out of the name" : undefined;
  } catch (error) {
    return `expected a regular expression of JavaScript: ${messageOf(error)}`;
  }
}
