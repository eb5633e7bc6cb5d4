import { JsonParser } from "./json-parser";
import { failure, Result, StatusCode, success } from "./status";

/** What a value of JSON is. */
export const enum JsonKind {
  Null,
  Boolean,
  Number,
  Text,
  List,
  Object,
}

/** A JSON value: read with `get` and `at`, made with `Json.object().set("a", 1)`. Objects keep their order. */
export class Json {
  private truth: bool = false;
  private figure: f64 = 0;
  private words: string = "";
  private items: Json[] | null = null;
  private members: Map<string, Json> | null = null;

  private constructor(readonly kind: JsonKind) {}

  /** `null`. */
  static null(): Json {
    return new Json(JsonKind.Null);
  }
  /** `true` or `false`. */
  static boolean(value: bool): Json {
    const json = new Json(JsonKind.Boolean);
    json.truth = value;
    return json;
  }
  /** A number; what is not finite becomes `null` in text. */
  static number(value: f64): Json {
    const json = new Json(JsonKind.Number);
    json.figure = value;
    return json;
  }
  /** A string. */
  static text(value: string): Json {
    const json = new Json(JsonKind.Text);
    json.words = value;
    return json;
  }
  /** An empty array, to `push` to. */
  static list(): Json {
    const json = new Json(JsonKind.List);
    json.items = [];
    return json;
  }
  /** An empty object, to `set` in. */
  static object(): Json {
    const json = new Json(JsonKind.Object);
    json.members = new Map();
    return json;
  }
  /** The JSON of a string, a number, a bool or a Json. */
  static of<T>(value: T): Json {
    if (isString<T>()) return Json.text(<string>value);
    if (isBoolean<T>()) return Json.boolean(<bool>value);
    if (isInteger<T>() || isFloat<T>()) return Json.number(<f64>value);
    return changetype<Json>(value);
  }

  @inline get isNull(): bool { return this.kind == JsonKind.Null; }
  @inline get isBoolean(): bool { return this.kind == JsonKind.Boolean; }
  @inline get isNumber(): bool { return this.kind == JsonKind.Number; }
  @inline get isText(): bool { return this.kind == JsonKind.Text; }
  @inline get isList(): bool { return this.kind == JsonKind.List; }
  @inline get isObject(): bool { return this.kind == JsonKind.Object; }

  /** Whether it is a number without a fraction that a double holds exactly. */
  get isInteger(): bool {
    return this.isNumber && Math.trunc(this.figure) == this.figure && Math.abs(this.figure) <= <f64>F64.MAX_SAFE_INTEGER;
  }

  /** The truth value, or false. */
  get boolean(): bool { return this.truth; }
  /** The number, or 0. */
  get number(): f64 { return this.figure; }
  /** The number without its fraction, or 0. */
  get integer(): i64 { return <i64>this.figure; }
  /** The text, or "". */
  get text(): string { return this.words; }

  /** How many items or members there are. */
  get length(): i32 {
    const items = this.items;
    if (items !== null) return items.length;
    const members = this.members;
    return members === null ? 0 : members.size;
  }

  /** An item of a list; JSON null beyond its end. */
  at(index: i32): Json {
    const items = this.items;
    return items === null || index < 0 || index >= items.length ? Json.null() : items[index];
  }

  /** Whether an object has the member. */
  has(name: string): bool {
    const members = this.members;
    return members !== null && members.has(name);
  }

  /** A member of an object; JSON null when it has none of that name. */
  get(name: string): Json {
    const members = this.members;
    return members !== null && members.has(name) ? members.get(name) : Json.null();
  }

  /** The names of an object's members, in order. */
  keys(): string[] {
    const members = this.members;
    return members === null ? [] : members.keys();
  }

  /** Sets a member of an object. */
  set<T>(name: string, value: T): Json {
    const members = this.members;
    if (members !== null) members.set(name, Json.of<T>(value));
    return this;
  }

  /** Appends an item to a list. */
  push<T>(value: T): Json {
    const items = this.items;
    if (items !== null) items.push(Json.of<T>(value));
    return this;
  }

  /** The value as JSON, without spaces. */
  toString(): string {
    switch (this.kind) {
      case JsonKind.Boolean: return this.truth ? "true" : "false";
      case JsonKind.Number: return writeNumber(this.figure, this.isInteger);
      case JsonKind.Text: return writeText(this.words);
      case JsonKind.List: return this.writeList();
      case JsonKind.Object: return this.writeObject();
      default: return "null";
    }
  }

  private writeList(): string {
    const parts: string[] = [];
    for (let i = 0; i < this.length; i++) parts.push(this.at(i).toString());
    return "[" + parts.join(",") + "]";
  }

  private writeObject(): string {
    const parts: string[] = [];
    const names = this.keys();
    for (let i = 0; i < names.length; i++) parts.push(writeText(names[i]) + ":" + this.get(names[i]).toString());
    return "{" + parts.join(",") + "}";
  }
}

/** Reads JSON; a failure is INVALID_ARGUMENT with what is wrong and where. */
export function parseJson(text: string): Result<Json> {
  const parser = new JsonParser(text);
  const value = parser.parse();
  if (value === null) return failure<Json>(StatusCode.InvalidArgument, parser.mistake);
  return success<Json>(value);
}

function writeNumber(value: f64, whole: bool): string {
  if (!isFinite(value)) return "null";
  return whole ? (<i64>value).toString() : value.toString();
}

function writeText(text: string): string {
  let written = '"';
  let plain = 0; // start of what needs no escape
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i);
    if (character >= 0x20 && character != 0x22 && character != 0x5c) continue;
    written += text.substring(plain, i) + escape(character);
    plain = i + 1;
  }
  return written + text.substring(plain) + '"';
}

function escape(character: i32): string {
  switch (character) {
    case 0x22: return '\\"';
    case 0x5c: return "\\\\";
    case 0x0a: return "\\n";
    case 0x0d: return "\\r";
    case 0x09: return "\\t";
    default: return "\\u00" + (character < 0x10 ? "0" : "") + character.toString(16);
  }
}
