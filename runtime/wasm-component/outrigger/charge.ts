import { fuelCosts } from "../../plugin/sandbox/fuel.ts";
import type { GuestHost } from "../provider.ts";

/** Charges a call that reaches a building block, and the bytes that the guest hands over with it. */
export function payForCall(host: GuestHost, bytes: number): void {
  host.pay(fuelCosts.hostcall + bytes * fuelCosts.hostcallByte);
}

/** Charges bytes that the guest is about to get, before they are copied into it. */
export function payForResult(host: GuestHost, bytes: number): void {
  host.pay(bytes * fuelCosts.hostcallByte);
}
