import type { StreamConfig } from "./nats-jetstream.ts";

/** What a bucket is made with. */
export interface BucketSettings {
  readonly bucket: string;
  readonly storage: "file" | "memory";
  readonly replicas: number;
  readonly maxBytes: number;
}

/** As `nats kv add` makes it, but with a right to remove single messages: the marks of what was deleted and has expired. */
export const bucketStream = ({ bucket, storage, replicas, maxBytes }: BucketSettings): StreamConfig => ({
  name: `KV_${bucket}`,
  description: "kept by Outrigger",
  subjects: [`$KV.${bucket}.>`],
  retention: "limits",
  discard: "new",
  max_consumers: -1,
  max_msgs_per_subject: 1,
  max_msgs: -1,
  max_bytes: maxBytes,
  max_age: 0,
  max_msg_size: -1,
  storage,
  num_replicas: replicas,
  allow_rollup_hdrs: true,
  deny_delete: false,
  deny_purge: false,
  allow_direct: true,
});
