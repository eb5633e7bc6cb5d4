import { proxy_get_current_time_nanoseconds } from "./abi";
import { returnNumber } from "./memory";

/** The host's clock. */
export namespace clock {
  /** Nanoseconds since 1970. The clock may be set back while the plugin runs. */
  export function nanoseconds(): u64 {
    store<u64>(returnNumber, 0);
    proxy_get_current_time_nanoseconds(returnNumber);
    return load<u64>(returnNumber);
  }
  /** Milliseconds since 1970, as `new Date(clock.milliseconds())` takes them. */
  export function milliseconds(): i64 {
    return <i64>(nanoseconds() / 1_000_000);
  }
}
