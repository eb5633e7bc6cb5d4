/** What one message may cost. */
export interface Http1Limits {
  /** Largest head: start line, fields and line ends together. */
  readonly maxHeadBytes: number;
  readonly maxFields: number;
  /** Longest name of a method. */
  readonly maxMethodBytes: number;
  /** All chunk extensions of one body together. */
  readonly maxExtensionBytes: number;
  /** Largest trailer section, line ends included. */
  readonly maxTrailerBytes: number;
}

/** What a message may cost when nothing else is said. */
export const defaultLimits: Http1Limits = {
  maxHeadBytes: 64 * 1024,
  maxFields: 256,
  maxMethodBytes: 32,
  maxExtensionBytes: 16 * 1024,
  maxTrailerBytes: 16 * 1024,
};
