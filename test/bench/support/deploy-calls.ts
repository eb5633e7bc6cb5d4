/** What the deploys of the benchmark ask of the admin API. */
import { once } from "node:events";
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { nowMs } from "./steady-load.ts";

/** Deploys the module; resolves when that is acknowledged to when its last byte had been sent. */
export async function uploadModule(
  admin: string,
  token: string,
  module: Uint8Array,
): Promise<{ readonly sentAt: number }> {
  const headers = { "content-type": "application/wasm", "content-length": module.length };
  const sent = call(admin, token, "/v1/plugins", headers, module);
  let sentAt = nowMs();
  sent.request.once("finish", () => {
    sentAt = nowMs();
  });
  await sent.answered;
  return { sentAt };
}

/** Posts nothing to the path; rejects unless the answer is a good one. */
export async function callAdmin(admin: string, token: string, path: string): Promise<void> {
  await call(admin, token, path, {}).answered;
}

function call(
  admin: string,
  token: string,
  path: string,
  headers: Readonly<Record<string, string | number>>,
  body?: Uint8Array,
) {
  const request = httpRequest(`http://${admin}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, ...headers },
    agent: false,
  });
  const answered = read(request, path);
  request.end(body);
  return { request, answered };
}

async function read(request: ClientRequest, path: string): Promise<void> {
  const [response]: IncomingMessage[] = await once(request, "response");
  if (response === undefined) return;
  const said = await text(response);
  if (response.statusCode === undefined || response.statusCode >= 300) throw new Error(`${path}: ${said}`);
}
