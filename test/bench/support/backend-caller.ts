/** Uses a server as it is asked to over HTTP: `/?way=ioredis&operation=get&calls=1000&inFlight=64`. Parameters: type, address. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { type Call, type Operation, waysOf } from "./backend-ways.ts";

const [type = "", address = ""] = process.argv.slice(2);
const ways = (await waysOf[type]?.(address)) ?? {};

const isOperation = (text: string | null): text is Operation => text === "get" || text === "set" || text === "publish";

async function load(one: Call, calls: number, inFlight: number): Promise<void> {
  let left = calls;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
}

const server = http.createServer((request, response) => {
  const asked = new URL(request.url ?? "/", "http://caller").searchParams;
  const operation = asked.get("operation");
  const one = isOperation(operation) ? ways[asked.get("way") ?? ""]?.[operation] : undefined;
  const answer = (status: number, text: string): void => void response.writeHead(status).end(text);
  if (one === undefined) answer(404, `of ${type} there are the ways ${Object.keys(ways).join(", ")}`);
  else
    load(one, Number(asked.get("calls")), Number(asked.get("inFlight"))).then(
      () => answer(200, ""),
      (error: unknown) => answer(500, String(error)),
    );
});
server.listen(0, "127.0.0.1", () => console.log(`takes orders at 127.0.0.1:${(server.address() as AddressInfo).port}`));
