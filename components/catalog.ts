import type { Binding } from "./binding/binding.ts";
import type { ComponentDefinition, ComponentKind } from "./component.ts";
import type { ConfigStore } from "./config/config-store.ts";
import type { LockStore } from "./lock/lock-store.ts";
import type { ObjectStore } from "./object/object-store.ts";
import type { PubSub } from "./pubsub/pubsub.ts";
import type { SecretStore } from "./secret/secret-store.ts";
import type { Sequencer } from "./sequencer/sequencer.ts";
import type { StateStore } from "./state/state-store.ts";

/** What each kind opens to. */
export interface ComponentOfKind {
  state: StateStore;
  pubsub: PubSub;
  config: ConfigStore;
  lock: LockStore;
  sequencer: Sequencer;
  secret: SecretStore;
  binding: Binding;
  object: ObjectStore;
}

export type Catalog = {
  readonly [Kind in ComponentKind]: Readonly<Record<string, () => Promise<ComponentDefinition<ComponentOfKind[Kind]>>>>;
};

/** Every backend there is: kind, type, and the import that loads it, so that a client nobody configured never loads. */
export const catalog: Catalog = {
  state: {
    memory: async () => (await import("./state/memory.ts")).memoryStateStore,
    sqlite: async () => (await import("./state/sqlite.ts")).sqliteStateStore,
    redis: async () => (await import("./state/redis.ts")).redisStateStore,
    nats: async () => (await import("./state/nats.ts")).natsStateStore,
    etcd: async () => (await import("./state/etcd.ts")).etcdStateStore,
    postgres: async () => (await import("./state/postgres.ts")).postgresStateStore,
  },
  pubsub: {
    memory: async () => (await import("./pubsub/memory.ts")).memoryPubSub,
    kafka: async () => (await import("./pubsub/kafka.ts")).kafkaPubSub,
    nats: async () => (await import("./pubsub/nats.ts")).natsPubSub,
    redis: async () => (await import("./pubsub/redis.ts")).redisPubSub,
  },
  config: {
    memory: async () => (await import("./config/memory.ts")).memoryConfigStore,
    file: async () => (await import("./config/file.ts")).fileConfigStore,
    redis: async () => (await import("./config/redis.ts")).redisConfigStore,
    nats: async () => (await import("./config/nats.ts")).natsConfigStore,
    etcd: async () => (await import("./config/etcd.ts")).etcdConfigStore,
  },
  lock: {
    memory: async () => (await import("./lock/memory.ts")).memoryLockStore,
    sqlite: async () => (await import("./lock/sqlite.ts")).sqliteLockStore,
    nats: async () => (await import("./lock/nats.ts")).natsLockStore,
    redis: async () => (await import("./lock/redis.ts")).redisLockStore,
    etcd: async () => (await import("./lock/etcd.ts")).etcdLockStore,
  },
  sequencer: {
    memory: async () => (await import("./sequencer/memory.ts")).memorySequencer,
    sqlite: async () => (await import("./sequencer/sqlite.ts")).sqliteSequencer,
    postgres: async () => (await import("./sequencer/postgres.ts")).postgresSequencer,
    snowflake: async () => (await import("./sequencer/snowflake.ts")).snowflakeSequencer,
    redis: async () => (await import("./sequencer/redis.ts")).redisSequencer,
    etcd: async () => (await import("./sequencer/etcd.ts")).etcdSequencer,
  },
  secret: {
    env: async () => (await import("./secret/env.ts")).envSecretStore,
    file: async () => (await import("./secret/file.ts")).fileSecretStore,
    directory: async () => (await import("./secret/directory.ts")).directorySecretStore,
  },
  binding: {
    http: async () => (await import("./binding/http.ts")).httpBinding,
    cron: async () => (await import("./binding/cron.ts")).cronBinding,
    kafka: async () => (await import("./binding/kafka.ts")).kafkaBinding,
    local: async () => (await import("./binding/local.ts")).localBinding,
    nats: async () => (await import("./binding/nats.ts")).natsBinding,
    redis: async () => (await import("./binding/redis.ts")).redisBinding,
  },
  object: {
    local: async () => (await import("./object/local.ts")).localObjectStore,
    s3: async () => (await import("./object/s3.ts")).s3ObjectStore,
  },
};
