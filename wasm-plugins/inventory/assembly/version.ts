/** The version in the manifest; the build puts it here when it builds another one. */
export const VERSION: string = "1.0.0";
