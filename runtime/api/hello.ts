/** The greeting that tells a client that it reached the runtime. */
export function sayHello({ name }: { readonly name: string }): string {
  return `Hello, ${name === "" ? "world" : name}`;
}
