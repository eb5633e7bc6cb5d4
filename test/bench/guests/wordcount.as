// Scans bytes and counts, as filters do with headers and bodies.
export function wordcount(length: i32): i32 {
  const text = new StaticArray<u8>(length);
  let seed: u32 = 1;
  for (let i = 0; i < length; i++) {
    seed = seed * 1103515245 + 12345;
    unchecked((text[i] = (seed >> 16) % 6 == 0 ? 0x20 : 0x61 + <u8>((seed >> 20) & 15)));
  }
  let words = 0;
  let vowels = 0;
  let inWord = false;
  for (let i = 0; i < length; i++) {
    const letter = unchecked(text[i]);
    if (letter == 0x20) inWord = false;
    else {
      if (!inWord) words++;
      inWord = true;
      if (letter == 0x61 || letter == 0x65 || letter == 0x69 || letter == 0x6f) vowels++;
    }
  }
  return words * 7 + vowels;
}
