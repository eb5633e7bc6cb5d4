/** What a guest that creates expressions has among its data: the name of the function for it. */
export const expressionsText = "expr_create";

/** What the engine wants to know of the data of a module before it runs it. */
export const soughtTexts: readonly string[] = [expressionsText];
