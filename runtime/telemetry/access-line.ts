// Kept honest by `npm run bench:proxy` and `bench:http1`: each request of the data plane writes one line.
import type { AccessRecord } from "./access-log.ts";

/**
 * Makes the line of a record, the same JSON as the log would: a general serializer that looks into each field costs more
 * than passing a request on. What differs from request to request comes first, so that the rest can stay as it is.
 */
export class AccessLine {
  #timeMs = Number.NaN;
  #head = "";
  #last: AccessRecord | undefined;
  #rest = "";

  of(record: AccessRecord): string {
    const timeMs = Math.round(record.startedAtMs + record.durationMs);
    if (timeMs !== this.#timeMs) {
      this.#timeMs = timeMs;
      this.#head = `{"level":30,"time":"${new Date(timeMs).toISOString()}","log":"access","durationMs":`;
    }
    if (this.#last === undefined || !isAlike(record, this.#last)) {
      this.#last = record;
      this.#rest = flat(restOf(record));
    }
    const durationMs = Math.round(record.durationMs * 1000) / 1000;
    const counts = `${durationMs},"bytesReceived":${record.bytesReceived},"bytesSent":${record.bytesSent}`;
    // Of many connections each has its turn.
    const origin = `"peer":${JSON.stringify(record.peer)},"requestId":${JSON.stringify(record.requestId)}`;
    return `${this.#head}${counts},${origin}${this.#rest}`;
  }
}

function isAlike(one: AccessRecord, other: AccessRecord): boolean {
  return (
    one.path === other.path &&
    one.status === other.status &&
    one.method === other.method &&
    one.endpoint === other.endpoint &&
    one.authority === other.authority &&
    one.userAgent === other.userAgent &&
    one.route === other.route &&
    one.details === other.details &&
    one.upstream === other.upstream &&
    one.plugin === other.plugin &&
    one.protocol === other.protocol &&
    one.flags.length === 0 &&
    other.flags.length === 0
  );
}

function restOf(record: AccessRecord): string {
  const { protocol, method, path, authority, route, status, details, flags, upstream, endpoint, plugin } = record;
  const fields = { protocol, method, path, authority, route, status, details, flags, upstream, endpoint, plugin };
  const json = JSON.stringify({ ...fields, userAgent: record.userAgent, msg: "access" });
  return `,${json.slice(1)}\n`;
}

/** The text in one piece: V8 keeps what was put together as a tree, and would walk through it with each line again. */
const flat = (text: string): string => Buffer.from(text).toString();
