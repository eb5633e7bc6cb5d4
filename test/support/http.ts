import { Agent, request as httpRequest } from "node:http";

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly text: string;
}

export interface HttpQuestion {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly agent?: Agent;
}

/** One request to `host:port` over a real socket; rejects when the connection breaks before the whole answer is there. */
export function ask(
  address: string,
  path: string,
  { method = "GET", headers, body, agent }: HttpQuestion = {},
): Promise<HttpAnswer> {
  const url = new URL(`http://${address}`);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: url.hostname,
        port: url.port,
        path,
        method,
        headers: { ...headers },
        ...(agent === undefined ? {} : { agent }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const whole = Buffer.concat(chunks);
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: whole,
            text: whole.toString("utf8"),
          });
        });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

/** Asks again until the answer is liked, for changes that take effect a moment later. Rejects after `attempts`. */
export async function askUntil(
  address: string,
  path: string,
  isLiked: (answer: HttpAnswer) => boolean,
  question: HttpQuestion = {},
  attempts = 400,
): Promise<HttpAnswer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(address, path, question);
    if (isLiked(answer)) return answer;
    if (attempt === attempts) throw new Error(`after ${attempts} tries: ${answer.status} ${answer.text}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Keep-alive connections for a load of many requests; destroyed with the scope. */
export function keepAlive(): Agent & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  return Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() });
}
