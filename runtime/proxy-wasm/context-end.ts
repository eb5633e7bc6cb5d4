import type { ConnectionContext } from "./connection-context.ts";
import type { StreamContext } from "./context.ts";
import type { Vm } from "./vm.ts";

/** What the guest knows by an id, root contexts aside. */
export type Context = StreamContext | ConnectionContext;

/** More contexts than this whose `proxy_on_done` said no are not kept waiting for `proxy_done`: the oldest is deleted. */
const maxUndone = 1000;

/** Tells the guest that what the context stands for is over. */
export function finishContext(vm: Vm, context: Context): unknown {
  if (!context.created) return vm.contextDeleted(context);
  const { done } = vm.callbacks;
  if (done === undefined) return deleteContext(vm, context);
  return after(vm.enter(context, done, context.id), (answer) => {
    if (vm.closed !== undefined) return undefined;
    if (answer !== 0) return deleteContext(vm, context);
    const { undone } = context.root;
    undone.add(context);
    const [oldest] = undone.size > maxUndone ? undone : [];
    return oldest?.complete();
  });
}

/** Lets the guest log and forget the context. */
export function deleteContext(vm: Vm, context: Context): unknown {
  const logged = vm.callbacks.log === undefined ? 0 : vm.enter(context, vm.callbacks.log, context.id);
  return after(logged, () => {
    const deleted = vm.callbacks.delete === undefined ? 0 : vm.enter(context, vm.callbacks.delete, context.id);
    return after(deleted, () => vm.contextDeleted(context));
  });
}

/** Goes on with an answer that is there, or will be. */
function after(answer: number | Promise<number>, next: (answer: number) => unknown): unknown {
  return typeof answer === "number" ? next(answer) : answer.then(next);
}
