/** The plugin's version, from its manifest when it was built; "0.0.0" in plain Node. */
export const version: string = (globalThis as { readonly pluginVersion?: string }).pluginVersion ?? "0.0.0";
