// Fills and reads a hash map.
export function maps(count: i32): i32 {
  const map = new Map<i32, i32>();
  for (let i = 0; i < count; i++) map.set((i * 7919) & 0xffff, i);
  let sum = 0;
  for (let i = 0; i < count; i++) if (map.has(i & 0xffff)) sum += map.get(i & 0xffff);
  return sum;
}
