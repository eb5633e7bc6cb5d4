import type { BindingBlock } from "../api/binding.ts";
import type { BindingEventHandler } from "../api/binding-delivery.ts";
import type { Wish } from "./attendance.ts";

/** The wish for the events of a binding, which are delivered by `protocol`. */
export function bindingWish(
  protocol: string,
  binding: string,
  block: BindingBlock,
  deliver: BindingEventHandler,
): Wish {
  return {
    key: JSON.stringify([protocol, "binding", binding]),
    fields: { binding, protocol },
    begin: (untilThere) =>
      block.listen(binding, async (event, signal) => {
        await untilThere(signal);
        await deliver(event, signal);
      }),
  };
}
