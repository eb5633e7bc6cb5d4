import { Action, clock, Counter, encodeText, FilterOf, Headers, log, Plugin, property } from "@outrigger/plugin";
import { Bucket, Buckets } from "./buckets";
import { Configuration, KeyKind, readConfiguration } from "./configuration";

const longestKey = 64;

/** The configuration, and the buckets that all streams under it share. */
export class Limits extends Plugin {
  configuration: Configuration = new Configuration();
  buckets: Buckets = new Buckets(1, 1, 1);
  readonly allowed: Counter = new Counter("rate_limit_allowed_total");
  readonly limited: Counter = new Counter("rate_limit_limited_total");

  onConfigure(bytes: Uint8Array): bool {
    const read = readConfiguration(bytes);
    if (!read.ok) {
      log.error("rate-limit: " + read.message);
      return false;
    }
    this.configuration = read.value;
    this.buckets = new Buckets(read.value.rate, read.value.burst, read.value.maxKeys);
    return true;
  }
}

/** Lets a request pass when its key's bucket holds a token, and answers 429 when it does not. */
export class RateLimit extends FilterOf<Limits> {
  private bucket: Bucket | null = null;

  onRequestHeaders(endOfStream: bool): Action {
    const limits = this.plugin;
    const bucket = limits.buckets.of(this.key(), clock.nanoseconds());
    if (bucket.take()) {
      this.bucket = bucket;
      limits.allowed.increment();
      return Action.Continue;
    }
    limits.limited.increment();
    this.refuse(bucket);
    return Action.Pause;
  }

  onResponseHeaders(endOfStream: bool): Action {
    const bucket = this.bucket;
    if (bucket === null) return Action.Continue; // our own answer has its headers
    const limits = this.plugin;
    const headers = this.response.headers;
    headers.set("x-ratelimit-limit", limits.configuration.burst.toString());
    headers.set("x-ratelimit-remaining", bucket.remaining.toString());
    headers.set("x-ratelimit-reset", limits.buckets.secondsUntilFull(bucket).toString());
    return Action.Continue;
  }

  private refuse(bucket: Bucket): void {
    const limits = this.plugin;
    const headers = new Headers()
      .add("content-type", "text/plain; charset=utf-8")
      .add("retry-after", limits.buckets.secondsUntilToken(bucket).toString())
      .add("x-ratelimit-limit", limits.configuration.burst.toString())
      .add("x-ratelimit-remaining", "0")
      .add("x-ratelimit-reset", limits.buckets.secondsUntilFull(bucket).toString());
    this.respond(limits.configuration.status, headers, encodeText("too many requests\n"), "rate_limited");
  }

  /** What the request is counted under; one without the header is counted under its address. */
  private key(): string {
    const configuration = this.plugin.configuration;
    if (configuration.keyKind == KeyKind.All) return "";
    if (configuration.keyKind == KeyKind.Header) {
      const value = this.request.headers.get(configuration.header);
      if (value !== null && value.length > 0) return "h " + bounded(value);
    }
    const address = property.text("source.address");
    return address === null ? "a" : "a " + withoutPort(address);
  }
}

/** The value, or a digest in its place when it is long: a client must not choose how much memory a bucket takes. */
function bounded(value: string): string {
  if (value.length <= longestKey) return value;
  let hash: u64 = 0xcbf29ce484222325; // FNV-1a
  for (let i = 0; i < value.length; i++) hash = (hash ^ value.charCodeAt(i)) * 0x100000001b3;
  return value.substring(0, longestKey) + " " + value.length.toString() + " " + hash.toString(16);
}

/** `[::1]:80` and `127.0.0.1:80` without their port, which differs from connection to connection. */
function withoutPort(address: string): string {
  const colon = address.lastIndexOf(":");
  if (colon < 0) return address;
  const bare = address.indexOf(":") != colon && !address.startsWith("["); // an IPv6 address alone
  return bare ? address : address.substring(0, colon);
}
