/** What tests need that fetch plugins. */
import assert from "node:assert/strict";
import type { KeyObject } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { pluginSignatures, pluginSources } from "../../runtime/config/plugin-sources.ts";
import { packManifest } from "../../runtime/plugin/packed-manifest.ts";
import { type FetchOptions, fetchArtifact } from "../../runtime/plugin/source/fetch-artifact.ts";
import { moduleOf } from "./module-bytes.ts";

/** Two versions of a plugin, each with its manifest inside. */
export const module = packManifest(moduleOf(), "name: orders\nversion: 1.2.0\n");
export const otherModule = packManifest(moduleOf(0x01), "name: orders\nversion: 1.3.0\n");

/** A credential file that has nothing and is no file: the one of whoever runs the tests does not matter. */
const noCredentials = new URL("no-credentials.json", import.meta.url).pathname;

type Settings = Readonly<Record<string, unknown>>;

/** As of a configuration file; with `keys`, everything must be signed. */
export const fetchOptions = ({
  sources = {},
  signatures = {},
  ...rest
}: {
  readonly sources?: Settings;
  readonly signatures?: Settings;
} & Partial<Omit<FetchOptions, "sources" | "signatures">> = {}): FetchOptions => ({
  sources: pluginSources.parse({ credentials: noCredentials, ...sources }),
  signatures: pluginSignatures.parse(signatures),
  ...rest,
});

/** Holds that nothing is fetched, and that the sentence says why without any of the secrets. */
export async function refused(
  reference: string,
  message: RegExp,
  options: FetchOptions = fetchOptions(),
  secrets: readonly string[] = [],
): Promise<void> {
  await assert.rejects(fetchArtifact(reference, options), (error: unknown) => {
    assert.ok(error instanceof Error && "fault" in error, String(error));
    assert.equal(error.fault, "refused");
    assert.match(error.message, message);
    for (const secret of secrets)
      assert.ok(!error.message.includes(secret), `the sentence has a secret: ${error.message}`);
    return true;
  });
}

export const pem = (key: KeyObject): string => key.export({ type: "spki", format: "pem" }).toString();

/** A web server on a free loopback port. */
export interface WebServer extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
}

export async function serve(listener: RequestListener): Promise<WebServer> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
