/** Errors: those of the host, and those that a plugin did not expect. */
import type { Request, Response } from "outrigger:runtime/http@0.1.0";
import type { Error as HostError } from "outrigger:runtime/types@0.1.0";

/** Why a call of the host failed, when that is what was thrown: `{ tag: "not-found", val: "there is no …" }`. */
export function hostError(thrown: unknown): HostError | undefined {
  if (!(thrown instanceof Error) || !("payload" in thrown)) return undefined;
  return thrown.payload as HostError;
}

/** An error in one sentence: `permission-denied: plugin 'cart' was not granted …` when the host said so. */
export function reasonOf(thrown: unknown): string {
  const { tag, val }: { readonly tag?: unknown; readonly val?: unknown } = Object(hostError(thrown));
  if (typeof tag === "string") return typeof val === "string" ? `${tag}: ${val}` : tag;
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The handler; what it throws is logged and answered by 500. Otherwise an error that is not caught ends the instance. */
export function answering(handle: (request: Request) => Response): (request: Request) => Response {
  return (request) => {
    try {
      return handle(request);
    } catch (error) {
      console.error(`${request.method} ${request.path} failed:`, error);
      return {
        status: 500,
        headers: [["content-type", "application/json"]],
        body: new TextEncoder().encode('{"error":"the service failed"}'),
      };
    }
  };
}
