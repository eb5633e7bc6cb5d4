/** Versions of the world that this host speaks. */
export const outriggerVersions = ["0.1.0"] as const;
