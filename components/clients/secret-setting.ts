import { z } from "zod";

/** A setting that holds a secret, such as a password: the text, or where in a secret store it lies. */
export const secretSetting = z.union([
  z.string().min(1),
  z.strictObject({
    secretKeyRef: z.strictObject({
      store: z.string().min(1).describe("A secret store of the configuration"),
      name: z.string().min(1).describe("Name of the secret"),
      key: z.string().min(1).optional().describe("Which of its values; default the one under the secret's own name"),
    }),
  }),
]);
