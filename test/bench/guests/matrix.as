// Three nested loops over arrays of doubles.
export function matrix(size: i32): i32 {
  const a = new StaticArray<f64>(size * size);
  const b = new StaticArray<f64>(size * size);
  const c = new StaticArray<f64>(size * size);
  for (let i = 0; i < size * size; i++) {
    unchecked((a[i] = <f64>(i % 7)));
    unchecked((b[i] = <f64>(i % 11)));
  }
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      let sum = 0.0;
      for (let k = 0; k < size; k++) sum += unchecked(a[i * size + k]) * unchecked(b[k * size + j]);
      unchecked((c[i * size + j] = sum));
    }
  }
  return <i32>unchecked(c[(size >> 1) * size + 3]);
}
