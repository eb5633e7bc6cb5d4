/** What calls of the host cost a guest, of the fuel of its call. */
import { fuelCosts } from "../plugin/sandbox/fuel.ts";
import type { GuestHost } from "./provider.ts";

/** Streams copy bytes in bulk, which takes an eighth of a nanosecond for each. */
const bytesPerFuel = 8;

/** Charges a call of the host. */
export function payForCall(host: GuestHost): void {
  host.pay(fuelCosts.hostcall);
}

/** Charges a call of the host that passes on bytes of a stream. */
export function payForStream(host: GuestHost, bytes: number): void {
  host.pay(fuelCosts.hostcall + Math.ceil(bytes / bytesPerFuel));
}

/** Charges a call of the host that takes bytes over, makes them, or looks at each. */
export function payForBytes(host: GuestHost, bytes: number): void {
  host.pay(fuelCosts.hostcall + bytes * fuelCosts.hostcallByte);
}

/** Charges bytes that the guest is about to get, before they are copied into it. */
export function payForResult(host: GuestHost, bytes: number): void {
  host.pay(bytes * fuelCosts.hostcallByte);
}
