import type { RuntimeService } from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { HandlersOf } from "../../grpc/service.ts";
import type { SecretBlock } from "../secret.ts";

/** The secret methods of Layotto's service. A secret of a single value has it under its own name. */
export function secretMethods(secrets: SecretBlock) {
  return {
    async getSecret({ storeName, key }, call) {
      return { data: { ...(await secrets.get({ store: storeName, name: key }, call)) } };
    },
    async getBulkSecret({ storeName }, call) {
      const all = Object.entries(await secrets.getAll({ store: storeName }, call));
      return { data: Object.fromEntries(all.map(([name, secret]) => [name, { secrets: { ...secret } }])) };
    },
  } satisfies HandlersOf<RuntimeService>;
}
