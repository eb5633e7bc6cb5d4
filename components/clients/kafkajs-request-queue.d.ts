/** A part of kafkajs that it exports without types: see docs/decisions/0011. */
declare module "kafkajs/src/network/requestQueue/index.js" {
  interface RequestQueue {
    readonly pending: readonly unknown[];
    /** Milliseconds since the epoch, or -1. */
    readonly throttledUntil: number;
    scheduleCheckPendingRequests(): void;
  }
  const requestQueue: { readonly prototype: RequestQueue };
  export default requestQueue;
}
