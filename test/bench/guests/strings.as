// Builds strings: allocation, copying and garbage collection.
export function strings(count: i32): i32 {
  let total = 0;
  let line = "";
  for (let i = 0; i < count; i++) {
    line += "key" + i.toString() + "=" + (i * 31).toString(16) + ";";
    if (line.length > 400) {
      total += line.length + line.lastIndexOf("=");
      line = "";
    }
  }
  return total;
}
