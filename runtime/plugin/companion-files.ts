/** The ways a manifest beside `orders.wasm` may be called. */
export const manifestExtensions = [".yaml", ".yml"] as const;

/** What the file with a module's signature ends in: `orders.wasm.sig`. */
export const signatureExtension = ".sig";
