import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { selfSigned } from "../../../test/support/certificate.ts";
import { fetchOptions, module, otherModule, pem, refused, serve } from "../../../test/support/plugin-source.ts";
import { digestOf, imageManifest, signatureOf } from "../../../test/support/push.ts";
import { fetchArtifact } from "./fetch-artifact.ts";

/** Answers each path with what it has for it, and all others with 404. */
const pages =
  (
    routes: Readonly<
      Record<string, Uint8Array | string | ((request: IncomingMessage, response: ServerResponse) => void)>
    >,
  ) =>
  (request: IncomingMessage, response: ServerResponse): void => {
    const page = routes[request.url ?? ""];
    if (page === undefined) response.writeHead(404).end();
    else if (typeof page === "function") page(request, response);
    else response.end(page);
  };

const redirect =
  (location: string) =>
  (_: IncomingMessage, response: ServerResponse): void =>
    void response.writeHead(302, { location }).end();

const loopbackAllowed = fetchOptions({ sources: { allowPrivateAddresses: ["127.0.0.0/8", "::1"] } });

describe("a plugin from a URL", () => {
  it("comes with its manifest, or with one that is given", async () => {
    await using server = await serve(pages({ "/a/orders.wasm?token=secret": module }));
    const url = `http://${server.address}/a/orders.wasm?token=secret`;
    const artifact = await fetchArtifact(url, fetchOptions({ sha256: digestOf(module) }));
    assert.deepEqual([artifact.manifest.version, artifact.digest], ["1.2.0", digestOf(module)]);
    assert.equal(artifact.origin, `http://${server.address}/a/orders.wasm`, "without the query, which may be a secret");
    const given = await fetchArtifact(url, fetchOptions({ manifest: "name: mine" }));
    assert.equal(given.manifest.name, "mine");
  });

  it("is called as its file when there is no manifest at all", async () => {
    const bare = module.slice();
    bare.set([0x78], 12);
    await using server = await serve(pages({ "/files/my%20filter.wasm": bare }));
    const { manifest, manifestText } = await fetchArtifact(
      `http://${server.address}/files/my%20filter.wasm`,
      fetchOptions(),
    );
    assert.deepEqual([manifest.name, manifestText], ["my-filter", "name: my-filter\n"]);
  });

  it("is refused when it is something else than was asked for, is not there, or would come without TLS", async () => {
    await using server = await serve(
      pages({ "/orders.wasm": module, "/failing": (_, response) => response.writeHead(500).end("secret") }),
    );
    const url = `http://${server.address}/orders.wasm`;
    await refused(url, /was asked for$/, fetchOptions({ sha256: digestOf(otherModule) }));
    await refused(`http://${server.address}/none?key=secret`, /\/none: .* answers with status 404$/, fetchOptions(), [
      "secret",
    ]);
    await refused(`http://${server.address}/failing`, /status 500$/, fetchOptions(), ["secret"]);
    await refused(
      "http://plugins.test/orders.wasm",
      /without TLS; use https, or name the host in plugins\.sources\.insecure/,
    );
    await refused("http://user:secret@127.0.0.1/orders.wasm", /no user and password/, fetchOptions(), ["secret"]);
  });

  it("comes over TLS from who has a certificate that is trusted", async () => {
    const certificate = selfSigned();
    const server = createTlsServer(certificate, (_, response) => response.end(module)).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const directory = await mkdtemp(join(tmpdir(), "outrigger-ca-"));
    try {
      const { port } = server.address() as AddressInfo;
      const ca = join(directory, "ca.pem");
      await writeFile(ca, certificate.cert);
      const url = `https://127.0.0.1:${port}/orders.wasm`;
      await fetchArtifact(url, fetchOptions({ sources: { ca } }));
      await refused(url, /cannot be reached \(DEPTH_ZERO_SELF_SIGNED_CERT\)/);
      await refused(
        url,
        /ca\.pem-none of plugins\.sources\.ca cannot be read/,
        fetchOptions({ sources: { ca: `${ca}-none` } }),
      );
    } finally {
      server.closeAllConnections();
      server.close();
      await rm(directory, { recursive: true });
    }
  });

  it("must have a signature beside it, when that is required", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    await using server = await serve(
      pages({
        "/unsigned.wasm": module,
        "/signed.wasm?x=1": module,
        "/signed.wasm.sig?x=1": `${signatureOf(module, privateKey)}\n`,
        "/wrong.wasm": otherModule,
        "/wrong.wasm.sig": signatureOf(module, privateKey),
        "/nonsense.wasm": module,
        "/nonsense.wasm.sig": "<html>",
      }),
    );
    const signed = fetchOptions({ signatures: { keys: [pem(publicKey)] } });
    await fetchArtifact(`http://${server.address}/signed.wasm?x=1`, signed);
    await refused(`http://${server.address}/unsigned.wasm`, /it is not signed/, signed);
    await refused(`http://${server.address}/nonsense.wasm`, /it is not signed/, signed);
    await refused(`http://${server.address}/wrong.wasm`, /its signature is by none of the keys/, signed);
  });
});

describe("a redirect", () => {
  it("within the host that was named is followed, five times", async () => {
    await using server = await serve((request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end(module);
      else response.writeHead(307, { location: `/${left - 1}` }).end();
    });
    await fetchArtifact(`http://${server.address}/5`, fetchOptions());
    await refused(`http://${server.address}/6`, /redirects more than 5 times/);
  });

  it("to a private address is refused, whatever names it, unless it is allowed", async () => {
    let asked = 0;
    await using inner = await serve((_, response) => {
      asked++;
      response.end(module);
    });
    const port = inner.address.split(":")[1];
    await using server = await serve(
      pages({
        "/address": redirect(`http://${inner.address}/orders.wasm`),
        "/name": redirect(`http://localhost:${port}/orders.wasm`),
        "/mapped": redirect(`https://[::ffff:127.0.0.1]:${port}/`),
        "/number": redirect(`http://0x7f000001:${port}/`),
        "/metadata": redirect("https://169.254.169.254/latest/meta-data/"),
        "/nothing": (_, response) => response.writeHead(302).end(),
        "/file": redirect("file:///etc/passwd"),
        "/plain": redirect("http://plugins.test/orders.wasm"),
      }),
    );
    for (const path of ["address", "name", "mapped", "number", "metadata"]) {
      await refused(`http://${server.address}/${path}`, /it leads to .*, which has a private address/);
    }
    assert.equal(asked, 0);
    for (const path of ["address", "name"]) await fetchArtifact(`http://${server.address}/${path}`, loopbackAllowed);
    assert.equal(asked, 2);
    await refused(`http://${server.address}/nothing`, /redirects without saying where to/);
    await refused(`http://${server.address}/file`, /redirects to the scheme 'file'/);
    await refused(`http://${server.address}/plain`, /without TLS/);
  });

  it("to another host takes no credentials along", async () => {
    const given: (string | undefined)[] = [];
    const listener: RequestListener = (request, response) => {
      given.push(request.headers.authorization);
      response.end(module);
    };
    await using other = await serve(listener);
    await using server = await serve((request, response) => {
      if (request.headers.authorization === undefined) response.writeHead(401, { "www-authenticate": "Basic" }).end();
      else response.writeHead(302, { location: `http://${other.address}/` }).end();
    });
    const directory = await mkdtemp(join(tmpdir(), "outrigger-credentials-"));
    try {
      const credentials = join(directory, "config.json");
      await writeFile(credentials, JSON.stringify({ auths: { [server.address]: { username: "a", password: "b" } } }));
      const sources = { credentials, allowPrivateAddresses: true };
      await fetchArtifact(`http://${server.address}/orders.wasm`, fetchOptions({ sources }));
      assert.deepEqual(given, [undefined]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe("a host that behaves badly", () => {
  /** Answers every connection with these bytes, and ends it. */
  async function answering(text: string | Buffer): Promise<AsyncDisposable & { readonly url: string }> {
    const server = createTcpServer((socket) => socket.on("error", () => {}).once("data", () => socket.end(text)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return {
      url: `http://127.0.0.1:${port}/orders.wasm`,
      [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
    };
  }
  const head = (fields: string): string => `HTTP/1.1 200 OK\r\n${fields}\r\n`;
  const cases: readonly [what: string, answer: string | Buffer, message: RegExp][] = [
    [
      "cuts its answer off",
      `${head("content-length: 100\r\n")}abc`,
      /closed the connection before its answer was complete/,
    ],
    ["cuts its chunks off", `${head("transfer-encoding: chunked\r\n")}5\r\nabc`, /closed the connection before/],
    [
      "announces far too much",
      head(`content-length: ${2 ** 40}\r\n`),
      /sends 1099511627776 bytes where at most 67108864/,
    ],
    ["sends a giant head", head(`x: ${"y".repeat(40_000)}\r\n`), /a head above 32768 bytes/],
    ["speaks no HTTP", "SSH-2.0-OpenSSH\r\n", /does not answer in HTTP/],
    ["says nothing", "", /closed the connection before/],
  ];
  for (const [what, answer, message] of cases) {
    it(`is given up when it ${what}`, async () => {
      await using server = await answering(answer);
      await refused(server.url, message);
    });
  }

  it("is given up when it compresses what it was asked not to, or takes too long", async () => {
    await using server = await serve(
      pages({
        "/bomb": (_, response) =>
          response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(Buffer.alloc(2 ** 20))),
        "/slow": (_, response) => response.writeHead(200, { "content-length": 100 }).write("a"),
      }),
    );
    await refused(`http://${server.address}/bomb`, /compresses its answer \(gzip\)/);
    await refused(
      `http://${server.address}/slow`,
      /takes longer than 0\.2s \(plugins\.sources\.timeout\)/,
      fetchOptions({ sources: { timeout: "200ms" } }),
    );
  });

  it("is left when the caller gives up in the middle", async () => {
    await using server = await serve((_, response) => {
      response.writeHead(200, { "content-length": 100 }).write("half");
    });
    const caller = new AbortController();
    const fetching = fetchArtifact(
      `http://${server.address}/orders.wasm`,
      fetchOptions({ signal: caller.signal, progress: () => caller.abort() }),
    );
    await assert.rejects(fetching, { name: "AbortError" });
  });

  it("may be a registry that lies about digests, or sends the sidecar elsewhere for blobs", async () => {
    const layer = { mediaType: "application/wasm", bytes: module };
    const manifest = imageManifest({ mediaType: "application/vnd.wasm.config.v0+json", bytes: Buffer.from("{}") }, [
      layer,
    ]);
    const wrong = digestOf(otherModule);
    const send = (fields: Readonly<Record<string, string>>) => (_: IncomingMessage, response: ServerResponse) =>
      void response.writeHead(200, { "content-type": manifest.mediaType, ...fields }).end(manifest.bytes);
    await using elsewhere = await serve((_, response) => response.end(module));
    await using server = await serve(
      pages({
        [`/v2/orders/manifests/${wrong}`]: send({}),
        "/v2/orders/manifests/announced": send({ "docker-content-digest": wrong }),
        "/v2/orders/manifests/redirected": send({}),
        [`/v2/orders/blobs/${digestOf(module)}`]: redirect(`http://${elsewhere.address}/blob`),
        "/v2/orders/manifests/page": "<html>",
      }),
    );
    const at = (rest: string): string => `oci://${server.address}/orders${rest}`;
    await refused(
      at(`@${wrong}`),
      new RegExp(`the manifest has the digest ${digestOf(manifest.bytes)}, and ${wrong} was asked for`),
    );
    await refused(at(":announced"), /was announced/);
    await refused(at(":redirected"), /which has a private address/);
    assert.equal((await fetchArtifact(at(":redirected"), loopbackAllowed)).digest, digestOf(module));
    await refused(at(":page"), /the manifest is not JSON/);
  });
});

describe("a plugin from a file", () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "outrigger-files-"));
  });
  after(() => rm(directory, { recursive: true }));

  it("comes by its path in any form, with the manifest beside it", async () => {
    const path = join(directory, "orders.wasm");
    await writeFile(path, module);
    for (const reference of [path, `file:${path}`, `file://${path}`]) {
      assert.equal(
        (await fetchArtifact(reference, fetchOptions({ sha256: digestOf(module) }))).manifest.version,
        "1.2.0",
      );
    }
    await writeFile(join(directory, "orders.yaml"), "name: beside");
    assert.equal((await fetchArtifact(path, fetchOptions())).manifest.name, "beside");
    await refused(join(directory, "none.wasm"), /none\.wasm: the file cannot be read \(ENOENT\)$/);
  });

  it("may be signed with openssl", async () => {
    const at = (name: string): string => join(directory, name);
    const [path, key, publicKey] = [at("of-openssl.wasm"), at("private.pem"), at("public.pem")] as const;
    await writeFile(path, module);
    const script = `openssl ecparam -name prime256v1 -genkey -noout -out "$2" && openssl pkey -in "$2" -pubout -out "$3" &&
      openssl dgst -sha256 -sign "$2" "$1" | base64 -w0 > "$1.sig"`;
    await promisify(execFile)("sh", ["-ec", script, "sh", path, key, publicKey]);
    await fetchArtifact(path, fetchOptions({ signatures: { keys: [publicKey] } }));
  });

  it("must have a signature beside it, when that is required", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const path = join(directory, "signed.wasm");
    const key = join(directory, "key.pem");
    await writeFile(path, module);
    await writeFile(key, pem(publicKey));
    const signed = fetchOptions({ signatures: { keys: [key] } });
    await refused(path, /it is not signed/, signed);
    await writeFile(`${path}.sig`, signatureOf(module, privateKey));
    await fetchArtifact(path, signed);
    const beside = join(directory, "signed.yaml");
    await writeFile(beside, "name: orders");
    await refused(path, /its manifest is not inside it, and so no signature covers it/, signed);
    await rm(beside);
    await refused(path, /its manifest is not inside it/, { ...signed, manifest: "name: mine" });
    await fetchArtifact(path, signed);
    await writeFile(path, otherModule);
    await refused(path, /its signature is by none of the keys/, signed);
    await refused(
      path,
      /signed\.wasm of plugins\.signatures\.keys is not a public key/,
      fetchOptions({ signatures: { keys: [path] } }),
    );
  });
});
