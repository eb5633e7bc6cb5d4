import { z } from "zod";
import type { LayottoDeployments } from "../plugin/layotto-deployments.ts";
import { PluginError } from "../plugin/plugin-error.ts";
import type { OperationDoc, Schema } from "./operation-doc.ts";
import { type AdminRequest, parseJson, type Reply, type Route } from "./route.ts";

const object = z.record(z.string(), z.unknown());
const text = z.string().min(1);

/** Keys of an install request that are not configuration of the plugin. */
const ownKeys = new Set(["name", "instance_num", "vm_config", "from_wasm_plugin", "root_context_id"]);

/** Layotto's routes, with its bodies and its errors. */
export function wasmRoutes(functions: LayottoDeployments): Route[] {
  const route = (name: string, doc: OperationDoc, act: (body: Body, by: string) => Promise<void>): Route => ({
    method: "POST",
    path: `/wasm/${name}`,
    doc,
    answer: async (request) => answer(request, act),
  });
  return [
    route("install", docOf("Installs a function", installSchema), async (body, by) => {
      const name = nameIn(body);
      if (functions.find(name) !== undefined) throw new Refusal(`${name} is already registered`);
      const vm = object.safeParse(body.vm_config);
      const path = text.safeParse(vm.data?.path);
      if (!path.success) throw new Refusal("can't get vm_config.path property");
      const instances = body.instance_num === undefined ? undefined : instancesIn(body);
      const settings = Object.entries(body).filter(
        (entry): entry is [string, string] => !ownKeys.has(entry[0]) && typeof entry[1] === "string",
      );
      const configuration = settings.length === 0 ? undefined : Object.fromEntries(settings);
      await functions.install({ name, path: path.data, instances, configuration }, by);
    }),
    route("update", docOf("Changes how many instances of a function there are", updateSchema), async (body, by) => {
      const name = nameIn(body);
      const instances = instancesIn(body);
      await functions.update(registered(name, functions), instances, by);
    }),
    route("uninstall", docOf("Uninstalls a function", nameSchema), async (body, by) => {
      await functions.uninstall(registered(nameIn(body), functions), by);
    }),
  ];
}

type Body = Readonly<Record<string, unknown>>;

/** An error as Layotto words it. */
class Refusal extends Error {}

async function answer(request: AdminRequest, act: (body: Body, by: string) => Promise<void>): Promise<Reply> {
  const body = object.safeParse(parseJson(await request.text()));
  try {
    if (!body.success) throw new Refusal("invalid request body");
    await act(body.data, request.by);
    return { body: "" };
  } catch (error) {
    if (error instanceof Refusal || error instanceof PluginError)
      return { status: 500, body: { error: error.message } };
    throw error;
  }
}

function nameIn(body: Body): string {
  const name = text.safeParse(body.name);
  if (!name.success) throw new Refusal("can't get name property");
  return name.data;
}

function instancesIn(body: Body): number {
  const instances = z.number().safeParse(body.instance_num);
  if (!instances.success) throw new Refusal("can't get instance_num property");
  const whole = Math.trunc(instances.data);
  if (whole <= 0) throw new Refusal("instance_num should be greater than 0");
  return whole;
}

function registered(name: string, functions: LayottoDeployments): string {
  const plugin = functions.find(name);
  if (plugin === undefined) throw new Refusal(`${name} is not registered`);
  return plugin;
}

const name = { type: "string", description: "The name of the function, or the id that it gives itself" };
const instances = { type: "integer", minimum: 1, description: "Most instances side by side" };
const nameSchema = { type: "object", required: ["name"], properties: { name } };
const updateSchema = {
  ...nameSchema,
  required: ["name", "instance_num"],
  properties: { name, instance_num: instances },
};
const installSchema = {
  type: "object",
  required: ["name", "vm_config"],
  properties: {
    name,
    instance_num: instances,
    vm_config: {
      type: "object",
      required: ["path"],
      properties: {
        engine: { type: "string", description: "Without effect" },
        path: { type: "string", description: "The module, below plugins.directory" },
      },
    },
  },
  additionalProperties: { type: "string", description: "Configuration of the plugin" },
};

function docOf(summary: string, schema: Schema): OperationDoc {
  return {
    summary,
    tags: ["layotto"],
    security: [{ token: [] }],
    requestBody: { required: true, content: { "application/json": { schema } } },
    responses: {
      "200": { description: "It is done; the body is empty" },
      "500": {
        description: "It is not done",
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    },
  };
}
