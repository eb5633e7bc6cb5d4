import { decodeText, failure, Json, parseJson, Result, StatusCode, success } from "@outrigger/plugin";

/** What requests are counted under. */
export const enum KeyKind {
  /** The address they come from. */
  Source,
  /** The value of a header. */
  Header,
  /** All together. */
  All,
}

/** The configuration as README.md describes it. */
export class Configuration {
  /** Tokens a second. */
  rate: f64 = 1;
  /** Most requests at once. */
  burst: i32 = 1;
  keyKind: KeyKind = KeyKind.Source;
  /** Lower-case; for `KeyKind.Header`. */
  header: string = "";
  /** Of the answer to a request over the limit. */
  status: i32 = 429;
  /** Most buckets. */
  maxKeys: i32 = 10_000;
}

const known: string[] = ["rate", "burst", "key", "status", "maxKeys"];

/** Reads the configuration; a failure's message says what is wrong with it. */
export function readConfiguration(bytes: Uint8Array): Result<Configuration> {
  const parsed = parseJson(decodeText(bytes));
  if (!parsed.ok) return refuse("the configuration is " + parsed.message);
  const json = parsed.value;
  if (!json.isObject) return refuse("the configuration must be an object such as {\"rate\": 10}");
  const unknown = unknownKey(json);
  if (unknown !== null) return refuse("there is no setting '" + unknown + "'; there are: " + known.join(", "));

  const rate = json.get("rate");
  if (!rate.isNumber || !(rate.number > 0) || !(rate.number <= 1_000_000)) {
    return refuse("'rate' must be a number of requests a second above 0 and at most 1000000");
  }
  const configuration = new Configuration();
  configuration.rate = rate.number;
  configuration.burst = max(1, <i32>Math.ceil(rate.number));
  if (json.has("burst")) {
    if (!isWhole(json.get("burst"), 1, 1_000_000)) return refuse("'burst' must be a whole number from 1 to 1000000");
    configuration.burst = <i32>json.get("burst").integer;
  }
  if (json.has("status")) {
    if (!isWhole(json.get("status"), 400, 599)) return refuse("'status' must be an HTTP status from 400 to 599");
    configuration.status = <i32>json.get("status").integer;
  }
  if (json.has("maxKeys")) {
    if (!isWhole(json.get("maxKeys"), 1, 100_000)) return refuse("'maxKeys' must be a whole number from 1 to 100000");
    configuration.maxKeys = <i32>json.get("maxKeys").integer;
  }
  if (json.has("key") && !readKey(json.get("key"), configuration)) {
    return refuse("'key' must be \"source\", \"all\" or an object such as {\"header\": \"x-api-key\"}");
  }
  return success(configuration);
}

function readKey(key: Json, configuration: Configuration): bool {
  if (key.isText && key.text == "source") return true;
  if (key.isText && key.text == "all") {
    configuration.keyKind = KeyKind.All;
    return true;
  }
  const header = key.get("header");
  if (key.length != 1 || !header.isText || header.text.length == 0) return false;
  configuration.keyKind = KeyKind.Header;
  configuration.header = header.text.toLowerCase();
  return true;
}

function unknownKey(json: Json): string | null {
  const names = json.keys();
  for (let i = 0; i < names.length; i++) if (!known.includes(names[i])) return names[i];
  return null;
}

function isWhole(value: Json, least: i64, most: i64): bool {
  return value.isInteger && value.integer >= least && value.integer <= most;
}

function refuse(sentence: string): Result<Configuration> {
  return failure<Configuration>(StatusCode.InvalidArgument, sentence);
}
