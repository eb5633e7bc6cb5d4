// A recursive descent parser over bytes: many small functions, branches on each byte.
let source: StaticArray<u8> = new StaticArray<u8>(0);
let position = 0;
let checksum = 0;

function peek(): i32 {
  return <i32>unchecked(source[position]);
}

function skipSpace(): void {
  while (peek() == 0x20 || peek() == 0x0a) position++;
}

function parseString(): void {
  position++;
  while (peek() != 0x22) {
    if (peek() == 0x5c) position++;
    checksum = (checksum << 5) - checksum + peek();
    position++;
  }
  position++;
}

function parseNumber(): void {
  let value = 0;
  for (let digit = peek(); digit >= 0x30 && digit <= 0x39; digit = peek()) {
    value = value * 10 + digit - 0x30;
    position++;
  }
  checksum += value;
}

function parseValue(): void {
  skipSpace();
  const first = peek();
  if (first == 0x7b || first == 0x5b) {
    const close = first + 2;
    position++;
    skipSpace();
    while (peek() != close) {
      if (first == 0x7b) {
        parseString();
        skipSpace();
        position++;
      }
      parseValue();
      skipSpace();
      if (peek() == 0x2c) position++;
      skipSpace();
    }
    position++;
  } else if (first == 0x22) parseString();
  else parseNumber();
}

export function json(rounds: i32): i32 {
  const text = `{"name": "outrigger", "tags": ["sidecar", "wasm", "a \\"quoted\\" one"], "ports": [34904, 2045, 34999],
    "nested": {"deep": {"deeper": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "text": "some longer text to look through"}}}`;
  const bytes = String.UTF8.encode(text);
  source = new StaticArray<u8>(bytes.byteLength + 1);
  memory.copy(changetype<usize>(source), changetype<usize>(bytes), bytes.byteLength);
  checksum = 0;
  for (let round = 0; round < rounds; round++) {
    position = 0;
    parseValue();
  }
  return checksum;
}
