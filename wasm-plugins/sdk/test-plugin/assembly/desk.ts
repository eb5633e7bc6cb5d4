import {
  callForeignFunction,
  config,
  decodeText,
  encodeLatin1,
  encodeText,
  hello,
  invoke,
  Json,
  lock,
  pubsub,
  Request,
  Response,
  SaveOptions,
  sequencer,
  Service,
  state,
} from "@outrigger/plugin";
import { echo } from "./codec";

/** Does at each path what the path says. */
export class Desk extends Service {
  handle(request: Request): Response | null {
    const path = request.segments();
    const what = path.length > 0 ? path[0] : "";
    if (what == "codec") return echo(path[1], request.body);
    if (what == "json") return json(request);
    if (what == "text") return new Response(200, encodeText(request.text()));
    if (what == "latin1") return new Response(200, encodeLatin1(request.text()));
    if (what == "request") return mirror(request);
    if (what == "state") return states();
    if (what == "blocks") return blocks();
    if (what == "foreign") return foreign(path[1], request);
    return Response.text(404, "nothing at " + request.path);
  }
}

function json(request: Request): Response {
  const read = request.json();
  return read.ok ? Response.json(200, read.value) : Response.text(400, read.message);
}

function mirror(request: Request): Response {
  const query = request.queryValue("q");
  const segments = Json.list();
  for (let i = 0; i < request.segments().length; i++) segments.push(request.segments()[i]);
  const seen = Json.object()
    .set("method", request.method)
    .set("path", request.path)
    .set("segments", segments)
    .set("query", query === null ? Json.null() : Json.text(query))
    .set("body", request.text());
  return Response.json(200, seen).header("x-desk", "open");
}

function foreign(name: string, request: Request): Response {
  const answer = callForeignFunction(name, request.body);
  return answer.ok ? new Response(200, answer.value) : Response.text(500, answer.toString());
}

function states(): Response {
  const seen = Json.object();
  seen.set("missing", state.get("stock", "apple").value.exists);
  seen.set("saved", state.save("stock", "apple", encodeText("1")).toString());
  const read = state.get("stock", "apple").value;
  seen.set("read", read.text());
  seen.set("over", state.save("stock", "apple", encodeText("2"), SaveOptions.over(read)).toString());
  seen.set("stale", state.save("stock", "apple", encodeText("3"), SaveOptions.over(read)).toString());
  seen.set("ttl", state.save("stock", "pear", encodeText("4"), SaveOptions.ttl(60)).toString());
  const moved = state.transaction("stock", [
    state.upsert("plum", encodeText("5")),
    state.erase("pear"),
    state.upsert("apple", encodeText("6")),
  ]);
  seen.set("moved", moved.toString());
  const all = Json.object();
  const items = state.getAll("stock", ["apple", "pear", "plum"]).value;
  for (let i = 0; i < items.length; i++) all.set(items[i].key, decodeText(items[i].data));
  seen.set("all", all);
  seen.set("removed", state.remove("stock", "plum").toString());
  seen.set("removedAll", state.removeAll("stock", ["apple", "pear"]).toString());
  seen.set("gone", !state.get("stock", "apple").value.exists);
  seen.set("unknown", state.get("nowhere", "apple").toString());
  return Response.json(200, seen);
}

function blocks(): Response {
  const seen = Json.object();
  seen.set("hello", hello("desk").value);
  seen.set("published", pubsub.publish("events", "sold", encodeText("an apple"), "text/plain").toString());
  seen.set("publishedJson", pubsub.publishJson("events", "sold", Json.object().set("sku", "apple")).toString());
  seen.set("locked", lock.tryLock("jobs", "clean", "me", 30).value);
  seen.set("lockedAgain", lock.tryLock("jobs", "clean", "you", 30).value);
  seen.set("kept", <i32>lock.keepAlive("jobs", "clean", "me", 60).value);
  seen.set("notMine", <i32>lock.unlock("jobs", "clean", "you").value);
  seen.set("unlocked", <i32>lock.unlock("jobs", "clean", "me").value);
  const first = sequencer.nextStrong("ids", "order").value;
  seen.set("next", sequencer.nextStrong("ids", "order").value - first);
  seen.set("weak", sequencer.next("ids", "weak").value > 0);
  seen.set("set", config.save("settings", [config.item("colour", "green")]).toString());
  const items = config.get("settings", ["colour"]).value;
  seen.set("colour", items.length > 0 ? items[0].content : "?");
  seen.set("unset", config.remove("settings", ["colour"]).toString());
  const page = invoke.http("shop", "POST", "/orders?dry=1", encodeText("{}"), "application/json");
  seen.set("invoked", page.ok ? page.value.text() + " " + page.value.contentType : page.toString());
  const called = invoke.grpc("billing", "/shop.Billing/Charge", encodeText("5"));
  seen.set("called", called.ok ? decodeText(called.value) : called.toString());
  seen.set("verb", invoke.http("shop", "FETCH", "/").toString());
  return Response.json(200, seen);
}
