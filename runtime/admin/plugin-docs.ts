/** What the routes of plugins say of themselves in the OpenAPI document. */
import { z } from "zod";
import { deployBody } from "./deploy-body.ts";
import { type OperationDoc, type ParameterDoc, type ResponseDoc, ref, type Schema } from "./operation-doc.ts";

const tags = ["plugins"];
const security = [{ token: [] }] as const;
const json = (schema: Schema): ResponseDoc["content"] => ({ "application/json": { schema } });
const answer = (description: string, schema: Schema): ResponseDoc => ({ description, content: json(schema) as never });
const error = (description: string): ResponseDoc => answer(description, ref("Error"));
const arrayOf = (items: Schema): Schema => ({ type: "array", items });

const unknown = { "404": error("No plugin has that name") };
const guarded = {
  "401": error("The token is missing or wrong"),
  "403": error("There is no token, or a stranger asks"),
};
const refusals = {
  ...guarded,
  "400": error("The request cannot be understood"),
  "409": error("That is not possible as things are"),
  "503": error("It cannot be kept on disk, or the sidecar is busy or shuts down"),
};
const status = answer("The plugin as it is now", ref("PluginStatus"));

const query = (name: string, description: string, schema: Schema): ParameterDoc => ({
  name,
  in: "query",
  description,
  schema,
});
const number = (description: string, name: string): ParameterDoc =>
  query(name, description, { type: "integer", minimum: 1, maximum: 1_000, default: 100 });

export const list: OperationDoc = {
  summary: "Every plugin that is deployed or was refused",
  tags,
  responses: { "200": answer("By name", arrayOf(ref("PluginStatus"))) },
};

export const show: OperationDoc = { summary: "One plugin", tags, responses: { "200": status, ...unknown } };

export const remove: OperationDoc = {
  summary: "Takes a plugin out of service, with its versions",
  tags,
  security,
  responses: { "200": answer("The plugin as it was", ref("PluginStatus")), ...refusals, ...unknown },
};

const actionSummaries = {
  promote: "Makes the version on trial the stable one",
  abort: "Ends the trial; the stable version has all traffic again",
  pause: "Keeps the version on trial at its share, without judging it",
  resume: "Goes on with a paused trial, or begins that of a staged version",
} as const;

export const action = (name: keyof typeof actionSummaries): OperationDoc => ({
  summary: actionSummaries[name],
  tags,
  security,
  responses: { "200": status, ...refusals, ...unknown },
});

export const rollback: OperationDoc = {
  summary: "Goes back to the version before, or to one of those kept",
  tags,
  security,
  requestBody: {
    content: {
      "application/json": {
        schema: { type: "object", properties: { to: { type: "string", description: "A version or a digest" } } },
      },
    },
  },
  responses: { "200": status, ...refusals, ...unknown },
};

export const versions: OperationDoc = {
  summary: "The versions of a plugin that are kept on disk",
  tags,
  responses: { "200": answer("The one on trial, the stable one, the others", arrayOf(ref("Version"))), ...unknown },
};

export const history: OperationDoc = {
  summary: "What was done with a plugin",
  tags,
  parameters: [number("Most entries", "limit")],
  responses: {
    "200": answer("The newest first", arrayOf(ref("HistoryEntry"))),
    "400": error("The query is not as expected"),
  },
};

export const logs: OperationDoc = {
  summary: "The last lines that a plugin logged",
  tags,
  security,
  parameters: [
    number("Most lines that are there already", "tail"),
    query("follow", "Whether to go on with each new line", { type: "boolean", default: false }),
  ],
  responses: {
    "200": {
      description: "One line each, the oldest first",
      content: { "application/x-ndjson": { schema: ref("LogLine") } },
    },
    "400": error("The query is not as expected"),
    ...guarded,
    ...unknown,
  },
};

export const deploy = (what: string): OperationDoc => ({
  summary: `Deploys a module as ${what}`,
  description:
    "The body is the module itself, of at most 64 MiB, or says where it is. With `accept: application/x-ndjson` the answer is 200 and tells what happens line by line; the last line has the status or the error.",
  tags,
  security,
  parameters: [
    query("manifest", "Of an upload: the manifest as YAML, in place of the one inside", { type: "string" }),
    query("sha256", "Of an upload: what the module must have, as sha256: and hex", { type: "string" }),
    query(
      "signature",
      "Of an upload: the detached signature of the module in base64, as plugins.signatures may require it",
      { type: "string" },
    ),
    query("name", "Of an upload: the name that the manifest must give, or that of a bare module", { type: "string" }),
    query("rollout", "Of an upload: in place of the manifest's `rollout`, as JSON", { type: "string" }),
  ],
  requestBody: {
    required: true,
    content: {
      "application/json": {
        // Only who asks for the document pays for it.
        get schema() {
          return z.toJSONSchema(deployBody, { io: "input" });
        },
      },
      "application/wasm": { schema: { type: "string", contentMediaType: "application/wasm" } },
    },
  },
  responses: {
    "200": {
      description: "It is deployed in place of another version, or on trial beside it",
      content: {
        "application/json": { schema: ref("PluginStatus") },
        "application/x-ndjson": { schema: ref("DeployEvent") },
      },
    },
    "201": answer("It is deployed; nothing was before", ref("PluginStatus")),
    ...refusals,
    "413": error("The module is too large"),
    "415": error("The body is neither JSON nor a module"),
    "422": error("It is not acceptable as a plugin; what ran before goes on"),
  },
});
