// Floating point in a tight loop.
export function mandelbrot(size: i32): i32 {
  let inside = 0;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const cr = (2.0 * <f64>x) / <f64>size - 1.5;
      const ci = (2.0 * <f64>y) / <f64>size - 1.0;
      let zr = 0.0;
      let zi = 0.0;
      let steps = 0;
      while (steps < 50 && zr * zr + zi * zi < 4.0) {
        const next = zr * zr - zi * zi + cr;
        zi = 2.0 * zr * zi + ci;
        zr = next;
        steps++;
      }
      if (steps == 50) inside++;
    }
  }
  return inside;
}
