const trailers = new WeakMap<Response, () => Iterable<readonly [string, string]>>();

/** The response with trailers, which are asked for when its body has been sent. */
export function withTrailers(response: Response, after: () => Iterable<readonly [string, string]>): Response {
  trailers.set(response, after);
  return response;
}

export const trailersOf = (response: Response): Iterable<readonly [string, string]> | undefined =>
  trailers.get(response)?.();
