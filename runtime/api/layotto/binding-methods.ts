import type { RuntimeService } from "../../../proto/gen/spec/proto/runtime/v1/runtime.ts";
import type { HandlersOf } from "../../grpc/service.ts";
import type { BindingBlock } from "../binding.ts";

/** The binding method of Layotto's service. */
export function bindingMethods(bindings: Pick<BindingBlock, "invoke">) {
  return {
    async invokeBinding({ name: binding, operation, data, metadata }, call) {
      const response = await bindings.invoke({ binding, operation, data, metadata }, call);
      return { data: response.data, metadata: { ...response.metadata } };
    },
  } satisfies HandlersOf<RuntimeService>;
}
