// Tells a gRPC service of each request on one stream, and puts into each response what it last said there.
import {
  Action,
  decodeText,
  encodeText,
  FilterOf,
  GrpcStream,
  HeaderMap,
  Headers,
  log,
  Plugin,
  register,
  Status,
} from "@outrigger/plugin";

const reopenMs: u32 = 200;

/** One stream: what is to be told is overridden. */
class Feed extends GrpcStream {
  last: string = "nothing yet";

  constructor(private readonly plugin: Ticker) {
    super();
  }

  onInitialMetadata(metadata: HeaderMap): void {
    log.info("the feed is from " + metadata.getOr("x-server", "nobody"));
  }

  onMessage(message: Uint8Array): void {
    this.last = decodeText(message);
    if (this.last == "enough") this.close(); // nothing more comes from here; the server ends the stream
    if (this.last == "go away") this.plugin.abandon();
  }

  onTrailingMetadata(metadata: HeaderMap): void {
    log.info("the feed said " + metadata.getOr("x-said", "?") + " things");
  }

  onClose(status: Status): void {
    log.info("the feed ended: " + status.toString());
    this.plugin.tickEvery(reopenMs);
  }
}

class Ticker extends Plugin {
  feed: Feed | null = null;

  onConfigure(configuration: Uint8Array): bool {
    this.tickEvery(1); // no call goes out before the plugin is configured
    return true;
  }

  /** Opens the stream from a callback of the plugin, so that it lives as long as the plugin does. */
  onTick(): void {
    const feed = new Feed(this);
    const opened = feed.open("feed", "shop.Feed", "Talk", new Headers().add("x-client", "grpc-stream"));
    if (!opened.ok) {
      log.warn(opened.toString());
      return;
    }
    this.feed = feed;
    this.tickEvery(0);
  }

  /** Breaks the stream off; `onClose` is not called. */
  abandon(): void {
    this.feed!.cancel();
    log.info("the feed was abandoned");
    this.tickEvery(reopenMs);
  }
}

class Teller extends FilterOf<Ticker> {
  onRequestHeaders(endOfStream: bool): Action {
    const feed = this.plugin.feed;
    if (feed === null) return Action.Continue;
    const told = feed.send(encodeText(this.request.headers.getOr("x-tell", "a request")));
    if (!told.ok) log.info("not told: " + told.toString());
    return Action.Continue;
  }

  onResponseHeaders(endOfStream: bool): Action {
    const feed = this.plugin.feed;
    if (feed !== null) this.response.headers.set("x-feed", feed.last);
    return Action.Continue;
  }
}

register<Teller>();
