import { STATUS_CODES } from "node:http";

const lines: readonly string[] = Array.from({ length: 600 }, (_, status) => {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
});

/** The first line of a response, with its line end. */
export function statusLine(status: number): string {
  return lines[status] ?? lines[500] ?? "";
}
