/** The largest module that is taken, wherever it comes from. */
export const maxModuleBytes = 64 * 1024 ** 2;
