import { z } from "zod";
import { rolloutPolicy } from "../plugin/rollout/policy.ts";
import { parseJson } from "./route.ts";

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, "expected sha256: and 64 hexadecimal digits");

/** The body of a deploy of what is fetched. */
export const deployBody = z.strictObject({
  reference: z
    .string()
    .min(1)
    .max(2_048)
    .describe("https://host/path.wasm, oci://host/name:tag, or a path below plugins.directory"),
  manifest: z.string().optional().describe("YAML, in place of the manifest beside the module or inside it"),
  sha256: digest.optional().describe("What the module must have, or of an image its manifest: sha256: and hex"),
  rollout: rolloutPolicy.optional().describe("In place of the manifest's `rollout`"),
  pullPolicy: z
    .enum(["IfNotPresent", "Always"])
    .optional()
    .describe(
      "Whether what was fetched before will do; default Always for the tag latest and for URLs, else IfNotPresent",
    ),
});

/** The query of an upload. */
export const uploadQuery = z.strictObject({
  manifest: z.string().optional(),
  sha256: digest.optional(),
  signature: z
    .string()
    .max(16 * 1024)
    .regex(/^[A-Za-z0-9+/]+={0,2}$/, "expected base64, in which a URL has %2B for +")
    .optional(),
  name: z.string().min(1).optional(),
  // What is no JSON must not pass for a policy that was not given: the version would get all traffic.
  rollout: z
    .string()
    .transform((text, context) => {
      const value = parseJson(text);
      if (value !== undefined) return value;
      context.addIssue({ code: "custom", message: 'expected JSON, such as {"canary":{"percent":5}}' });
      return z.NEVER;
    })
    .pipe(rolloutPolicy)
    .optional(),
});
