import type { GuestHost } from "./provider.ts";

/** Most that the host keeps for one guest: what it was handed and has not passed on. */
const mostBytes = 64 * 1024 ** 2;

const held = new WeakMap<GuestHost, number>();

/** Counts bytes that the host keeps for the guest from now on. Throws when those are too many with all others, by which the guest ends. */
export function hold(host: GuestHost, bytes: number): void {
  holdReceived(host, bytes);
  if ((held.get(host) ?? 0) > mostBytes) throw new Error(`it has the host keep more than ${mostBytes} bytes together`);
}

/** As `hold`, of what comes while the guest does not run: when they are too many, what it does next says so. */
export function holdReceived(host: GuestHost, bytes: number): void {
  held.set(host, (held.get(host) ?? 0) + bytes);
}

/** They are kept no longer. */
export function letGo(host: GuestHost, bytes: number): void {
  if (bytes > 0) held.set(host, (held.get(host) ?? 0) - bytes);
}
