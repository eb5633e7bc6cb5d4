import type { Status } from "../abi.ts";
import type { Vm } from "../vm.ts";

/**
 * A foreign function that any guest may call: it takes the bytes of its argument, which are gone when the guest is entered
 * again, and gives those of its result, or a status and why.
 */
export type ForeignFunction = (vm: Vm, argument: Uint8Array) => Uint8Array | Refusal;

/** Why a foreign function has no result. */
export interface Refusal {
  readonly status: Status;
  /** For `proxy_get_status`. */
  readonly message: string;
}

export const noResult = new Uint8Array(0);

export function refuse(status: Status, message: string): Refusal {
  return { status, message };
}
