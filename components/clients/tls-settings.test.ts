import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openContext } from "../../test/support/open-context.ts";
import { s3ObjectStore } from "../object/s3.ts";
import { kafkaPubSub } from "../pubsub/kafka.ts";
import { natsPubSub } from "../pubsub/nats.ts";
import { etcdStateStore } from "../state/etcd.ts";
import { postgresStateStore } from "../state/postgres.ts";
import { redisStateStore } from "../state/redis.ts";

describe("a file of tls that is none", () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "outrigger-tls-"));
  });
  after(() => rm(directory, { recursive: true, force: true }));
  const context = openContext("orders");
  const nobody = "127.0.0.1:1";
  const opened = {
    Redis: (tls: object) =>
      redisStateStore.open(redisStateStore.config.parse({ url: `redis://${nobody}`, tls }), context),
    Postgres: (tls: object) =>
      postgresStateStore.open(postgresStateStore.config.parse({ url: `postgres://${nobody}`, tls }), context),
    etcd: (tls: object) => etcdStateStore.open(etcdStateStore.config.parse({ endpoints: [nobody], tls }), context),
    NATS: (tls: object) => natsPubSub.open(natsPubSub.config.parse({ servers: [nobody], tls }), context),
    Kafka: (tls: object) => kafkaPubSub.open(kafkaPubSub.config.parse({ brokers: [nobody], tls }), context),
    S3: (tls: object) => {
      const credentials = { accessKeyId: "id", secretAccessKey: "secret" };
      const settings = { bucket: "files", endpoint: `https://${nobody}`, credentials, tls };
      return s3ObjectStore.open(s3ObjectStore.config.parse(settings), context);
    },
  };
  for (const [server, open] of Object.entries(opened)) {
    it(`ends the opening of a component on ${server} for good, with a sentence`, async () => {
      const [text, missing] = [join(directory, "text.pem"), join(directory, "missing.pem")];
      await writeFile(text, "no PEM");
      const refused = { code: "FAILED_PRECONDITION", reason: "TLS_FILES_UNUSABLE" };
      const start = `the ${server} of 'orders' cannot use its tls: the file`;
      await assert.rejects(open({ cert: text }), {
        ...refused,
        message: `${start} '${text}' of cert holds no certificate in PEM`,
      });
      await assert.rejects(open({ ca: missing }), {
        ...refused,
        message: `${start} '${missing}' of ca cannot be read: ENOENT`,
      });
    });
  }
});
