import { proxy_get_shared_data, proxy_set_shared_data } from "./abi";
import { AbiStatus } from "./abi-types";
import { clearReturned, returnNumber, returnPointer, returnSize, takeReturned } from "./memory";
import { Status, statusOf } from "./status";
import { decodeText, encodeBuffer } from "./text";

/** A shared value as it was read. */
export class SharedValue {
  constructor(
    readonly bytes: Uint8Array,
    /** Names this very value; never 0. */
    readonly cas: u32,
  ) {}

  text(): string {
    return decodeText(this.bytes);
  }
}

/** Values that every instance of the plugin in this process sees. They are gone when the process ends. */
export namespace sharedData {
  /** The value, or null when there is none. */
  export function get(key: string): SharedValue | null {
    const name = encodeBuffer(key);
    clearReturned();
    store<u32>(returnNumber, 0);
    const answer = proxy_get_shared_data(
      changetype<usize>(name), name.byteLength, returnPointer, returnSize, returnNumber,
    );
    if (answer != AbiStatus.Ok) return null;
    const cas = load<u32>(returnNumber);
    return new SharedValue(Uint8Array.wrap(takeReturned()), cas);
  }

  /** Writes. With the `cas` of a value that was read, only if it is still that value: otherwise ABORTED. */
  export function set(key: string, value: Uint8Array, cas: u32 = 0): Status {
    const name = encodeBuffer(key);
    const answer = proxy_set_shared_data(
      changetype<usize>(name), name.byteLength, value.dataStart, value.byteLength, cas,
    );
    return statusOf(answer, "shared data '" + key + "'");
  }
}
