import { proxy_get_shared_data, proxy_set_shared_data } from "./abi";
import { AbiStatus } from "./abi-types";
import { lendName, lentName, lentNameSize } from "./lent-text";
import { clearReturned, returnNumber, returnPointer, returnSize, takeReturned } from "./memory";
import { Status, statusOf } from "./status";
import { decodeText, encodeText } from "./text";

/** A shared value as it was read. */
export class SharedValue {
  constructor(
    readonly bytes: Uint8Array,
    /** Names this very value; never 0. */
    readonly cas: u32,
  ) {}

  /** The bytes as text. */
  text(): string {
    return decodeText(this.bytes);
  }
}

/**
 * Values that every instance of the plugin in this process sees, and those of other plugins with the same `vmId`. They are gone
 * when the process ends.
 */
export namespace sharedData {
  /** The value, or null when there is none. */
  export function get(key: string): SharedValue | null {
    lendName(key);
    clearReturned();
    store<u32>(returnNumber, 0);
    const answer = proxy_get_shared_data(lentName, lentNameSize, returnPointer, returnSize, returnNumber);
    if (answer != AbiStatus.Ok) return null;
    const cas = load<u32>(returnNumber);
    return new SharedValue(Uint8Array.wrap(takeReturned()), cas);
  }

  /**
   * Writes. With the `cas` of a value that was read, only if it is still that value: otherwise ABORTED, and read again. INTERNAL
   * when there is no room for it.
   */
  export function set(key: string, value: Uint8Array, cas: u32 = 0): Status {
    lendName(key);
    const answer = proxy_set_shared_data(lentName, lentNameSize, value.dataStart, value.byteLength, cas);
    return statusOf(answer, "shared data '" + key + "'");
  }

  /** As `set`, with a text. */
  export function setText(key: string, value: string, cas: u32 = 0): Status {
    return set(key, encodeText(value), cas);
  }
}
