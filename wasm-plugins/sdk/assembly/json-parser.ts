import { Json } from "./json";

const maxDepth = 64;

/** Reads one JSON text (RFC 8259). */
export class JsonParser {
  /** What is wrong, once `parse` answered null. */
  mistake: string = "";
  private position: i32 = 0;
  private depth: i32 = 0;

  constructor(private readonly text: string) {}

  parse(): Json | null {
    const value = this.value();
    if (value === null) return null;
    this.space();
    return this.position == this.text.length ? value : this.fail("the end was expected");
  }

  private value(): Json | null {
    this.space();
    const character = this.peek();
    if (character == 0x7b) return this.nested(true);
    if (character == 0x5b) return this.nested(false);
    if (character == 0x22) {
      const text = this.string();
      return text === null ? null : Json.text(text);
    }
    if (character == 0x2d || isDigit(character)) return this.number();
    if (this.word("true")) return Json.boolean(true);
    if (this.word("false")) return Json.boolean(false);
    if (this.word("null")) return Json.null();
    return this.fail("a value was expected");
  }

  private nested(object: bool): Json | null {
    if (++this.depth > maxDepth) return this.fail("it is nested too deeply");
    const value = object ? this.object() : this.list();
    this.depth--;
    return value;
  }

  private object(): Json | null {
    const object = Json.object();
    this.position++;
    this.space();
    if (this.take(0x7d)) return object;
    do {
      this.space();
      if (this.peek() != 0x22) return this.fail("a name in quotes was expected");
      const name = this.string();
      if (name === null) return null;
      this.space();
      if (!this.take(0x3a)) return this.fail("':' was expected");
      const value = this.value();
      if (value === null) return null;
      object.set<Json>(name, value);
      this.space();
    } while (this.take(0x2c));
    return this.take(0x7d) ? object : this.fail("',' or '}' was expected");
  }

  private list(): Json | null {
    const list = Json.list();
    this.position++;
    this.space();
    if (this.take(0x5d)) return list;
    do {
      const value = this.value();
      if (value === null) return null;
      list.push<Json>(value);
      this.space();
    } while (this.take(0x2c));
    return this.take(0x5d) ? list : this.fail("',' or ']' was expected");
  }

  private string(): string | null {
    let read = "";
    let plain = ++this.position; // start of what needs no decoding
    while (this.position < this.text.length) {
      const character = this.text.charCodeAt(this.position);
      if (character == 0x22) {
        read += this.text.substring(plain, this.position++);
        return read;
      }
      if (character < 0x20) break;
      if (character != 0x5c) {
        this.position++;
        continue;
      }
      read += this.text.substring(plain, this.position);
      const escaped = this.escaped();
      if (escaped < 0) {
        this.fail("an escape is wrong");
        return null;
      }
      read += String.fromCharCode(escaped);
      plain = this.position;
    }
    this.fail("a string does not end");
    return null;
  }

  /** The character that the escape at the position stands for, or -1. */
  private escaped(): i32 {
    if (this.position + 1 >= this.text.length) return -1;
    const character = this.text.charCodeAt(this.position + 1);
    this.position += 2;
    switch (character) {
      case 0x22: case 0x5c: case 0x2f: return character;
      case 0x62: return 0x08;
      case 0x66: return 0x0c;
      case 0x6e: return 0x0a;
      case 0x72: return 0x0d;
      case 0x74: return 0x09;
      case 0x75: return this.hex4();
      default: return -1;
    }
  }

  private hex4(): i32 {
    if (this.position + 4 > this.text.length) return -1;
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const character = this.text.charCodeAt(this.position++);
      const letter = character | 0x20;
      if (isDigit(character)) value = (value << 4) | (character - 0x30);
      else if (letter >= 0x61 && letter <= 0x66) value = (value << 4) | (letter - 0x61 + 10);
      else return -1;
    }
    return value;
  }

  private number(): Json | null {
    const start = this.position;
    this.take(0x2d);
    if (!this.take(0x30) && !this.digits()) return this.fail("a digit was expected");
    if (this.take(0x2e) && !this.digits()) return this.fail("a digit was expected");
    if (this.take(0x65) || this.take(0x45)) {
      if (!this.take(0x2b)) this.take(0x2d);
      if (!this.digits()) return this.fail("a digit was expected");
    }
    return Json.number(parseFloat(this.text.substring(start, this.position)));
  }

  private digits(): bool {
    const start = this.position;
    while (isDigit(this.peek())) this.position++;
    return this.position > start;
  }

  private word(word: string): bool {
    if (this.text.substr(this.position, word.length) != word) return false;
    this.position += word.length;
    return true;
  }

  private space(): void {
    let character = this.peek();
    while (character == 0x20 || character == 0x0a || character == 0x0d || character == 0x09) {
      this.position++;
      character = this.peek();
    }
  }

  private take(character: i32): bool {
    if (this.peek() != character) return false;
    this.position++;
    return true;
  }

  private peek(): i32 {
    return this.position < this.text.length ? this.text.charCodeAt(this.position) : -1;
  }

  private fail(what: string): Json | null {
    if (this.mistake.length == 0) this.mistake = "not JSON: " + what + " at character " + this.position.toString();
    return null;
  }
}

function isDigit(character: i32): bool {
  return character >= 0x30 && character <= 0x39;
}
