/** Plugins from a real registry (Docker's): every form of image, digests, signatures, credentials, and what goes wrong on the way. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { fetchArtifact, fetchModule } from "../../runtime/plugin/source/fetch-artifact.ts";
import { type Certificate, selfSigned } from "../support/certificate.ts";
import { fetchOptions, module, otherModule, pem, refused, serve, type WebServer } from "../support/plugin-source.ts";
import { installedProgram } from "../support/programs.ts";
import {
  digestOf,
  imageIndex,
  imageManifest,
  type Part,
  push,
  pushImage,
  pushModule,
  signImage,
  type Target,
} from "../support/push.ts";
import { type RegistryServer, startRegistry } from "../support/registry-server.ts";

describe("a plugin from a registry", () => {
  let registry: RegistryServer;
  let target: Target;
  const at = (name: string): string => `oci://${registry.address}/${name}`;
  const signer = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signedBy = (...keys: readonly string[]) => fetchOptions({ signatures: { keys } });

  before(async () => {
    registry = await startRegistry();
    target = { address: registry.address, repository: "team/orders" };
  });
  after(() => registry[Symbol.asyncDispose]());

  it("comes by tag and by digest, with its name, version and digest", async () => {
    const image = await pushModule(target, "1.2", module);
    for (const reference of [at("team/orders:1.2"), at(`team/orders@${image}`), at(`team/orders:1.2@${image}`)]) {
      const artifact = await fetchArtifact(reference, fetchOptions());
      assert.deepEqual(Buffer.from(artifact.bytes), Buffer.from(module));
      assert.equal(artifact.digest, digestOf(module));
      assert.deepEqual([artifact.manifest.name, artifact.manifest.version], ["orders", "1.2.0"]);
    }
    const { origin } = await fetchArtifact(at("team/orders:1.2"), fetchOptions());
    assert.equal(origin, at("team/orders:1.2"));
  });

  const forms: readonly [what: string, push: (tag: string) => Promise<string>][] = [
    ["wasm-to-oci's layer", (tag) => pushModule(target, tag, module)],
    [
      "the layer of other tools",
      (tag) => pushModule(target, tag, module, "application/vnd.wasm.content.layer.v1+wasm"),
    ],
    ["the CNCF's artifact", (tag) => pushModule(target, tag, module, "application/wasm")],
    ["an OCI image", (tag) => pushImage(target, tag, [{ "plugin.wasm": module }])],
    ["a Docker image", (tag) => pushImage(target, tag, [{ "plugin.wasm": module }], "docker")],
    [
      "an image of several layers",
      (tag) => pushImage(target, tag, [{ a: Buffer.from("x") }, { "./plugin.wasm": module }, { b: module }]),
    ],
    [
      "an image that replaced the module",
      (tag) => pushImage(target, tag, [{ "plugin.wasm": otherModule }, { "plugin.wasm": module }]),
    ],
  ];
  for (const [index, [what, pushIt]] of forms.entries()) {
    it(`comes in ${what}`, async () => {
      await pushIt(`form-${index}`);
      const { bytes } = await fetchArtifact(at(`team/orders:form-${index}`), fetchOptions());
      assert.equal(digestOf(bytes), digestOf(module));
    });
  }

  for (const format of ["oci", "v2s2"]) {
    it(`comes as skopeo pushes it, in its format ${format}`, async () => {
      await pushImage(target, "source", [{ "plugin.wasm": module }]);
      const skopeo = await installedProgram("skopeo", "skopeo");
      const image = (name: string): string => `docker://${registry.address}/team/${name}`;
      const insecure = ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
      await promisify(execFile)(skopeo, [
        ...insecure,
        "--format",
        format,
        image("orders:source"),
        image(`copied:${format}`),
      ]);
      const { bytes } = await fetchArtifact(at(`team/copied:${format}`), fetchOptions());
      assert.equal(digestOf(bytes), digestOf(module));
    });
  }

  it("comes of an index that has one image for wasm, and is not guessed of any other", async () => {
    const config: Part = { mediaType: "application/vnd.oci.image.config.v1+json", bytes: Buffer.from("{}") };
    const images = [module, otherModule].map((bytes) => {
      const layer = { mediaType: "application/wasm", bytes };
      return { ...imageManifest(config, [layer]), blobs: [config, layer] };
    });
    for (const { blobs, ...manifest } of images) await push(target, digestOf(manifest.bytes), manifest, blobs);
    const [first, second] = images;
    assert.ok(first !== undefined && second !== undefined);
    const clear = imageIndex([
      { ...first, platform: "wasip1/wasm" },
      { ...second, platform: "linux/amd64" },
      { ...second, platform: "unknown/unknown" },
    ]);
    await push(target, "index", clear, []);
    assert.equal((await fetchArtifact(at("team/orders:index"), fetchOptions())).digest, digestOf(module));
    const unclear = imageIndex([
      { ...first, platform: "linux/arm64" },
      { ...second, platform: "linux/amd64" },
    ]);
    await push(target, "unclear", unclear, []);
    await refused(
      at("team/orders:unclear"),
      /index of 2 images \(linux\/arm64, linux\/amd64\), .* name one by its digest/,
    );
  });

  it("takes a manifest in place of the module's own", async () => {
    await pushModule(target, "1.2", module);
    const manifest = "name: other\nversion: '7'\n";
    const artifact = await fetchArtifact(at("team/orders:1.2"), fetchOptions({ manifest }));
    assert.deepEqual([artifact.manifest.name, artifact.manifest.version], ["other", "7"]);
    assert.equal(artifact.manifestText, manifest);
    await refused(
      at("team/orders:1.2"),
      /the manifest given.*2 mistakes|the manifest given.*a mistake/,
      fetchOptions({ manifest: "nam: x" }),
    );
  });

  it("is refused when it has another digest than was asked for", async () => {
    const image = await pushModule(target, "1.2", module);
    for (const sha256 of [digestOf(module), image, image.slice(7).toUpperCase()]) {
      await fetchArtifact(at("team/orders:1.2"), fetchOptions({ sha256 }));
    }
    const wrong = digestOf(otherModule);
    await refused(
      at("team/orders:1.2"),
      new RegExp(`it is ${digestOf(module)}, .*${wrong} was asked for`),
      fetchOptions({ sha256: wrong }),
    );
    await refused(at(`team/orders@sha256:${"0".repeat(64)}`), /no such image/);
    await refused(at("team/orders:1.2"), /64 hexadecimal digits/, fetchOptions({ sha256: "abc" }));
  });

  it("is refused when there is none, in one sentence that names it", async () => {
    await refused(
      at("team/orders:0.0"),
      /^plugin 'orders' cannot be fetched from oci:.*team\/orders:0\.0: the registry has no such image$/,
    );
    await refused(at("nobody/nothing"), /no such image/);
    await pushImage(target, "empty", [{ "README.md": Buffer.from("hello") }]);
    await refused(at("team/orders:empty"), /no file plugin\.wasm/);
    await pushModule(target, "text", Buffer.from("hello"), "text/plain");
    await refused(at("team/orders:text"), /no layer that may hold a module; its layers are of text\/plain/);
  });

  it("is refused when its blob was changed on the registry's disk, or cut off there", async () => {
    const changed = new Uint8Array(module);
    changed.set([0xff], changed.length - 1);
    const apart = { ...target, repository: "team/tampered" };
    await pushModule(apart, "1", module);
    const file = registry.blobFile(digestOf(module));
    const whole = await readFile(file);
    await writeFile(file, changed);
    await refused(at("team/tampered:1"), new RegExp(`the blob has the digest ${digestOf(changed)}`));
    await truncate(file, 20);
    await refused(at("team/tampered:1"), /the blob has the digest sha256:[0-9a-f]+ and 20 bytes/);
    await writeFile(file, whole);
    await fetchArtifact(at("team/tampered:1"), fetchOptions());
  });

  it("is refused when its manifest says that it is larger than any may be", async () => {
    const config = { mediaType: "application/vnd.wasm.config.v0+json", bytes: Buffer.from("{}") };
    const layer = { mediaType: "application/wasm", bytes: module };
    const { mediaType, bytes } = imageManifest(config, [layer]);
    const huge = Buffer.from(
      Buffer.from(bytes)
        .toString()
        .replace(`"size":${module.length}`, `"size":${2 ** 40}`),
    );
    await push(target, "huge", { mediaType, bytes: huge }, [config, layer]);
    await refused(at("team/orders:huge"), /has 1099511627776 bytes; at most 67108864 are taken/);
  });

  it("is refused with its number of layers when it has too many, and as malformed when it has none", async () => {
    const config = { mediaType: "application/vnd.oci.image.config.v1+json", bytes: Buffer.from("{}") };
    const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar", bytes: module };
    const manifest = imageManifest(
      config,
      Array.from({ length: 200 }, () => layer),
    );
    await push(target, "layers", manifest, [config, layer]);
    await refused(at("team/orders:layers"), /the image has too many layers: 200, and at most 128 are taken$/);

    const type = manifest.mediaType;
    const body = JSON.stringify({ schemaVersion: 2, mediaType: type, config: {} });
    await using server = await serve((_, response) => response.setHeader("content-type", type).end(body));
    const malformed = `the manifest is malformed, and says that its type is '${type}'`;
    await refused(`oci://${server.address}/team/orders:1`, new RegExp(RegExp.escape(malformed)));
  });

  it("must be signed by one of the keys, over the very manifest, when that is required", async () => {
    const own = { ...target, repository: "team/signed" };
    const image = await pushModule(own, "1", module);
    const trusted = signedBy(pem(stranger.publicKey), pem(signer.publicKey));
    await refused(at("team/signed:1"), /it is not signed, and plugins\.signatures requires that it is$/, trusted);
    await signImage(own, image, signer.privateKey, digestOf(otherModule));
    await refused(at("team/signed:1"), /its signature is by none of the keys/, trusted);
    await signImage(own, image, signer.privateKey);
    await fetchArtifact(at("team/signed:1"), trusted);
    await refused(at("team/signed:1"), /its signature is by none of the keys/, signedBy(pem(stranger.publicKey)));
    assert.equal(
      (await fetchModule(at("team/signed:1"), fetchOptions({ wantsSignatures: true }))).signature,
      "unchecked",
    );
  });

  const kinds = [
    ["Ed25519", generateKeyPairSync("ed25519")],
    ["RSA", generateKeyPairSync("rsa", { modulusLength: 2048 })],
  ] as const;
  for (const [kind, keys] of kinds) {
    it(`may be signed with a key of the kind ${kind}`, async () => {
      const own = { ...target, repository: `team/signed-${kind.toLowerCase()}` };
      await signImage(own, await pushModule(own, "1", module), keys.privateKey);
      await fetchArtifact(at(`${own.repository}:1`), signedBy(pem(keys.publicKey)));
      await refused(at(`${own.repository}:1`), /none of the keys/, signedBy(pem(signer.publicKey)));
    });
  }

  it("needs a signature only where its reference matches, when patterns say where", async () => {
    await pushModule(target, "1.2", module);
    const requiring = (pattern: string) =>
      fetchOptions({ signatures: { keys: [pem(signer.publicKey)], require: [pattern] } });
    await refused(at("team/orders:1.2"), /not signed/, requiring(`oci://${registry.address}/team/*`));
    await fetchArtifact(at("team/orders:1.2"), requiring("oci://*/other/*"));
  });

  it("is told of while it comes", async () => {
    await pushModule(target, "1.2", module);
    const told: (number | undefined)[][] = [];
    await fetchArtifact(at("team/orders:1.2"), fetchOptions({ progress: (...both) => told.push(both) }));
    assert.deepEqual(told.at(-1), [module.length, module.length]);
  });

  it("is not fetched when the caller has given up", async () => {
    await assert.rejects(fetchArtifact(at("team/orders:1.2"), fetchOptions({ signal: AbortSignal.abort() })), {
      name: "AbortError",
    });
  });

  describe("once it was fetched", () => {
    let directory: string;
    const kept = (rest: Parameters<typeof fetchOptions>[0] = {}) => fetchOptions({ directory, ...rest });
    const versionAt = async (reference: string, how = kept()): Promise<string> =>
      (await fetchArtifact(reference, how)).manifest.version;

    before(async () => {
      directory = await mkdtemp(join(tmpdir(), "outrigger-pulls-"));
    });
    after(() => rm(directory, { recursive: true }));

    it("is taken from the disk by its tag, and asked for again with Always, for latest and without a tag", async () => {
      const own = { ...target, repository: "team/moving" };
      for (const tag of ["1", "latest"]) await pushModule(own, tag, module);
      for (const tag of [":1", ":latest", ""]) assert.equal(await versionAt(at(`team/moving${tag}`)), "1.2.0");
      for (const tag of ["1", "latest"]) await pushModule(own, tag, otherModule);
      assert.equal(await versionAt(at("team/moving:1")), "1.2.0");
      assert.equal(await versionAt(at("team/moving:latest"), kept({ pull: "IfNotPresent" })), "1.2.0");
      for (const tag of [":latest", ""]) assert.equal(await versionAt(at(`team/moving${tag}`)), "1.3.0");
      assert.equal(await versionAt(at("team/moving:1"), kept({ sha256: digestOf(otherModule) })), "1.3.0");
      assert.equal(await versionAt(at("team/moving:1"), kept({ pull: "Always" })), "1.3.0");
    });

    it("is there while the registry is away, unless the disk changed it", async () => {
      const own = { ...target, repository: "team/away" };
      const image = await pushModule(own, "1", module);
      await signImage(own, image, signer.privateKey);
      const trusted = kept({ signatures: { keys: [pem(signer.publicKey)] } });
      for (const reference of [at("team/away:1"), at(`team/away@${image}`)]) await versionAt(reference, trusted);
      await registry.kill();
      assert.equal(await versionAt(at("team/away:1"), trusted), "1.2.0");
      assert.equal(
        await versionAt(
          at(`team/away@${image}`),
          kept({ pull: "Always", signatures: { keys: [pem(signer.publicKey)] } }),
        ),
        "1.2.0",
      );
      await refused(at("team/away:1"), /cannot be reached/, kept({ signatures: { keys: [pem(stranger.publicKey)] } }));
      const file = join(directory, "pulled/sha256", digestOf(module).slice(7));
      await writeFile(file, otherModule);
      await refused(at("team/away:1"), /cannot be reached \(ECONNREFUSED\)/, trusted);
      await registry.start();
      assert.equal(await versionAt(at("team/away:1"), trusted), "1.2.0");
    });
  });
});

describe("a registry that asks who one is", () => {
  let directory: string;
  const [username, password] = ["robot", "s3cret:with-colon"];
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  const credentials = async (name: string, content: unknown): Promise<{ readonly credentials: string }> => {
    const path = join(directory, name);
    await writeFile(path, JSON.stringify(content));
    return { credentials: path };
  };
  const secrets = [auth, "s3cret"];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "outrigger-credentials-"));
  });
  after(() => rm(directory, { recursive: true }));

  it("gets the user and password of the credential file", async () => {
    await using registry = await startRegistry({ kind: "password", username, password });
    const { address } = registry;
    const target = { address, repository: "team/orders", authorization: `Basic ${auth}` };
    await pushModule(target, "1", module);
    const reference = `oci://${address}/team/orders:1`;
    await refused(reference, /asks for credentials \(401\), and the credential file has none/);
    const files: readonly unknown[] = [
      { auths: { [address]: { auth } } },
      { auths: { [`https://${address}/v2/`]: { username, password } } },
      { auths: { [`${address}/team`]: { auth }, [address]: { auth: "d3Jvbmc6d3Jvbmc=" } } },
    ];
    for (const content of files) {
      const sources = await credentials("config.json", content);
      assert.equal((await fetchArtifact(reference, fetchOptions({ sources }))).digest, digestOf(module));
    }
    const wrong = await credentials("wrong.json", { auths: { [address]: { username, password: "s3cret" } } });
    await refused(reference, /does not accept the credentials/, fetchOptions({ sources: wrong }), secrets);
    await writeFile(join(directory, "broken.json"), `{"auths": {"${auth}`);
    const broken = { credentials: join(directory, "broken.json") };
    await refused(reference, /broken\.json is not JSON$/, fetchOptions({ sources: broken }), secrets);
  });

  it("gets what a credential helper gives, when the file names one", async () => {
    await using registry = await startRegistry({ kind: "password", username, password });
    const { address } = registry;
    await pushModule({ address, repository: "orders", authorization: `Basic ${auth}` }, "1", module);
    const helper = join(directory, "docker-credential-of-tests");
    const answer = JSON.stringify({ ServerURL: address, Username: username, Secret: password });
    await writeFile(
      helper,
      `#!/bin/sh\nread host\n[ "$host" = "${address}" ] && [ "$1" = get ] && printf '%s' '${answer}'\n`,
    );
    await chmod(helper, 0o755);
    const path = process.env.PATH;
    process.env.PATH = `${directory}${delimiter}${path}`;
    try {
      for (const content of [{ credsStore: "of-tests" }, { credHelpers: { [address]: "of-tests" } }]) {
        const sources = await credentials("helper.json", content);
        await fetchArtifact(`oci://${address}/orders:1`, fetchOptions({ sources }));
      }
    } finally {
      process.env.PATH = path;
    }
    const missing = await credentials("missing.json", { credsStore: "of-nobody" });
    await refused(
      `oci://${address}/orders:1`,
      /docker-credential-of-nobody cannot be run/,
      fetchOptions({ sources: missing }),
    );
    const path2 = await credentials("path.json", { credsStore: "../../bin/sh" });
    await refused(`oci://${address}/orders:1`, /not one of a program/, fetchOptions({ sources: path2 }));
  });

  it("gets a token of its realm, anonymous or for a user, from an address that it may lead to", async () => {
    const service = "registry-of-tests";
    const certificate = selfSigned();
    const asked: (string | undefined)[] = [];
    await using realm = await tokenServer(certificate, service, (authorization) => {
      asked.push(authorization);
      return authorization === undefined || authorization === `Basic ${auth}`;
    });
    await using registry = await startRegistry({
      kind: "token",
      realm: `http://${realm.address}/token`,
      service,
      issuer: "tests",
      cert: certificate.cert,
    });
    const repository = "team/orders";
    const mayPush = tokenOf(certificate, service, [
      { type: "repository", name: repository, actions: ["pull", "push"] },
    ]);
    await pushModule({ address: registry.address, repository, authorization: `Bearer ${mayPush}` }, "1", module);
    const reference = `oci://${registry.address}/${repository}:1`;
    await refused(reference, /it leads to 127\.0\.0\.1, which has a private address/);
    assert.deepEqual(asked, []);
    const allowPrivateAddresses = ["127.0.0.0/8"];
    await fetchArtifact(reference, fetchOptions({ sources: { allowPrivateAddresses } }));
    assert.deepEqual(asked, [undefined]);
    const known = await credentials("token.json", { auths: { [registry.address]: { auth } } });
    await fetchArtifact(reference, fetchOptions({ sources: { ...known, allowPrivateAddresses } }));
    assert.deepEqual(asked, [undefined, `Basic ${auth}`]);
    const wrong = await credentials("token.json", { auths: { [registry.address]: { username, password: "s3cret" } } });
    const options = fetchOptions({ sources: { ...wrong, allowPrivateAddresses } });
    await refused(reference, /gives no token to these credentials \(401\)/, options, secrets);
  });
});

interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** Gives tokens as https://distribution.github.io/distribution/spec/auth/jwt/ says. */
const tokenServer = (
  certificate: Certificate,
  service: string,
  isWelcome: (authorization: string | undefined) => boolean,
): Promise<WebServer> =>
  serve((request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://realm");
    if (!isWelcome(request.headers.authorization) || searchParams.get("service") !== service) {
      response.writeHead(401).end();
      return;
    }
    const [type = "", name = "", actions = ""] = (searchParams.get("scope") ?? "").split(":");
    const token = tokenOf(certificate, service, [{ type, name, actions: actions.split(",") }]);
    response.end(JSON.stringify({ token, expires_in: 60 }));
  });

function tokenOf({ key, cert }: Certificate, service: string, access: readonly Access[]): string {
  const nowS = Math.floor(Date.now() / 1_000);
  const head = { typ: "JWT", alg: "ES256", x5c: [new X509Certificate(cert).raw.toString("base64")] };
  const claims = {
    iss: "tests",
    sub: "",
    aud: service,
    iat: nowS - 60,
    nbf: nowS - 60,
    exp: nowS + 300,
    jti: "1",
    access,
  };
  const text = [head, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}
