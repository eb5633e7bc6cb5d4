import type * as Secrets from "outrigger:runtime/secrets@0.1.0";
import { fail, runtime } from "./runtime.ts";

export const get: typeof Secrets.get = (store, name) => {
  runtime.enter();
  const secret = runtime.secrets(store).get(name) ?? fail("not-found", `there is no secret '${name}'`);
  return Object.entries(secret);
};
