// Quicksort: recursion and loops whose branches cannot be foreseen.
function part(values: StaticArray<i32>, low: i32, high: i32): void {
  if (low >= high) return;
  const pivot = unchecked(values[(low + high) >> 1]);
  let i = low;
  let j = high;
  while (i <= j) {
    while (unchecked(values[i]) < pivot) i++;
    while (unchecked(values[j]) > pivot) j--;
    if (i <= j) {
      const held = unchecked(values[i]);
      unchecked((values[i] = values[j]));
      unchecked((values[j] = held));
      i++;
      j--;
    }
  }
  part(values, low, j);
  part(values, i, high);
}

export function sort(count: i32): i32 {
  const values = new StaticArray<i32>(count);
  let seed: u32 = 12345;
  for (let i = 0; i < count; i++) {
    seed = seed * 1664525 + 1013904223;
    unchecked((values[i] = <i32>(seed >> 8)));
  }
  part(values, 0, count - 1);
  return unchecked(values[count >> 1]);
}
