/** Whether an address of a server has a host, a port that is one, and percent-escapes that stand for something. */
export function isServerUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { hostname, port, username, password, pathname } = new URL(text);
  if (hostname === "" || port === "0") return false;
  try {
    for (const part of [hostname, username, password, pathname]) decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}
