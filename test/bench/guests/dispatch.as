// Calls through a table: small functions chosen at run time.
type Step = (value: i32) => i32;

const chain: Step[] = [
  (value: i32): i32 => value + 1,
  (value: i32): i32 => value ^ 0x55,
  (value: i32): i32 => (value & 1 ? value * 3 + 1 : value >> 1),
  (value: i32): i32 => rotl<i32>(value, 3),
];

export function dispatch(count: i32): i32 {
  let value = 1;
  for (let i = 0; i < count; i++) value = chain[i & 3](value);
  return value;
}
