import { Json, log, pubsub, Request, Response, ServiceOf, Status, StatusCode } from "@outrigger/plugin";
import { Item } from "./item";
import { Settings } from "./settings";
import { VERSION } from "./version";

/** How often a change is tried again when somebody else was faster. */
const maxAttempts = 20;
const mostStock: i64 = 1_000_000_000;

/** Keeps how many there are of each article. */
export class Inventory extends ServiceOf<Settings> {
  handle(request: Request): Response {
    return this.route(request).header("x-inventory-version", VERSION);
  }

  private route(request: Request): Response {
    const path = request.segments();
    if (path.length < 2 || path.length > 3 || path[0] != "inventory") return problem(404, "there is nothing here");
    if (path[1].length > 200) return problem(400, "an article's name has at most 200 characters");
    if (path.length == 3) {
      if (path[2] != "take") return problem(404, "there is nothing here; try /inventory/{sku}/take");
      return request.method == "POST" ? this.take(path[1], request) : wrongMethod("POST");
    }
    if (request.method == "GET" || request.method == "HEAD") return this.read(path[1]);
    return request.method == "PUT" ? this.replace(path[1], request) : wrongMethod("GET, HEAD, PUT");
  }

  private read(sku: string): Response {
    const loaded = Item.load(this.plugin.store, sku);
    if (!loaded.ok) return unavailable(loaded);
    return loaded.value.exists ? Response.json(200, loaded.value.json()) : unknownArticle(sku);
  }

  private replace(sku: string, request: Request): Response {
    const stock = wholeNumber(request, "stock", 0);
    if (stock < 0) return problem(400, 'the body must be JSON such as {"stock": 10}, from 0 to 1000000000');
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const loaded = Item.load(this.plugin.store, sku);
      if (!loaded.ok) return unavailable(loaded);
      const changed = loaded.value.withStock(stock);
      const saved = changed.save(this.plugin.store);
      if (saved.ok) {
        this.warnWhenLow(loaded.value, changed);
        return Response.json(200, changed.json());
      }
      if (saved.code != StatusCode.Aborted) return unavailable(saved);
    }
    return busy(sku);
  }

  private take(sku: string, request: Request): Response {
    const quantity = wholeNumber(request, "quantity", 1);
    if (quantity < 0) return problem(400, 'the body must be JSON such as {"quantity": 2}, from 1 to 1000000000');
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const loaded = Item.load(this.plugin.store, sku);
      if (!loaded.ok) return unavailable(loaded);
      const item = loaded.value;
      if (!item.exists) return unknownArticle(sku);
      if (item.stock < quantity) {
        return Response.json(409, item.json().set("error", "there are only " + item.stock.toString() + " left"));
      }
      const changed = item.withStock(item.stock - quantity);
      const saved = changed.save(this.plugin.store);
      if (saved.ok) {
        this.warnWhenLow(item, changed);
        return Response.json(200, changed.json());
      }
      if (saved.code != StatusCode.Aborted) return unavailable(saved);
    }
    return busy(sku);
  }

  /** Tells once, when the stock falls below the limit. The change stands even if nobody can be told. */
  private warnWhenLow(before: Item, after: Item): void {
    const settings = this.plugin;
    const wasLow = before.exists && before.stock < settings.low;
    if (wasLow || after.stock >= settings.low) return;
    const told = pubsub.publishJson(settings.pubsub, settings.topic, after.json().set("low", settings.low));
    if (!told.ok) log.warn("inventory: nobody was told that '" + after.sku + "' runs low: " + told.toString());
  }
}

/** A whole number of the JSON body, or -1. */
function wholeNumber(request: Request, name: string, least: i64): i64 {
  const body = request.json();
  if (!body.ok) return -1;
  const value = body.value.get(name);
  return value.isInteger && value.integer >= least && value.integer <= mostStock ? value.integer : -1;
}

function problem(status: u32, error: string): Response {
  return Response.json(status, Json.object().set("error", error));
}

function unknownArticle(sku: string): Response {
  return problem(404, "there is no article '" + sku + "'");
}

function wrongMethod(allowed: string): Response {
  return problem(405, "this method is not for this path; allowed: " + allowed).header("allow", allowed);
}

function busy(sku: string): Response {
  return problem(503, "too many others change '" + sku + "' now").header("retry-after", "1");
}

function unavailable(status: Status): Response {
  log.error("inventory: the store failed: " + status.toString());
  const forGood = status.code == StatusCode.PermissionDenied || status.code == StatusCode.InvalidArgument;
  return problem(forGood ? 500 : 503, "the store failed with " + status.name);
}
