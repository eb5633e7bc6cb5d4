/**
 * A class as one instance of a guest sees it: what it constructs belongs to that instance, and is of the one class that all
 * instances share, so that each may be asked whether something is of it.
 */
export function boundClass<Given extends readonly unknown[], Made extends object>(
  shared: { readonly prototype: Made },
  construct: (...given: Given) => Made,
  statics: Readonly<Record<string, unknown>> = {},
): unknown {
  function constructed(...given: Given): Made {
    return construct(...given);
  }
  return Object.assign(Object.defineProperty(constructed, "prototype", { value: shared.prototype }), statics);
}
