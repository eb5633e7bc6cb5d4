/**
 * What ended a guest's work, or kept it from starting:
 * `refused` the module, manifest or grants are not acceptable; `configuration` the guest refused its configuration;
 * `trap` the guest trapped; `fuel` it used up its budget; `memory` it broke the rules of the ABI's memory;
 * `deadline` a call or its place in the queue took too long; `budget` it crashed too often and was taken out;
 * `shared` another plugin, or configuration, brought down the VM that it shares;
 * `missing` nothing of that name is deployed; `closed` the instance was shut down;
 * `conflict` what was asked for is not possible as things are, such as to promote what is not on trial;
 * `storage` what was deployed could not be kept on disk.
 */
export type PluginFault =
  | "refused"
  | "configuration"
  | "trap"
  | "fuel"
  | "memory"
  | "deadline"
  | "budget"
  | "shared"
  | "missing"
  | "closed"
  | "conflict"
  | "storage";

/** A guest's failure, told as a sentence with the plugin's name and version; it never unwinds the host. */
export class PluginError extends Error {
  readonly plugin: string;
  readonly version: string;
  readonly fault: PluginFault;

  constructor(plugin: string, version: string, fault: PluginFault, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "PluginError";
    this.plugin = plugin;
    this.version = version;
    this.fault = fault;
  }
}
