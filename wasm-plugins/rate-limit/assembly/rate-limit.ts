import { Action, clock, Counter, encodeText, FilterOf, Headers, log, Plugin, property } from "@outrigger/plugin";
import { Buckets, Tally } from "./buckets";
import { Configuration, KeyKind, readConfiguration } from "./configuration";

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
  private tally: Tally | null = null;

  onRequestHeaders(endOfStream: bool): Action {
    const limits = this.plugin;
    const tally = limits.buckets.take(this.key(), clock.nanoseconds());
    if (tally.allowed) {
      this.tally = tally;
      limits.allowed.increment();
      return Action.Continue;
    }
    limits.limited.increment();
    this.refuse(tally);
    return Action.Pause;
  }

  onResponseHeaders(endOfStream: bool): Action {
    const tally = this.tally;
    if (tally === null) return Action.Continue; // our own answer has its headers
    const headers = this.response.headers;
    headers.set("x-ratelimit-limit", this.plugin.configuration.burst.toString());
    headers.set("x-ratelimit-remaining", tally.remaining.toString());
    headers.set("x-ratelimit-reset", tally.untilFull.toString());
    return Action.Continue;
  }

  private refuse(tally: Tally): void {
    const configuration = this.plugin.configuration;
    const headers = new Headers()
      .add("content-type", "text/plain; charset=utf-8")
      .add("retry-after", tally.untilToken.toString())
      .add("x-ratelimit-limit", configuration.burst.toString())
      .add("x-ratelimit-remaining", "0")
      .add("x-ratelimit-reset", tally.untilFull.toString());
    this.respond(configuration.status, headers, encodeText("too many requests\n"), "rate_limited");
  }

  /** What the request is counted under; one without the header is counted under its address. */
  private key(): string {
    const configuration = this.plugin.configuration;
    if (configuration.keyKind == KeyKind.All) return "";
    if (configuration.keyKind == KeyKind.Header) {
      const value = this.request.headers.get(configuration.header);
      if (value !== null && value.length > 0) return "h " + value;
    }
    const address = property.text("source.address");
    return address === null ? "a" : "a " + withoutPort(address);
  }
}

/** `[::1]:80` and `127.0.0.1:80` without their port, which differs from connection to connection. */
function withoutPort(address: string): string {
  const colon = address.lastIndexOf(":");
  if (colon < 0) return address;
  const bare = address.indexOf(":") != colon && !address.startsWith("["); // an IPv6 address alone
  return bare ? address : address.substring(0, colon);
}
