import {
  Action,
  clock,
  Counter,
  decode,
  decodeText,
  encodeText,
  Expression,
  FilterOf,
  Gauge,
  grpc,
  GrpcStream,
  HeaderMap,
  Headers,
  Histogram,
  http,
  HttpRequest,
  log,
  parseJson,
  Plugin,
  property,
  sharedData,
  Status,
} from "@outrigger/plugin";
import { SayHelloRequest, SayHelloResponse } from "@outrigger/plugin/assembly/gen/spec/proto/runtime/v1/runtime";

export class TourPlugin extends Plugin {
  greeting: string = "";
  ticks: i32 = 0;
  readonly seen: Counter = new Counter("tour_seen");
  readonly open: Gauge = new Gauge("tour_open");
  readonly sizes: Histogram = new Histogram("tour_sizes");

  onConfigure(bytes: Uint8Array): bool {
    const parsed = parseJson(decodeText(bytes));
    if (!parsed.ok || !parsed.value.get("greeting").isText) {
      log.error("tour: 'greeting' must be a text");
      return false;
    }
    this.greeting = parsed.value.get("greeting").text;
    if (parsed.value.get("tick").isNumber) this.tickEvery(<u32>parsed.value.get("tick").integer);
    return true;
  }

  onTick(): void {
    log.info("tick " + (++this.ticks).toString());
    if (this.ticks == 2) this.tickEvery(0);
    if (this.ticks == 1) {
      grpc.callRuntime("SayHello", hello("tick"), this, (self, answer) => {
        log.info("after tick: " + decode<SayHelloResponse>(answer.value).value.hello + " " + self.greeting);
      });
    }
  }

  onDone(): bool {
    log.info("plugin done");
    return true;
  }
}

/** Does what the request header `x-tour` says. */
export class Tour extends FilterOf<TourPlugin> {
  private tour: string = "";
  private waiting: u32 = 0;

  onRequestHeaders(endOfStream: bool): Action {
    this.tour = this.request.headers.getOr("x-tour", "");
    const is = this.tour;
    this.plugin.open.add(1);
    if (is == "headers") return this.headers();
    if (is == "respond") return this.answer();
    if (is == "log") return this.logs();
    if (is == "abort") throw new Error("the guest gives up");
    if (is == "metrics") return this.metrics();
    if (is == "properties") return this.properties();
    if (is == "shared") return this.shared();
    if (is == "http") return this.callHttp();
    if (is == "grpc") return this.callGrpc();
    if (is == "runtime") return this.callRuntime();
    if (is == "cancel") return this.cancel();
    if (is == "churn") return this.churn();
    if (is == "texts") return this.texts();
    if (is == "stream") return this.openStream();
    if (is == "expression") return this.evaluate();
    return Action.Continue;
  }

  private headers(): Action {
    const headers = this.request.headers;
    const all = headers.all();
    log.info("count " + all.length.toString() + ", second of twice " + all.getAll("x-twice")[1]);
    log.info("missing " + (headers.get("x-missing") === null).toString() + " " + headers.has("X-Twice").toString());
    const raw = headers.getBytes("x-raw");
    log.info("raw " + (raw === null ? -1 : raw.byteLength).toString() + " " + headers.getOr("x-raw", "?"));
    headers.set("x-set", "grüße " + this.plugin.greeting);
    headers.add("x-twice", "three");
    headers.remove("x-remove");
    if (headers.has("x-replace-all")) headers.replaceAll(headers.all().set("x-only", "1").remove("x-replace-all"));
    return Action.Continue;
  }

  private answer(): Action {
    this.respond(418, new Headers().add("x-a", "1").add("x-a", "2"), encodeText("tea ☕"), "teapot", 9);
    return Action.Pause;
  }

  private logs(): Action {
    log.trace("a trace");
    log.debug("a debug");
    log.info("an info");
    log.warn("a warning");
    log.error("an error");
    log.critical("a critical");
    console.log("from the console");
    console.error("wrong from the console");
    console.assert(1 > 2, "one above two");
    trace("traced", 2, 1, 2);
    log.info("level " + (<i32>log.level()).toString());
    log.info("year " + (new Date(clock.milliseconds()).getUTCFullYear() >= 2024).toString());
    log.info("random " + (Math.random() < 1).toString());
    return Action.Continue;
  }

  private metrics(): Action {
    const plugin = this.plugin;
    plugin.seen.increment();
    plugin.seen.increment(2);
    plugin.open.set(10);
    plugin.open.add(-3);
    plugin.sizes.record(512);
    log.info("seen " + plugin.seen.value.toString() + ", open " + plugin.open.value.toString());
    return Action.Continue;
  }

  private properties(): Action {
    const address = property.text("source.address");
    log.info("source " + (address === null ? "?" : address));
    log.info("size " + property.integer("request.size").toString());
    log.info("load " + property.number("tour.load").toString());
    log.info("mtls " + property.boolean("connection.mtls", true).toString());
    const dotted = property.text("metadata\0with.dot");
    log.info("dotted " + (dotted === null ? "?" : dotted));
    log.info("user " + property.map("request.headers").getOr("x-user", "?"));
    log.info("none " + (property.bytes("no.such") === null).toString() + " " + property.integer("no.such", 7).toString());
    log.info("kept " + property.set("tour.kept", "for later").toString());
    return Action.Continue;
  }

  private shared(): Action {
    log.info("empty " + (sharedData.get("tour") === null).toString());
    log.info("first " + sharedData.set("tour", encodeText("one")).ok.toString());
    const value = sharedData.get("tour")!;
    log.info("second " + value.text() + " " + sharedData.set("tour", encodeText("two"), value.cas).ok.toString());
    log.info("third " + sharedData.set("tour", encodeText("three"), value.cas).toString());
    log.info("now " + sharedData.get("tour")!.text());
    return Action.Continue;
  }

  private callHttp(): Action {
    const unknown = http.call("nowhere", new HttpRequest("GET", "/"), this, (self, response) => {});
    log.info("unknown " + unknown.toString());
    const request = new HttpRequest("POST", "/check?user=7", "auth.local").header("x-from", "tour").withText("who?");
    request.trailers.add("x-sum", "1");
    http.call("backend", request, this, (self, response) => {
      log.info("got " + response.status.toString() + " " + response.text() + " " + response.headers.getOr("x-kind", "?"));
      log.info("fields " + response.headers.length.toString() + " " + response.trailers.length.toString());
      if (response.ok) {
        self.request.headers.set("x-checked", "yes");
        self.request.resume();
      } else {
        self.respondText(response.status == 0 ? 502 : 403, "no", "check_failed");
      }
    });
    return Action.Pause;
  }

  private callGrpc(): Action {
    const metadata = new Headers().add("x-trace", "t1");
    grpc.call("backend", "shop.Stock", "Count", encodeText("pears"), this, (self, answer) => {
      log.info(answer.ok ? "counted " + decodeText(answer.value) : "failed " + answer.toString());
      self.request.resume();
    }, 2000, metadata);
    return Action.Pause;
  }

  private callRuntime(): Action {
    grpc.callRuntime("SayHello", hello("tour"), this, (self, answer) => {
      const greeting = decode<SayHelloResponse>(answer.value);
      self.request.headers.set("x-hello", greeting.value.hello);
      self.request.resume();
    });
    return Action.Pause;
  }

  private cancel(): Action {
    const sent = grpc.call("backend", "shop.Stock", "Wait", encodeText(""), this, (self, answer) => {
      log.error("a cancelled call was answered");
    });
    this.waiting = sent.value;
    return Action.Continue;
  }

  /** Hands the host texts of every length and kind. */
  private texts(): Action {
    const headers = this.request.headers;
    const long = "long ".repeat(200) + "ü";
    headers.set("x-long", long);
    headers.add("X-Upper", "a" + String.fromCharCode(0xd800) + "b");
    headers.set("x-empty", "");
    log.info("long " + (headers.getOr("x-long", "") == long).toString() + " " + headers.has("x-" + long).toString());
    log.info(long.substring(0, 4) + " " + (sharedData.setText(long, "kept").ok && sharedData.get(long)!.text() == "kept").toString());
    const fields = headers.cursor();
    let names = fields.name + fields.value;
    while (fields.next()) if (!fields.nameIs("x-long")) names += fields.name + "=" + fields.value + ",";
    log.info(names + fields.length.toString() + " " + fields.next().toString());
    return Action.Continue;
  }

  private openStream(): Action {
    const talk = new Talk();
    log.info("closed " + talk.send(encodeText("early")).toString());
    log.info("nowhere " + talk.open("nowhere", "shop.Stock", "Watch").toString());
    log.info("opened " + talk.open("backend", "shop.Stock", "Watch", new Headers().add("x-trace", "t1")).ok.toString());
    log.info("again " + talk.open("backend", "shop.Stock", "Watch").name);
    log.info("sent " + talk.send(encodeText("pears"), true).ok.toString() + " " + talk.send(encodeText("more")).name);
    return Action.Continue;
  }

  private evaluate(): Action {
    const wrong = Expression.create("1 +");
    log.info("wrong " + wrong.name);
    log.info("sum " + Expression.create("1 + 2").value.integer().value.toString());
    log.info("half " + Expression.create("1.0 / 2.0").value.number().value.toString());
    const text = Expression.create("'a' + 'b'").value;
    log.info("text " + text.text().value + ", a truth value: " + text.boolean().name);
    text.delete();
    log.info("deleted " + text.text().name);
    return Action.Continue;
  }

  /** Makes garbage of every kind that a stream can make. */
  private churn(): Action {
    const all = this.request.headers.all();
    this.request.headers.set("x-count", all.length.toString());
    parseJson('{"a":[1,2,{"b":"text"}]}').value.toString();
    new Uint8Array(10_000);
    return Action.Continue;
  }

  onRequestBody(size: i32, endOfStream: bool): Action {
    if (this.tour != "body") return Action.Continue;
    if (!endOfStream) return Action.Pause;
    const body = this.request.body;
    log.info("body " + size.toString() + " " + body.size.toString() + " " + body.text());
    log.info("part " + decodeText(body.bytes(1, 3)) + " " + body.bytes(1000).length.toString());
    body.splice(0, 1, encodeText("J"));
    body.append(encodeText("!"));
    body.prepend(encodeText("> "));
    return Action.Continue;
  }

  onRequestTrailers(): Action {
    if (this.tour == "trailers") this.request.trailers.set("x-request-sum", "seen");
    return Action.Continue;
  }

  onResponseHeaders(endOfStream: bool): Action {
    if (this.tour == "cancel") grpc.cancel(this.waiting);
    if (this.tour == "body") this.response.headers.remove("content-length");
    this.response.headers.set("x-tour", this.plugin.greeting);
    return Action.Continue;
  }

  onResponseBody(size: i32, endOfStream: bool): Action {
    if (this.tour == "body") this.response.body.setText("replaced");
    return Action.Continue;
  }

  onResponseTrailers(): Action {
    if (this.tour == "trailers") this.response.trailers.add("x-response-sum", "seen");
    return Action.Continue;
  }

  onDone(): bool {
    this.plugin.open.add(-1);
    return true;
  }

  onLog(): void {
    const status = this.response.headers.getOr(":status", "-");
    if (this.tour != "churn") log.debug("done with " + this.tour + " " + status);
  }
}

class Talk extends GrpcStream {
  onInitialMetadata(metadata: HeaderMap): void {
    log.info("begins " + metadata.getOr("x-from", "?"));
  }

  onMessage(message: Uint8Array): void {
    log.info("hears " + decodeText(message));
  }

  onClose(status: Status): void {
    log.info("ends " + status.toString() + " " + this.isOpen.toString());
  }
}

function hello(name: string): Uint8Array {
  const request = new SayHelloRequest();
  request.name = name;
  return request.encode();
}
