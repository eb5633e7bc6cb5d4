/** What QuickJS does not have of a browser's or Node's globals. It is put before the plugin's own code when that is built. */
import { fromBase64, toBase64 } from "./base64.ts";
import { pluginConsole } from "./console.ts";
import { pluginCrypto, random } from "./random.ts";
import { Utf8Decoder } from "./text-decoder.ts";
import { Utf8Encoder } from "./text-encoder.ts";

const globals = {
  TextEncoder: Utf8Encoder,
  TextDecoder: Utf8Decoder,
  console: pluginConsole,
  crypto: pluginCrypto,
  btoa: toBase64,
  atob: fromBase64,
};

for (const [name, value] of Object.entries(globals))
  if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });

Math.random = random;
