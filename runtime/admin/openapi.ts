/** The document that says what the admin API takes and gives, made from what each route says of itself. */
import type { ParameterDoc, Schema } from "./operation-doc.ts";
import type { Route } from "./route.ts";
import { schemas } from "./schemas.ts";

export interface OpenApiDocument {
  readonly openapi: "3.1.1";
  readonly info: Readonly<Record<"title" | "version" | "description", string>>;
  readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>>; readonly securitySchemes: object };
}

/** The document of these routes. */
export function openApiOf(routes: readonly Route[], version: string): OpenApiDocument {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path, doc } of routes) {
    const parameters = [...pathParameters(path), ...(doc.parameters ?? [])];
    const operation = { operationId: operationIdOf(method, path), ...doc };
    paths[path] = {
      ...paths[path],
      [method.toLowerCase()]: parameters.length === 0 ? operation : { ...operation, parameters },
    };
  }
  return {
    openapi: "3.1.1",
    info: { title: "Outrigger admin API", version, description: "Shows and controls one sidecar." },
    paths,
    components: {
      schemas,
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "admin.token, or one of admin.tokens" },
      },
    },
  };
}

function pathParameters(path: string): ParameterDoc[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    description: "The name of the plugin",
    schema: { type: "string" },
  }));
}

/** `get /v1/plugins/{name}/logs` is `getPluginsNameLogs`. */
function operationIdOf(method: string, path: string): string {
  const words = path.split(/[^A-Za-z]+/).filter((word) => word !== "" && word !== "v");
  return method.toLowerCase() + words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join("");
}
