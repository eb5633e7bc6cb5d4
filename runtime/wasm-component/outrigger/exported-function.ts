/** The function of an exported interface, under jco's name for it. Throws TypeError when there is none. */
export function exportedFunction<Argument, Result>(
  exported: Readonly<Record<string, unknown>>,
  name: string,
): (argument: Argument) => Result | Promise<Result> {
  const found = exported[name];
  if (typeof found !== "function") throw new TypeError(`the component exports no function '${name}'`);
  return found as (argument: Argument) => Result | Promise<Result>;
}
