/** Asks the running sidecar; throws a sentence that says what to do when it does not answer. */
export async function fetchAdmin(admin: string, path: string): Promise<unknown> {
  const url = new URL(path, admin.includes("://") ? admin : `http://${admin}`);
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  } catch (cause) {
    throw new Error(`no sidecar answers at ${url.host}; start one, or name its admin address with --admin`, { cause });
  }
  const body: unknown = await response.json();
  if (!response.ok) throw new Error(`${url.pathname}: ${response.status} ${JSON.stringify(body)}`);
  return body;
}
