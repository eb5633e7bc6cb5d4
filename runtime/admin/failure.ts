import { PluginError, type PluginFault } from "../plugin/plugin-error.ts";
import { UploadsBusy, UploadTooLarge } from "../plugin/uploads.ts";
import { BadRequest } from "./route.ts";

const statusOf: Readonly<Record<PluginFault, number>> = {
  refused: 422,
  configuration: 422,
  trap: 422,
  fuel: 422,
  memory: 422,
  deadline: 422,
  budget: 422,
  shared: 422,
  missing: 404,
  conflict: 409,
  closed: 503,
  storage: 503,
};

/** A failure as it is told to who asked: status and sentence. Whatever is not known to be theirs is thrown on. */
export function told(error: unknown): BadRequest {
  if (error instanceof BadRequest) return error;
  if (error instanceof PluginError) return new BadRequest(error.message, statusOf[error.fault]);
  if (error instanceof UploadTooLarge) return new BadRequest(error.message, 413);
  if (error instanceof UploadsBusy) return new BadRequest(error.message, 503);
  throw error;
}
