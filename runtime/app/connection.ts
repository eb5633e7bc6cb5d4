import { type Client, connectivityState } from "@grpc/grpc-js";

/** Resolves once the client is not connected, or the signal aborts. */
export function untilDisconnected(client: Client, signal: AbortSignal): Promise<void> {
  const channel = client.getChannel();
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    const look = (): void => {
      const state = channel.getConnectivityState(false);
      if (signal.aborted || state !== connectivityState.READY) {
        done();
        return;
      }
      channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, (error) =>
        error === undefined ? look() : done(),
      );
    };
    signal.addEventListener("abort", done, { once: true });
    look();
  });
}
