/** Errors: those of the host, and those that a plugin did not expect. */
import type { Request, Response } from "outrigger:runtime/http@0.1.0";
import type { Error as HostError } from "outrigger:runtime/types@0.1.0";

/** Why a call of the host failed, when that is what was thrown: `{ tag: "not-found", val: "there is no …" }`. */
export function hostError(thrown: unknown): HostError | undefined {
  if (!(thrown instanceof Error) || !("payload" in thrown)) return undefined;
  return thrown.payload as HostError;
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
