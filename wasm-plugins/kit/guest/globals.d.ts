/** The globals that a plugin has on QuickJS beside those of ECMAScript: what `kit/polyfill` brings. Node and browsers have more. */
declare const TextEncoder: typeof import("../polyfill/text-encoder.ts").Utf8Encoder;
declare const TextDecoder: typeof import("../polyfill/text-decoder.ts").Utf8Decoder;
declare const console: typeof import("../polyfill/console.ts").pluginConsole;
declare const crypto: typeof import("../polyfill/random.ts").pluginCrypto;
declare const btoa: (text: string) => string;
declare const atob: (text: string) => string;
