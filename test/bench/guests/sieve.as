// Loads, stores and short loops over memory.
export function sieve(limit: i32): i32 {
  const composite = new StaticArray<u8>(limit + 1);
  let count = 0;
  for (let i = 2; i <= limit; i++) {
    if (unchecked(composite[i]) != 0) continue;
    count++;
    for (let j = i * 2; j <= limit; j += i) unchecked((composite[j] = 1));
  }
  return count;
}
