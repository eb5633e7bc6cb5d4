/** What the store on S3 does beside what every file store does: parts, metadata, credentials, and trouble with the server. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { callWith, eventually } from "../../test/conformance/backend.ts";
import { openContext } from "../../test/support/open-context.ts";
import { recording } from "../../test/support/recording.ts";
import { type S3Server, startS3 } from "../../test/support/s3-server.ts";
import { suspend } from "../../test/support/suspend.ts";
import type { OpenContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import type { ObjectStore, PutObject } from "./object-store.ts";
import { s3ObjectStore } from "./s3.ts";

const partBytes = 5 * 1024 ** 2;

const open = (settings: object, changes: Partial<OpenContext> = {}): Promise<ObjectStore> =>
  s3ObjectStore.open(s3ObjectStore.config.parse(settings), openContext("invoices", changes));
const settingsOf = ({ endpoint, bucket, credentials }: S3Server): object => ({ endpoint, bucket, credentials });
const put = (store: ObjectStore, name: string, data: PutObject["data"] | string, metadata = {}): Promise<void> =>
  store.put({ name, data: typeof data === "string" ? once(data) : data, metadata }, callWith());

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

async function* chunks(bytes: number, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < bytes; sent += size) yield Buffer.alloc(Math.min(size, bytes - sent), sent / size);
}

const textAt = async (store: ObjectStore, name: string): Promise<string | undefined> => {
  const found = await store.get({ name }, callWith());
  return found === undefined ? undefined : Buffer.concat(await Array.fromAsync(found)).toString();
};

const isUnavailable = (error: unknown): boolean =>
  error instanceof RuntimeError && error.code === "UNAVAILABLE" && error.message.includes("'invoices'");

describe("files in S3", () => {
  let server: S3Server;
  let client: S3Client;
  before(async () => {
    server = await startS3({ tls: true });
    const { endpoint, credentials } = server;
    client = new S3Client({ endpoint, credentials: { ...credentials }, region: "us-east-1", forcePathStyle: true });
  });
  after(async () => {
    client.destroy();
    await server[Symbol.asyncDispose]();
  });
  const unfinished = async (): Promise<number> =>
    (await client.send(new ListMultipartUploadsCommand({ Bucket: server.bucket }))).Uploads?.length ?? 0;

  it("are not looked for at an endpoint that is none", () => {
    for (const endpoint of ["https://host:99999999", "https://host:0", "https://ho%ZZst", "ftp://host"]) {
      const { error } = s3ObjectStore.config.safeParse({ ...settingsOf(server), endpoint });
      assert.match(error?.issues.map(({ message }) => message).join("; ") ?? "", /^expected http:[^;]*$/, endpoint);
    }
  });

  it("lie under the prefix, and are the only ones that are seen", async () => {
    await using all = await open(settingsOf(server));
    await using mine = await open({ ...settingsOf(server), prefix: "mine/" });
    await put(all, "other", "x");
    await put(mine, "a b+c%20/ключ", "y");
    const answer = await client.send(new GetObjectCommand({ Bucket: server.bucket, Key: "mine/a b+c%20/ключ" }));
    assert.equal(await answer.Body?.transformToString(), "y");
    const { objects } = await mine.list({ prefix: "", pageSize: 10, marker: "" }, callWith());
    assert.deepEqual(
      objects.map(({ name }) => name),
      ["a b+c%20/ключ"],
    );
    assert.equal(await textAt(mine, "other"), undefined);
    await assert.rejects(textAt(mine, "../other"), { code: "INVALID_ARGUMENT" });
  });

  it("have metadata that others can read, and all of it when it fits into no headers", async () => {
    await using store = await open(settingsOf(server));
    const [plain, odd] = [
      { owner: "shop", "content-language": "de" },
      { Owner: "Läden", " ": "", "outrigger-metadata": "x" },
    ];
    await put(store, "plain", "x", plain);
    await put(store, "odd", "x", odd);
    for (const [name, metadata] of Object.entries({ plain, odd })) {
      const { etag, ...found } = (await store.stat({ name }, callWith()))?.metadata ?? {};
      assert.deepEqual(found, metadata);
      assert.ok(etag !== undefined);
    }
    const head = await client.send(new HeadObjectCommand({ Bucket: server.bucket, Key: "plain" }));
    assert.deepEqual(head.Metadata, plain);
  });

  it("that are large come in parts, of which nothing is left when it breaks off", async () => {
    await using store = await open({ ...settingsOf(server), partBytes });
    for (const bytes of [partBytes - 1, partBytes, partBytes + 1, 2 * partBytes, 2 * partBytes + 7]) {
      await put(store, "large", chunks(bytes, 100_000));
      const found = await store.get({ name: "large" }, callWith());
      assert.ok(found !== undefined);
      const expected = Buffer.concat(await Array.fromAsync(chunks(bytes, 100_000)));
      assert.ok(Buffer.concat(await Array.fromAsync(found)).equals(expected), `${bytes} bytes`);
    }
    const reason = new Error("the sender has gone");
    const broken = async function* () {
      yield* chunks(2 * partBytes);
      assert.equal(await unfinished(), 1);
      throw reason;
    };
    await assert.rejects(put(store, "large", broken()), reason);
    assert.equal(await unfinished(), 0);
    assert.equal((await store.stat({ name: "large" }, callWith()))?.size, 2 * partBytes + 7);
  });

  it("are refused when they are too large or too many at once, and leave no parts", async () => {
    await using store = await open({ ...settingsOf(server), partBytes, maxFileBytes: partBytes + 10, maxPuts: 1 });
    const refused = { code: "RESOURCE_EXHAUSTED", message: /at most 5242890 bytes/ };
    await assert.rejects(put(store, "too-large", chunks(2 * partBytes)), refused);
    assert.equal(await unfinished(), 0);
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = async function* () {
      await promise;
      yield* once("first");
    };
    const first = put(store, "first", slow());
    await assert.rejects(put(store, "second", "x"), { code: "RESOURCE_EXHAUSTED", message: /raise maxPuts/ });
    resolve();
    await first;
    await put(store, "second", "x");
    assert.deepEqual([await textAt(store, "first"), await textAt(store, "second")], ["first", "x"]);
  });

  it("that nobody reads are let go of when the call ends", async () => {
    await using store = await open({ ...settingsOf(server), maxConnections: 2 });
    await put(store, "unread", chunks(2 * partBytes));
    for (let round = 0; round < 6; round++) {
      const caller = new AbortController();
      const found = await store.get({ name: "unread" }, callWith(caller.signal));
      const reason = new Error("the caller has gone");
      caller.abort(reason);
      await assert.rejects(Array.fromAsync(found ?? []), reason);
    }
    assert.equal((await store.stat({ name: "unread" }, callWith()))?.size, 2 * partBytes);
  });

  it("are had by TLS from a server that is trusted only", async () => {
    const settings = { ...settingsOf(server), endpoint: server.secureEndpoint };
    await using store = await open({ ...settings, tls: { ca: server.certificate } });
    await put(store, "secret", "x");
    assert.equal(await textAt(store, "secret"), "x");
    await assert.rejects(open(settings), { code: "FAILED_PRECONDITION", message: /certificate/ });
  });

  it("are had with credentials of a secret store, and with wrong ones not, which nobody is shown", async () => {
    const { lines, changes } = recording();
    const reference = { secretKeyRef: { store: "vault", name: "s3" } };
    const secret: OpenContext["secret"] = async (setting) =>
      typeof setting === "string" ? setting : server.credentials.secretAccessKey;
    const { accessKeyId } = server.credentials;
    const referring = { ...settingsOf(server), credentials: { accessKeyId, secretAccessKey: reference } };
    await using _store = await open(referring, { secret });
    const wrong = { ...settingsOf(server), credentials: { accessKeyId, secretAccessKey: "Tell-Nobody" } };
    await assert.rejects(open(wrong, changes), (error) => {
      assert.ok(error instanceof RuntimeError && error.code === "UNAUTHENTICATED", String(error));
      assert.match(error.message, /^the S3 of 'invoices' refuses the credentials: \w/);
      assert.equal(JSON.stringify([error.message, error.cause, error.stack, lines]).includes("Tell-Nobody"), false);
      return true;
    });
  });

  it("are had with what the AWS client finds when the settings say so", async () => {
    process.env.AWS_ACCESS_KEY_ID = server.credentials.accessKeyId;
    process.env.AWS_SECRET_ACCESS_KEY = server.credentials.secretAccessKey;
    await using store = await open({ ...settingsOf(server), credentials: "default" });
    assert.equal(await textAt(store, "nothing of this name"), undefined);
  });

  it("need a bucket that is there", async () => {
    await assert.rejects(open({ ...settingsOf(server), bucket: "nowhere" }), {
      code: "FAILED_PRECONDITION",
      message: /the S3 of 'invoices' has no such bucket/,
    });
    await client.send(new CreateBucketCommand({ Bucket: "another" }));
    await using store = await open({ ...settingsOf(server), bucket: "another" });
    assert.equal(await textAt(store, "secret"), undefined);
  });
});

describe("an S3 in trouble", () => {
  it("that is not there is told when the component is opened", async () => {
    const gone = await startS3();
    await gone[Symbol.asyncDispose]();
    await assert.rejects(open(settingsOf(gone)), (error) => {
      assert.ok(isUnavailable(error) && error instanceof RuntimeError);
      assert.match(error.message, /ECONNREFUSED 127\.0\.0\.1/);
      return true;
    });
  });

  it("that is killed in the middle has everything that it acknowledged, and is told once", async () => {
    await using server = await startS3();
    const { lines, told, changes } = recording();
    await using store = await open(settingsOf(server), changes);
    const acknowledged: string[] = [];
    let failed = 0;
    let isRunning = true;
    const writer = async (number: number): Promise<void> => {
      for (let index = 0; isRunning; index++) {
        const name = `${number}/${index}`;
        try {
          await put(store, name, name);
          acknowledged.push(name);
        } catch (error) {
          assert.ok(isUnavailable(error), String(error));
          failed++;
        }
      }
    };
    const writers = Array.from({ length: 5 }, (_, number) => writer(number));
    await eventually("some are put", () => acknowledged.length > 50);
    await server.kill();
    await eventually("calls fail and it is told", () => failed > 5 && told.length === 1);
    await server.start();
    await eventually("it is told again", () => told.length === 2);
    const before = acknowledged.length;
    await eventually("some are put again", () => acknowledged.length > before + 50);
    isRunning = false;
    await Promise.all(writers);
    for (const name of acknowledged) assert.equal(await textAt(store, name), name);
    assert.deepEqual(told, ["down", "up"]);
    assert.equal(lines.filter((line) => line.includes("cannot be reached")).length, 1);
  });

  it("that hangs is given up after replyTimeoutMs, in the middle of a file too", async () => {
    await using server = await startS3();
    await using patient = await open(settingsOf(server));
    await put(patient, "large", chunks(4 * partBytes));
    await using store = await open({ ...settingsOf(server), replyTimeoutMs: 1_500 });
    const found = await store.get({ name: "large" }, callWith());
    assert.ok(found !== undefined);
    const reading = found[Symbol.asyncIterator]();
    await reading.next();
    await suspend(server.process.pid);
    await assert.rejects(async () => {
      while ((await reading.next()).done !== true);
    }, isUnavailable);
    await assert.rejects(store.stat({ name: "large" }, callWith()), isUnavailable);
    server.process.kill("SIGCONT");
    await eventually("it is back", () =>
      store.stat({ name: "large" }, callWith()).then(
        (meta) => meta?.size === 4 * partBytes,
        () => false,
      ),
    );
  });
});
