import {
  encodeText,
  failure,
  Json,
  parseJson,
  Result,
  SaveOptions,
  state,
  StateValue,
  Status,
  StatusCode,
  success,
} from "@outrigger/plugin";

/** One article as the store holds it. */
export class Item {
  constructor(
    readonly sku: string,
    readonly stock: i64,
    /** Grows by one with every change. */
    readonly version: i64,
    /** What was read, so that a save notices a change in between. */
    private readonly read: StateValue,
  ) {}

  /** Whether the store knows the article. */
  get exists(): bool {
    return this.read.exists;
  }

  static load(store: string, sku: string): Result<Item> {
    const answer = state.get(store, sku);
    if (!answer.ok) return failure<Item>(answer.code, answer.message);
    const value = answer.value;
    if (!value.exists) return success(new Item(sku, 0, 0, value));
    const parsed = parseJson(value.text());
    if (!parsed.ok || !parsed.value.get("stock").isInteger) {
      return failure<Item>(StatusCode.DataLoss, "what the store holds under '" + sku + "' is not an article");
    }
    return success(new Item(sku, parsed.value.get("stock").integer, parsed.value.get("version").integer, value));
  }

  /** The article with another stock. */
  withStock(stock: i64): Item {
    return new Item(this.sku, stock, this.version + 1, this.read);
  }

  /** Writes it; ABORTED when somebody else wrote since it was loaded. */
  save(store: string): Status {
    const value = Json.object().set("stock", this.stock).set("version", this.version);
    return state.save(store, this.sku, encodeText(value.toString()), SaveOptions.over(this.read));
  }

  json(): Json {
    return Json.object().set("sku", this.sku).set("stock", this.stock).set("version", this.version);
  }
}
