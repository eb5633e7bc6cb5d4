import { decodeText, Json, log, parseJson, Plugin } from "@outrigger/plugin";

/** The configuration as README.md describes it. */
export class Settings extends Plugin {
  store: string = "inventory";
  pubsub: string = "events";
  topic: string = "stock-low";
  /** Stock below this is low. */
  low: i64 = 5;

  onConfigure(bytes: Uint8Array): bool {
    if (bytes.length == 0) return true;
    const mistake = this.read(bytes);
    if (mistake !== null) log.error("inventory: " + mistake);
    return mistake === null;
  }

  /** Takes the settings over; the answer says what is wrong with them. */
  private read(bytes: Uint8Array): string | null {
    const parsed = parseJson(decodeText(bytes));
    if (!parsed.ok) return "the configuration is " + parsed.message;
    const json = parsed.value;
    if (!json.isObject) return 'the configuration must be an object such as {"store": "inventory"}';
    const names = json.keys();
    for (let i = 0; i < names.length; i++) {
      const mistake = this.set(names[i], json.get(names[i]));
      if (mistake !== null) return mistake;
    }
    return null;
  }

  private set(name: string, value: Json): string | null {
    if (name == "low") {
      if (!value.isInteger || value.integer < 0) return "'low' must be a whole number, 0 or more";
      this.low = value.integer;
      return null;
    }
    if (name != "store" && name != "pubsub" && name != "topic") {
      return "there is no setting '" + name + "'; there are: store, pubsub, topic, low";
    }
    if (!value.isText || value.text.length == 0) return "'" + name + "' must be a name";
    if (name == "store") this.store = value.text;
    else if (name == "pubsub") this.pubsub = value.text;
    else this.topic = value.text;
    return null;
  }
}
