import type { Http2Limits } from "./stream-contract.ts";

/** What a connection may cost when nothing else is said. */
export const defaultLimits: Http2Limits = {
  maxConcurrentStreams: 1000,
  maxHeaderListBytes: 64 * 1024,
  maxHeaderFields: 256,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 8 * 1024 ** 2,
  maxFrameBytes: 16_384,
  maxQueuedBytes: 64 * 1024 ** 2,
  keepAliveMs: 120_000,
  keepAliveTimeoutMs: 20_000,
  idleMs: 0,
  stalledMs: 300_000,
  settingsTimeoutMs: 10_000,
  maxIdleFramesPerSecond: 5_000,
};
