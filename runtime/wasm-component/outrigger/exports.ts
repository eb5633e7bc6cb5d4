/** What the sidecar calls in a component of proto/wit/outrigger.wit. */
import type { ExportedInterface } from "../provider.ts";
import { eventsInterface } from "./events.ts";
import { filterInterface, responseFilterInterface } from "./filter.ts";
import { handlerInterface } from "./handler.ts";
import { schedulesInterface } from "./schedules.ts";

/** What comes from the sidecar itself is looked at first: the handler takes every request. */
export const outriggerExports: readonly ExportedInterface[] = [
  eventsInterface,
  schedulesInterface,
  handlerInterface,
  filterInterface,
  responseFilterInterface,
];
