import { z } from "zod";
import type { AdminOptions } from "./admin.ts";
import type { HealthReport } from "./health.ts";
import { type OperationDoc, ref } from "./operation-doc.ts";
import { type AdminRequest, parseJson, type Reply, type Route } from "./route.ts";

/** What kubelet and Prometheus may ask from elsewhere. */
export function probeRoutes({ liveness, readiness, metrics }: AdminOptions): Route[] {
  return [
    {
      method: "GET",
      path: "/actuator/health/liveness",
      doc: healthDoc("Whether the process works"),
      answer: () => healthReply(liveness()),
    },
    {
      method: "GET",
      path: "/actuator/health/readiness",
      doc: healthDoc("Whether it can serve all that it is configured to"),
      answer: () => healthReply(readiness()),
    },
    {
      method: "GET",
      path: "/metrics",
      doc: {
        summary: "Metrics, as Prometheus reads them",
        tags: ["process"],
        responses: { "200": { description: "Text", content: { "text/plain": { schema: { type: "string" } } } } },
      },
      answer: async () => ({ type: metrics.registry.contentType, body: await metrics.expose() }),
    },
  ];
}

/** What is asked of a process that has no plugins. */
export function processRoutes(options: AdminOptions): Route[] {
  return [
    ...probeRoutes(options),
    {
      method: "GET",
      path: "/actuator/info",
      doc: {
        summary: "What runs",
        tags: ["process"],
        responses: { "200": json("The process", "Info") },
      },
      answer: () => ({
        body: { app: { name: "Outrigger", version: options.version, node: process.version, pid: process.pid } },
      }),
    },
    {
      method: "POST",
      path: "/actuator/logger",
      doc: {
        summary: "Changes what is logged",
        tags: ["process"],
        security: [{ token: [] }],
        requestBody: { required: true, content: { "application/json": { schema: ref("LogLevel") } } },
        responses: { "200": json("What is logged from now on", "LogLevel"), "400": json("No such level", "Error") },
      },
      answer: (request) => setLogLevel(request, options),
    },
  ];
}

const json = (description: string, schema: string): OperationDoc["responses"][string] => ({
  description,
  content: { "application/json": { schema: ref(schema) } },
});

const healthDoc = (summary: string): OperationDoc => ({
  summary,
  tags: ["process"],
  responses: { "200": json("It is UP", "Health"), "503": json("It is not", "Health") },
});

function healthReply(report: HealthReport): Reply {
  return { status: report.status === "UP" ? 200 : 503, body: report };
}

const levels = ["trace", "debug", "info", "warn", "error", "silent"] as const;
const levelRequest = z.object({ level: z.enum(levels) });

async function setLogLevel(asked: AdminRequest, { setLogLevel: set }: AdminOptions): Promise<Reply> {
  const request = levelRequest.safeParse(parseJson(await asked.text()));
  if (!request.success) return { status: 400, body: { error: `expected {"level": one of ${levels.join(", ")}}` } };
  set(request.data.level);
  return { body: { level: request.data.level } };
}
