import { z } from "zod";
import { formatPath } from "../config/mistake.ts";
import { validate } from "../config/validate.ts";
import type { Deployments, DeployRequest } from "../plugin/deployments.ts";
import type { LogLine, PluginLogs } from "../plugin/plugin-logs.ts";
import type { RolloutPolicy } from "../plugin/rollout/policy.ts";
import type { PluginStatus } from "../plugin/status.ts";
import { deployBody, uploadQuery } from "./deploy-body.ts";
import { deployReply, type StartDeploy } from "./deploy-reply.ts";
import { told } from "./failure.ts";
import * as docs from "./plugin-docs.ts";
import { type AdminRequest, BadRequest, type LinesReply, parseJson, type Reply, type Route } from "./route.ts";

export interface PluginRoutesOptions {
  readonly deployments: Deployments;
  readonly logs: PluginLogs;
}

const wasm = "application/wasm";
const rollbackBody = z.strictObject({ to: z.string().min(1).max(256).optional() });
const actionBody = z.strictObject({});
const count = z.coerce.number().int().min(1).max(1_000).default(100);
const isOn = z.enum(["", "true", "false", "1", "0"]).transform((text) => text !== "false" && text !== "0");
const historyQuery = z.strictObject({ limit: count });
const noQuery = z.strictObject({});
const logsQuery = z.strictObject({ tail: count, follow: isOn.default(false) });

const actions = ["promote", "abort", "pause", "resume"] as const;

/** What is deployed, and all that can be done to it. */
export function pluginRoutes({ deployments, logs }: PluginRoutesOptions): Route[] {
  const { operations } = deployments;
  const known = ({ parameters }: AdminRequest): PluginStatus => {
    const { name = "" } = parameters;
    const names = operations.list().map((one) => one.name);
    const there = names.length === 0 ? "none is" : `${names.join(", ")} are`;
    return deployments.find(name) ?? fail(`no plugin is named '${name}'; ${there} deployed`, 404);
  };
  const action = (name: (typeof actions)[number]): Route => ({
    method: "POST",
    path: `/v1/plugins/{name}/${name}`,
    doc: docs.action(name),
    answer: async (request) => {
      await body(request, actionBody);
      return { body: await attempt(operations[name](known(request).name, request.by, request.signal)) };
    },
  });
  const deploy = async (request: AdminRequest): Promise<Reply | LinesReply> => {
    const { by, signal, parameters } = request;
    const common = { by, signal, ...(parameters.name !== undefined && { name: parameters.name }) };
    if (request.contentType !== wasm && request.query.size > 0) {
      fail("the query is for uploads, which are application/wasm; what is fetched is described by the body alone");
    }
    const start = await (request.contentType === wasm ? upload : reference)(request, common, deployments);
    return deployReply(start, request.accepts("application/x-ndjson"));
  };
  const routes: Route[] = [
    { method: "GET", path: "/v1/plugins", doc: docs.list, answer: () => ({ body: operations.list() }) },
    {
      method: "POST",
      path: "/v1/plugins",
      doc: docs.deploy("what its manifest names"),
      takes: ["application/json", wasm],
      answer: deploy,
    },
    {
      method: "GET",
      path: "/v1/plugins/{name}",
      doc: docs.show,
      answer: (request) => ({ body: known(request) }),
    },
    {
      method: "PUT",
      path: "/v1/plugins/{name}",
      doc: docs.deploy("that plugin"),
      takes: ["application/json", wasm],
      answer: deploy,
    },
    {
      method: "DELETE",
      path: "/v1/plugins/{name}",
      doc: docs.remove,
      answer: async (request) => {
        const status = known(request);
        await attempt(operations.remove(status.name, request.by));
        return { body: status };
      },
    },
    ...actions.map(action),
    {
      method: "POST",
      path: "/v1/plugins/{name}/rollback",
      doc: docs.rollback,
      answer: async (request) => {
        const { to } = await body(request, rollbackBody);
        return { body: await attempt(operations.rollback(known(request).name, request.by, to, request.signal)) };
      },
    },
    {
      method: "GET",
      path: "/v1/plugins/{name}/versions",
      doc: docs.versions,
      answer: (request) => ({ body: deployments.versions(known(request).name) }),
    },
    {
      method: "GET",
      path: "/v1/plugins/{name}/history",
      doc: docs.history,
      // Of a plugin that is gone there is a history, too.
      answer: async (request) => {
        const { limit } = query(request, historyQuery);
        return { body: await deployments.history(limit, request.parameters.name) };
      },
    },
    {
      method: "GET",
      path: "/v1/plugins/{name}/logs",
      doc: docs.logs,
      isPrivate: true,
      answer: (request) => {
        const { tail, follow } = query(request, logsQuery);
        const { name } = known(request);
        return { lines: follow ? logs.follow(name, tail, request.signal) : each(logs.tail(name, tail)) };
      },
    },
  ];
  return routes.map(refusingQueries);
}

/** A route that takes no query must not pass over what was meant by one. */
function refusingQueries(route: Route): Route {
  if (route.doc.parameters?.some((one) => one.in === "query") === true) return route;
  const answer: Route["answer"] = (request) => {
    query(request, noQuery);
    return route.answer(request);
  };
  return { ...route, answer };
}

type Common = Pick<DeployRequest, "by" | "name" | "signal">;

async function reference(request: AdminRequest, common: Common, deployments: Deployments): Promise<StartDeploy> {
  const { rollout, ...what } = await body(request, deployBody);
  return (progress) => deployments.deployReference(what, { ...common, ...policyOf(rollout), progress });
}

async function upload(request: AdminRequest, common: Common, deployments: Deployments): Promise<StartDeploy> {
  const { rollout, name, ...what } = query(request, uploadQuery);
  if (name !== undefined && common.name !== undefined && name !== common.name) {
    fail(`the query names plugin '${name}', and the path '${common.name}'`);
  }
  const named = { ...(name !== undefined && { name }), ...common };
  return (progress) => deployments.deployUpload(request.stream, what, { ...named, ...policyOf(rollout), progress });
}

const policyOf = (policy: RolloutPolicy | undefined): { policy?: RolloutPolicy } =>
  policy === undefined ? {} : { policy };

/** The query, of that shape; nothing in it may be given twice. */
function query<Shape extends z.ZodType>({ query: given }: AdminRequest, shape: Shape): z.output<Shape> {
  const values = Object.fromEntries(given);
  const repeated = Object.keys(values).find((name) => given.getAll(name).length > 1);
  if (repeated !== undefined) fail(`the query is not as expected: ${repeated} is given more than once`);
  return read(shape, values, "the query");
}

/** The body as JSON of that shape; none counts as the empty object. */
async function body<Shape extends z.ZodType>(request: AdminRequest, shape: Shape): Promise<z.output<Shape>> {
  const text = await request.text();
  const value: unknown = text.trim() === "" ? {} : parseJson(text);
  if (value === undefined) fail("the body is not valid JSON");
  return read(shape, value, "the body");
}

function read<Shape extends z.ZodType>(shape: Shape, value: unknown, what: string): z.output<Shape> {
  const { value: found, problems } = validate(shape, value);
  if (problems.length === 0) return found as z.output<Shape>;
  const mistakes = problems.map(({ path, message }) =>
    path.length === 0 ? message : `${formatPath(path)}: ${message}`,
  );
  return fail(`${what} is not as expected: ${mistakes.join("; ")}`);
}

async function attempt<Result>(task: Promise<Result>): Promise<Result> {
  try {
    return await task;
  } catch (error) {
    throw told(error);
  }
}

function fail(message: string, status = 400): never {
  throw new BadRequest(message, status);
}

async function* each(lines: readonly LogLine[]): AsyncGenerator<LogLine> {
  yield* lines;
}
