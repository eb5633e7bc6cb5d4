import { z } from "zod";
import type { AdminOptions } from "./admin.ts";
import type { HealthReport } from "./health.ts";

export interface Reply {
  /** Default 200. */
  readonly status?: number;
  /** Default application/json. */
  readonly type?: string;
  /** Text as it is; anything else as JSON. */
  readonly body: unknown;
}

/** One method on one path; `answer` gets the body as text. */
export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  answer(body: string): Reply | Promise<Reply>;
}

/** What kubelet and Prometheus may ask from elsewhere. */
export function probeRoutes({ liveness, readiness, metrics }: AdminOptions): Route[] {
  return [
    { method: "GET", path: "/actuator/health/liveness", answer: () => healthReply(liveness()) },
    { method: "GET", path: "/actuator/health/readiness", answer: () => healthReply(readiness()) },
    {
      method: "GET",
      path: "/metrics",
      answer: async () => ({ type: metrics.registry.contentType, body: await metrics.expose() }),
    },
  ];
}

/** The whole admin API. */
export function adminRoutes(options: AdminOptions): Route[] {
  return [
    ...probeRoutes(options),
    {
      method: "GET",
      path: "/actuator/info",
      answer: () => ({
        body: { app: { name: "Outrigger", version: options.version, node: process.version, pid: process.pid } },
      }),
    },
    { method: "POST", path: "/actuator/logger", answer: (body) => setLogLevel(body, options) },
    { method: "GET", path: "/v1/plugins", answer: () => ({ body: options.plugins() }) },
  ];
}

function healthReply(report: HealthReport): Reply {
  return { status: report.status === "UP" ? 200 : 503, body: report };
}

const levels = ["trace", "debug", "info", "warn", "error", "silent"] as const;
const levelRequest = z.object({ level: z.enum(levels) });

function setLogLevel(body: string, { setLogLevel: set }: AdminOptions): Reply {
  const request = levelRequest.safeParse(parseJson(body));
  if (!request.success) return { status: 400, body: { error: `expected {"level": one of ${levels.join(", ")}}` } };
  set(request.data.level);
  return { body: { level: request.data.level } };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
