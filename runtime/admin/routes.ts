/** All routes of the admin API, which load with the first request that is not about the process. */
import type { AdminOptions } from "./admin.ts";
import { type OpenApiDocument, openApiOf } from "./openapi.ts";
import { pluginRoutes } from "./plugin-routes.ts";
import { processRoutes } from "./process-routes.ts";
import type { Route } from "./route.ts";
import { wasmRoutes } from "./wasm-routes.ts";

/** The whole admin API. */
export async function adminRoutes(options: AdminOptions): Promise<Route[]> {
  const { deployments, functions } = await options.plugins();
  const routes: Route[] = [
    ...processRoutes(options),
    ...pluginRoutes({ deployments, logs: options.logs }),
    ...wasmRoutes(functions),
    {
      method: "GET",
      path: "/v1/openapi.json",
      doc: {
        summary: "This document",
        tags: ["process"],
        responses: {
          "200": { description: "OpenAPI 3.1", content: { "application/json": { schema: { type: "object" } } } },
        },
      },
      answer: () => ({ body: document() }),
    },
  ];
  let made: OpenApiDocument | undefined;
  const document = (): OpenApiDocument => {
    made ??= openApiOf(routes, options.version);
    return made;
  };
  return routes;
}

/** Layotto's routes only. */
export async function functionRoutes({ plugins }: AdminOptions): Promise<Route[]> {
  return wasmRoutes((await plugins()).functions);
}
